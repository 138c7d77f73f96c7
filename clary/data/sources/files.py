"""Files as one table: all of one format, each read on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.scans import Scan
from clary.data.sources.formats import Format, format_of
from clary.data.sources.how import How
from clary.data.sources.joined import Chosen, Joined, Within, close
from clary.data.sources.origin import Origin


def scan_files(files: Sequence[Origin], wanted: Format | None, how: How) -> Scan:
    """Raises ReadError where they are of several formats, or their columns do not fit."""
    chosen = wanted or _format_of_all(files)
    check_options(chosen, how)
    if chosen.together:
        return Chosen(chosen.scan(list(files), how), how.columns, how.rows)
    scans: list[tuple[str, Scan]] = []
    rows = 0
    try:
        for origin in files:
            if how.rows is not None and rows >= how.rows and scans:
                break
            scans.append((origin.name, _one(origin, chosen, how)))
            rows += scans[-1][1].rows
    except BaseException:
        for _, scan in scans:
            close(scan)
        raise
    whole = scans[0][1] if len(scans) == 1 else Joined(scans)
    return whole if how.columns is None and how.rows is None else Chosen(whole, how.columns, how.rows)


def check_options(chosen: Format, how: How) -> None:
    """Raises ReadError for an option that the format has not."""
    if unknown := [name for name in how.options if name not in chosen.options]:
        raise ReadError(f"{chosen.name} has no option {some(unknown)}; it has {some(sorted(chosen.options))}")


def _format_of_all(files: Sequence[Origin]) -> Format:
    first = format_of(files[0])
    for origin in files[1:]:
        other = format_of(origin)
        if other is not first:
            raise ReadError(
                f"{origin.name} is {other.name}, while {files[0].name} is {first.name}: name the ones that are one "
                "table, e.g. by a glob"
            )
    return first


def _one(origin: Origin, chosen: Format, how: How) -> Scan:
    values = _told_by_folder(origin)
    inner = how
    if values and how.columns is not None:
        inner = replace(how, columns=tuple(name for name in how.columns if name not in values))
    scan = chosen.scan(origin, inner)
    return Within(scan, values) if values else scan


def _told_by_folder(origin: Origin) -> dict[str, str | int]:
    """Hive's way: year=2024/month=5/part-0.parquet has the columns year and month."""
    pairs = [part.partition("=") for part in origin.below.split("/")[:-1]]
    found: dict[str, str | int] = {}
    for name, sign, value in pairs:
        if sign and name:
            found[name] = (
                int(value) if value.isascii() and value.isdigit() and str(int(value)) == value else unquote(value)
            )
    return found
