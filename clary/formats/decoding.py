"""Data of a content type as a table."""

from __future__ import annotations

from enum import StrEnum

from clary.formats.csv import read_csv
from clary.formats.libsvm import read_libsvm
from clary.formats.media_types import media_type
from clary.formats.parquet import read_parquet
from clary.formats.recordio import read_recordio
from clary.formats.table import FormatError, Source, Table


class Format(StrEnum):
    CSV = "csv"
    LIBSVM = "libsvm"
    PARQUET = "parquet"
    RECORDIO_PROTOBUF = "recordio-protobuf"


NAMES = {
    "csv": Format.CSV,
    "libsvm": Format.LIBSVM,
    "parquet": Format.PARQUET,
    "recordio-protobuf": Format.RECORDIO_PROTOBUF,
    "text/csv": Format.CSV,
    "text/libsvm": Format.LIBSVM,
    "text/x-libsvm": Format.LIBSVM,
    "application/x-parquet": Format.PARQUET,
    "application/x-recordio-protobuf": Format.RECORDIO_PROTOBUF,
}


def format_of(content_type: str) -> tuple[Format, int]:
    """The format, and the number of label columns of a CSV (`label_size`). Raises FormatError for any other type."""
    name, parameters = media_type(content_type)
    if name not in NAMES:
        raise FormatError(f"{content_type} is not an accepted ContentType: {', '.join(NAMES)}.")
    label_size = parameters.get("label_size", "1")
    if label_size not in ("0", "1"):
        raise FormatError(f"{content_type} is not an accepted ContentType: label_size may be 0 or 1.")
    return NAMES[name], int(label_size)


def decode(source: Source, kind: Format, *, label_size: int = 1, weights: bool = False) -> Table:
    """label_size  0 or 1: whether rows begin with a label; weights: whether a CSV's second column is the weight.
    Raises         FormatError.
    """
    match kind:
        case Format.CSV:
            return read_csv(source, label_size, weights)
        case Format.LIBSVM:
            return read_libsvm(source, labelled=label_size == 1)
        case Format.PARQUET:
            return read_parquet(source, label_size)
        case Format.RECORDIO_PROTOBUF:
            return read_recordio(source, labelled=label_size == 1)
