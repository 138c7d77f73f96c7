"""Which formats can be written, by name and by a file's ending."""

from __future__ import annotations

from pathlib import PurePosixPath

from clary.data.errors import DataError
from clary.data.sinks.base import Format

ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
    ".recordio": "recordio",
    ".rec": "recordio",
    ".pbr": "recordio",
    ".feather": "feather",
    ".arrow": "feather",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
FORMATS = ("csv", "parquet", "libsvm", "recordio", "feather", "jsonl")


def format_for(name: str | None, target: str, label: str | None, header: bool, delimiter: str) -> Format:
    """The format of this name, or, where it is None, of the target's ending. Raises DataError."""
    ending = PurePosixPath(target).suffix.lower()
    name = name if name is not None else ENDINGS.get(ending)
    if name is None:
        raise DataError(f"{target}: the name does not show the format; give format=, one of {', '.join(FORMATS)}")
    match name:
        case "csv":
            if len(delimiter) != 1 or delimiter in '\r\n"' or ord(delimiter) > 127:
                raise DataError(f"delimiter={delimiter!r} is not a single ASCII character")
            from clary.data.sinks.csv import CsvFormat

            return CsvFormat(header, "\t" if ending == ".tsv" and delimiter == "," else delimiter)
        case "parquet":
            from clary.data.sinks.parquet import ParquetFormat

            return ParquetFormat()
        case "feather":
            from clary.data.sinks.feather import FeatherFormat

            return FeatherFormat()
        case "jsonl":
            from clary.data.sinks.jsonlines import JsonLinesFormat

            return JsonLinesFormat()
        case "libsvm":
            from clary.data.sinks.libsvm import LibsvmFormat

            if label is None:
                raise DataError("a libsvm file needs a label in each row: name its column by label=")
            return LibsvmFormat()
        case "recordio":
            from clary.data.sinks.recordio import RecordIoFormat

            return RecordIoFormat()
        case _:
            raise DataError(f"format={name!r} is unknown; choose one of {', '.join(FORMATS)}")
