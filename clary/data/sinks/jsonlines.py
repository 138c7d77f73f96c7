"""JSON Lines: an object for each row; missing is null, times are ISO 8601, numbers as short as they read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Batch, Kind, kind_of_arrow
from clary.data.errors import DataError
from clary.data.sinks.base import OpenFile
from clary.data.sinks.columns import Columns


@dataclass(frozen=True)
class JsonLinesFormat:
    ending: str = ".jsonl"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile:
        return _JsonLinesFile(stream, columns)


class _JsonLinesFile:
    def __init__(self, stream: IO[bytes], columns: Columns) -> None:
        self._stream, self._columns = stream, columns

    def write(self, batch: Batch) -> None:
        table = self._columns.arrow(batch)
        if not batch.rows:
            return
        if not table.num_columns:
            self._stream.write(b"{}\n" * batch.rows)
            return
        pieces: list[pa.Array | str] = []
        for place, name in enumerate(table.column_names):
            pieces += [("{" if not place else ", ") + json.dumps(name, ensure_ascii=False) + ": "]
            pieces += [_json(name, table.column(place).combine_chunks())]
        lines = pc.binary_join_element_wise(*pieces, "}\n", "")
        whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "")
        self._stream.write(whole[0].as_buffer())

    def close(self) -> None:
        self._stream.flush()


def _json(name: str, array: pa.Array) -> pa.Array:
    """Each value as JSON. Raises DataError for values that JSON cannot express."""
    match kind_of_arrow(array.type):
        case Kind.TEXT:
            coded = array.dictionary_encode()
            levels = [json.dumps(level, ensure_ascii=False) for level in coded.dictionary.to_pylist()]
            texts = pa.array(levels, pa.string()).take(coded.indices)
        case Kind.TIME:
            texts = pc.binary_join_element_wise('"', pc.strftime(array, "%Y-%m-%dT%H:%M:%S"), '"', "")
        case Kind.NUMBER | Kind.BOOLEAN:
            if pa.types.is_floating(array.type) and pc.any(pc.is_inf(array)).as_py():
                raise DataError(f"column {name!r} holds an infinite number, which JSON cannot express: clip it first")
            texts = array.cast(pa.string())
        case _:
            raise DataError(f"column {name!r} holds {array.type}, which is not written as JSON")
    return pc.fill_null(texts, "null")
