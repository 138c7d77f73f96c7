"""Files as one table: all of one format, each read on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.formats import Format, format_of
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.wrappers import Concatenation, Selection, WithConstants, close


def scan_files(files: Sequence[InputFile], wanted: Format | None, options: ReadOptions) -> Scan:
    """Raises ReadError where they are of several formats, or their columns do not fit."""
    chosen = wanted or _common_format(files)
    check_options(chosen, options)
    if chosen.together:
        return Selection(chosen.scan(list(files), options), options.columns, options.rows)
    scans: list[tuple[str, Scan]] = []
    rows = 0
    try:
        for file in files:
            if options.rows is not None and rows >= options.rows and scans:
                break
            scans.append((file.name, _scan_file(file, chosen, options)))
            rows += scans[-1][1].rows
    except BaseException:
        for _, scan in scans:
            close(scan)
        raise
    whole = scans[0][1] if len(scans) == 1 else Concatenation(scans)
    return (
        whole if options.columns is None and options.rows is None else Selection(whole, options.columns, options.rows)
    )


def check_options(chosen: Format, options: ReadOptions) -> None:
    """Raises ReadError for an option that the format does not have."""
    if unknown := [name for name in options.format_options if name not in chosen.options]:
        raise ReadError(f"{chosen.name} has no option {some(unknown)}; it has {some(sorted(chosen.options))}")


def _common_format(files: Sequence[InputFile]) -> Format:
    first = format_of(files[0])
    for file in files[1:]:
        other = format_of(file)
        if other is not first:
            raise ReadError(
                f"{file.name} is {other.name}, while {files[0].name} is {first.name}: name only those that make up a "
                "table, e.g. by a glob"
            )
    return first


def _scan_file(file: InputFile, chosen: Format, options: ReadOptions) -> Scan:
    values = _partition_values(file)
    inner = options
    if values and options.columns is not None:
        inner = replace(options, columns=tuple(name for name in options.columns if name not in values))
    scan = chosen.scan(file, inner)
    return WithConstants(scan, values) if values else scan


def _partition_values(file: InputFile) -> dict[str, str | int]:
    """Hive's partitions: year=2024/month=5/part-0.parquet has the columns year and month."""
    pairs = [part.partition("=") for part in file.relative_path.split("/")[:-1]]
    values: dict[str, str | int] = {}
    for name, sign, text in pairs:
        if sign and name:
            number = text.isascii() and text.isdigit() and str(int(text)) == text
            values[name] = int(text) if number else unquote(text)
    return values
