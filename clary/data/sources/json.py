"""A JSON document: a list of records, an object of columns, or the layouts that pandas writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import FrameScan, Scan
from clary.data.sources.encoding import HEAD_BYTES, encoding_of_json
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.values import columns_of, named, table_of

OPTIONS = frozenset({"encoding", "records"})


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """records  the key of the records, "outer.inner" where it is nested. Raises ReadError."""
    notes = [Note("The file was read whole.")]
    with file.reading(), file.open() as stream:
        data = stream.read()
    encoding = encoding_of_json(data[:HEAD_BYTES], options.format_options.get("encoding"), notes)
    try:
        found = json.loads(data.decode("utf-8-sig" if encoding == "utf-8" else encoding))
    except (ValueError, RecursionError) as error:
        hint = "; several objects, one a line, are format='jsonl'" if "Extra data" in str(error) else ""
        raise ReadError(f"{file.name} is not JSON: {error}{hint}") from None
    columns = _columns(_value_at_path(found, options.format_options.get("records"), file), file, notes)
    if nested := [name for name in columns if "." in name]:
        notes.append(Note(f"Nested objects became columns: {some(nested)}."))
    return FrameScan(table_of(columns, notes), notes)


def _value_at_path(found: Any, path: object, file: InputFile) -> Any:
    if path is None:
        return found
    if not isinstance(path, str):
        raise ReadError(f"records={path!r} is not a key")
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            keys = some(found) if isinstance(found, Mapping) else f"no object but a {type(found).__name__}"
            raise ReadError(f"{file.name} has no {key!r} of records={path!r}; there is {keys}")
        found = found[key]
    return found


def _columns(found: Any, file: InputFile, notes: list[Note]) -> dict[str, list[Any]]:
    if isinstance(found, list):
        return _columns_of_list(found, file, notes)
    if not isinstance(found, Mapping) or not found:
        raise ReadError(f"{file.name} holds {_described(found)}, which is not a table; a list of objects is")
    if {"columns", "data"} <= set(found) <= {"columns", "data", "index", "index_names", "column_names"}:
        notes.append(Note("It is in pandas' layout 'split'; its index was left out."))
        return named(found["data"], [str(name) for name in found["columns"]], notes)
    if "data" in found and isinstance(found.get("schema"), Mapping) and "fields" in found["schema"]:
        notes.append(Note("It is in pandas' layout 'table'."))
        return _columns_of_list(found["data"], file, notes)
    values = list(found.values())
    if all(isinstance(value, list) for value in values):
        if len({len(value) for value in values}) == 1:
            return {str(name): list(value) for name, value in found.items()}
        lengths = some(f"{name}: {len(value)}" for name, value in found.items())
        raise ReadError(f"{file.name}: its columns are of different lengths ({lengths})")
    if all(isinstance(value, Mapping) for value in values):
        return _columns_of_mappings(found, notes)
    lists = [key for key, value in found.items() if isinstance(value, list) and value and isinstance(value[0], Mapping)]
    if len(lists) == 1:
        notes.append(Note(f"The records are those of {lists[0]!r}; other members were left out."))
        return _columns_of_list(found[lists[0]], file, notes)
    if lists:
        raise ReadError(f"{file.name} has several lists of records: choose one by records=: {some(lists)}")
    return columns_of([found])


def _columns_of_mappings(found: Mapping[str, Any], notes: list[Note]) -> dict[str, list[Any]]:
    """{column: {row: value}}, as pandas writes by default, or {row: {column: value}}: the keys decide."""
    inner = [list(value) for value in found.values()]
    outer = list(found)
    if all(key.isdigit() for key in inner[0]) and not all(key.isdigit() for key in outer):
        rows = list(dict.fromkeys(key for keys in inner for key in keys))
        notes.append(Note("It is in pandas' layout 'columns'; its index was left out."))
        return {name: [column.get(row) for row in rows] for name, column in found.items()}
    notes.append(Note("It holds records by key; the keys became the column 'key'."))
    return columns_of([{"key": key, **record} for key, record in found.items()])


def _columns_of_list(found: list[Any], file: InputFile, notes: list[Note]) -> dict[str, list[Any]]:
    if not isinstance(found, list) or not found:
        raise ReadError(f"{file.name} holds {_described(found)}, which is not a table")
    if all(isinstance(item, Mapping) for item in found):
        return columns_of(found)
    if all(isinstance(item, list) for item in found):
        if len({len(item) for item in found}) > 1:
            raise ReadError(f"{file.name}: its rows are of different lengths")
        first = found[0]
        header = bool(first) and all(isinstance(item, str) for item in first) and len(found) > 1
        header = header and any(not isinstance(item, str) for item in found[1])
        return named(found[1:] if header else found, first if header else None, notes)
    if not any(isinstance(item, (Mapping, list)) for item in found):
        return {"column_1": found}
    raise ReadError(f"{file.name}: some of its records are objects and others are not")


def _described(found: Any) -> str:
    return "nothing" if not found and isinstance(found, (list, Mapping)) else f"a {type(found).__name__}"
