"""Some rows of a table, column by column: what steps and statistics work on.

A column is in one of five forms, by its kind:

    kind       form                                          a missing value
    number     np.ndarray, float64 or float32, int*, uint*   NaN (so integers with missing values are float64)
    boolean    np.ndarray, bool                              none: with missing values it is a number, 0.0, 1.0, NaN
    text       pa.StringArray, or pa.DictionaryArray of      null
               int32 codes and strings
    time       np.ndarray, datetime64[us], UTC               NaT
    block      Block: many numeric columns as one matrix     NaN
    other      any other pa.Array (binary, lists, structs)   null

Columns are never changed in place: they may be views of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.arrow import dictionary_codes, missing_mask, to_arrow, to_numpy
from clary.data.errors import DataError, StepError

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix


class Kind(StrEnum):
    """What a column holds, as steps see it."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    TIME = "time"
    BLOCK = "block"
    OTHER = "other"


@dataclass(frozen=True)
class Block:
    """Numeric columns that belong together, as one matrix: one-hot of many levels, TF-IDF, hashes.

    names   of its columns, in order
    matrix  (rows, len(names)), a dense array or a scipy.sparse.csr_matrix
    """

    names: tuple[str, ...]
    matrix: NDArray[Any] | csr_matrix

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def sparse(self) -> bool:
        return not isinstance(self.matrix, np.ndarray)

    def dense(self) -> NDArray[Any]:
        return self.matrix if isinstance(self.matrix, np.ndarray) else cast("NDArray[Any]", self.matrix.toarray())


Column = Any  # NDArray | pa.Array | Block; numpy's and pyarrow's own types are no more precise


def kind_of(column: Column) -> Kind:
    """By the table above."""
    if isinstance(column, Block):
        return Kind.BLOCK
    if isinstance(column, np.ndarray):
        return {"b": Kind.BOOLEAN, "M": Kind.TIME}.get(column.dtype.kind, Kind.NUMBER)
    return kind_of_arrow(column.type)


def kind_of_arrow(given: pa.DataType) -> Kind:
    """The kind a column of this Arrow type has once it is in a batch."""
    if pa.types.is_boolean(given):
        return Kind.BOOLEAN
    if pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given):
        return Kind.NUMBER
    if pa.types.is_timestamp(given) or pa.types.is_date(given):
        return Kind.TIME
    if pa.types.is_dictionary(given):
        return kind_of_arrow(given.value_type)
    if pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return Kind.TEXT
    return Kind.NUMBER if pa.types.is_null(given) else Kind.OTHER


def column_of(array: pa.Array) -> Column:
    """An Arrow array in the form its kind has in a batch."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    given = array.type
    match kind_of_arrow(given):
        case Kind.TEXT:
            return _text(array)
        case Kind.OTHER:
            return array
        case Kind.TIME:
            if pa.types.is_dictionary(given):
                array = array.dictionary_decode()
            return to_numpy(array.cast(pa.timestamp("us"), safe=False))
        case Kind.NUMBER | Kind.BOOLEAN if pa.types.is_dictionary(given):
            return column_of(array.dictionary_decode())
        case Kind.BOOLEAN if array.null_count:
            return to_numpy(array.cast(pa.int8()).cast(pa.float64()))
        case _ if pa.types.is_null(given) or pa.types.is_decimal(given) or pa.types.is_float16(given):
            return to_numpy(array.cast(pa.float64()))
        case _ if array.null_count and pa.types.is_integer(given):
            return to_numpy(array.cast(pa.float64(), safe=False))
        case _:
            return to_numpy(array)


def _text(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        if array.type.index_type != pa.int32() or array.type.value_type != pa.string():
            array = array.cast(pa.dictionary(pa.int32(), pa.string()))
        return array
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def numbers(column: Column) -> NDArray[np.float64]:
    """A number, boolean or time column as float64, NaN where missing; times as seconds since 1970.

    Raises StepError for text, blocks and others.
    """
    if isinstance(column, np.ndarray):
        if column.dtype == np.float64:
            return column
        if column.dtype.kind == "M":
            seconds = column.astype("datetime64[us]").astype(np.int64) / 1e6
            seconds[np.isnat(column)] = np.nan
            return seconds
        return column.astype(np.float64)
    raise StepError(f"it holds {kind_of(column)}, not numbers; cast it (step `cast`) or choose another column")


def coded(column: Column) -> tuple[NDArray[np.int32], pa.Array]:
    """(codes, levels): each value's place among the levels, -1 where missing; levels are distinct, not sorted.

    Levels are strings, save for numbers, booleans and times, whose levels are of their own type.
    """
    if isinstance(column, Block):
        raise StepError("it is a block of numeric columns, not a category")
    array = to_arrow(column) if isinstance(column, np.ndarray) else column
    if not pa.types.is_dictionary(array.type):
        if kind_of_arrow(array.type) is Kind.OTHER:
            raise StepError(f"it holds {array.type}, not a category")
        array = pc.dictionary_encode(array)
    return dictionary_codes(array), array.dictionary


def strings(column: Column) -> pa.Array:
    """A column as a plain pa.StringArray; numbers and times as they print. Raises StepError for blocks and others."""
    if isinstance(column, Block):
        raise StepError("it is a block of numeric columns, not text")
    array = to_arrow(column) if isinstance(column, np.ndarray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kind_of_arrow(array.type) is Kind.OTHER:
        raise StepError(f"it holds {array.type}, not text")
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def missing(column: Column) -> NDArray[np.bool_]:
    """Where a value is missing; of a block, where any is."""
    if isinstance(column, Block):
        matrix = column.matrix
        if isinstance(matrix, np.ndarray):
            return cast("NDArray[np.bool_]", np.isnan(matrix).any(axis=1))
        found = np.zeros(matrix.shape[0], dtype=bool)
        found[matrix.tocoo().row[np.isnan(matrix.data)]] = True
        return found
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "f":
            return np.isnan(column)
        return np.isnat(column) if column.dtype.kind == "M" else np.zeros(len(column), dtype=bool)
    return missing_mask(column)


@dataclass(frozen=True)
class Field:
    """What is known of a column before its values are.

    aside  it describes the rows and is no feature (`split`): no pattern and no keyword chooses it, only its name
    """

    name: str
    kind: Kind
    names: tuple[str, ...] = ()  # of a block's columns
    aside: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order."""

    fields: tuple[Field, ...]

    @classmethod
    def of_arrow(cls, schema: pa.Schema) -> Schema:
        return cls(tuple(Field(column.name, kind_of_arrow(column.type)) for column in schema))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.fields)

    @property
    def flat_names(self) -> tuple[str, ...]:
        """Names with those of blocks' columns in place of the blocks'."""
        return tuple(
            name for column in self.fields for name in (column.names if column.kind is Kind.BLOCK else (column.name,))
        )

    def __contains__(self, name: str) -> bool:
        return any(column.name == name for column in self.fields)

    def __getitem__(self, name: str) -> Field:
        for column in self.fields:
            if column.name == name:
                return column
        raise StepError(f"there is no such column; there are: {some(self.names)}", column=name)

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        return tuple(column.name for column in self.fields if column.kind in kinds)

    def replaced(self, removed: Iterable[str], made: Sequence[Field]) -> Schema:
        """Without the columns `removed`; each of `made` stands where the column of its name stood, else at the end."""
        new = {column.name: column for column in made}
        kept = [
            new.pop(column.name, column)
            for column in self.fields
            if column.name in new or column.name not in set(removed)
        ]
        return Schema((*kept, *new.values()))


def some(names: Iterable[object], most: int = 12) -> str:
    """Names for a message, cut short where there are many."""
    every = [repr(name) for name in names]
    return (
        ", ".join(every[:most]) + (f" … ({len(every) - most} more)" if len(every) > most else "") if every else "none"
    )


@dataclass(frozen=True)
class Batch:
    """Rows in columns, of one length.

    first_row, places  which rows of the table these are: the run from first_row on, or, where rows were left out of it,
                       the rows at these places.
    """

    columns: Mapping[str, Column]
    rows: int
    first_row: int = 0
    places: NDArray[np.int64] | None = field(default=None, compare=False)

    @classmethod
    def of_arrow(cls, given: pa.RecordBatch | pa.Table, first_row: int = 0) -> Batch:
        columns = {name: column_of(given.column(place)) for place, name in enumerate(given.schema.names)}
        return cls(columns, given.num_rows, first_row)

    @classmethod
    def of_pandas(cls, frame: pd.DataFrame) -> Batch:
        from clary.data.frames import arrow_of_pandas

        return cls.of_arrow(arrow_of_pandas(frame)[0])

    def __getitem__(self, name: str) -> Column:
        try:
            return self.columns[name]
        except KeyError:
            raise StepError(f"there is no such column; there are: {some(self.columns)}", column=name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """The place of each row in the table that was read: the same however it is cut into batches."""
        return np.arange(self.first_row, self.first_row + self.rows) if self.places is None else self.places

    @property
    def schema(self) -> Schema:
        return Schema(tuple(_field(name, column) for name, column in self.columns.items()))

    def only(self, names: Iterable[str]) -> Batch:
        return Batch({name: self[name] for name in names}, self.rows, self.first_row, self.places)

    def replaced(self, removed: Iterable[str], made: Mapping[str, Column]) -> Batch:
        """Without the columns `removed`; each of `made` stands where the column of its name stood, else at the end."""
        new = dict(made)
        out = set(removed) - set(new)
        columns = {name: new.pop(name, column) for name, column in self.columns.items() if name not in out}
        return Batch(columns | new, self.rows, self.first_row, self.places)

    def take(self, which: NDArray[Any]) -> Batch:
        """The rows at these places, or where this mask is true."""
        places = np.flatnonzero(which) if which.dtype == bool else which
        columns = {name: _taken(column, places) for name, column in self.columns.items()}
        return Batch(columns, len(places), self.first_row, self.row_numbers[places])

    def to_arrow(self) -> pa.Table:
        """With blocks' columns under their own names; a sparse block becomes dense."""
        arrays: dict[str, Any] = {}
        for name, column in self.columns.items():
            if isinstance(column, Block):
                matrix = column.dense()
                arrays |= {inner: pa.array(matrix[:, place]) for place, inner in enumerate(column.names)}
            elif isinstance(column, np.ndarray):
                arrays[name] = pa.array(column, from_pandas=True)
            else:
                arrays[name] = column
        return pa.table(arrays) if arrays else pa.table({"": pa.nulls(self.rows)}).drop_columns([""])

    def to_pandas(self) -> pd.DataFrame:
        """With blocks' columns under their own names; sparse ones stay sparse."""
        import pandas as pd

        made: list[pd.DataFrame | pd.Series] = []
        for name, column in self.columns.items():
            if isinstance(column, Block) and not isinstance(column.matrix, np.ndarray):
                sparse: Any = pd.DataFrame.sparse  # pandas-stubs know it of instances only
                made.append(sparse.from_spmatrix(column.matrix, columns=list(column.names)))
            elif isinstance(column, Block):
                made.append(pd.DataFrame(column.matrix, columns=list(column.names)))
            elif isinstance(column, np.ndarray):
                made.append(pd.Series(column, name=name))
            else:
                made.append(column.to_pandas().rename(name))
        return pd.concat(made, axis=1) if made else pd.DataFrame(index=range(self.rows))

    def matrix(self) -> Any:
        """(rows, features) float64: all columns side by side; a csr_matrix where a block is sparse.

        Raises StepError for a column that is not of numbers.
        """
        from scipy import sparse

        parts = [
            column.matrix if isinstance(column, Block) else _named(name, column)[:, None]
            for name, column in self.columns.items()
        ]
        if not parts:
            return np.empty((self.rows, 0))
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.hstack(parts).astype(np.float64, copy=False)
        return sparse.hstack([sparse.csr_matrix(part) for part in parts], format="csr", dtype=np.float64)


def _named(name: str, column: Column) -> NDArray[np.float64]:
    try:
        return numbers(column)
    except StepError as error:
        raise StepError(error.reason, column=name) from None


def _field(name: str, column: Column) -> Field:
    return Field(name, kind_of(column), column.names if isinstance(column, Block) else ())


def _taken(column: Column, places: NDArray[Any]) -> Column:
    if isinstance(column, Block):
        return Block(column.names, column.matrix[places])
    return column[places] if isinstance(column, np.ndarray) else column.take(to_arrow(places))


def concatenated(batches: Sequence[Batch]) -> Batch:
    """The rows of all, one after the other. All have the same columns. Raises DataError where there is none."""
    if not batches:
        raise DataError("no rows")
    if len(batches) == 1:
        return batches[0]
    columns = {name: _joined([batch[name] for batch in batches]) for name in batches[0]}
    places = np.concatenate([batch.row_numbers for batch in batches])
    return Batch(columns, len(places), batches[0].first_row, places)


def _joined(columns: Sequence[Column]) -> Column:
    first = columns[0]
    if isinstance(first, Block):
        if all(isinstance(column.matrix, np.ndarray) for column in columns):
            return Block(first.names, np.vstack([column.matrix for column in columns]))
        from scipy import sparse

        return Block(first.names, sparse.vstack([column.matrix for column in columns], format="csr"))
    if isinstance(first, np.ndarray):
        return np.concatenate(columns)
    if len({column.type for column in columns}) > 1:
        columns = [strings(column) for column in columns]
    if pa.types.is_dictionary(first.type) and pa.types.is_dictionary(columns[0].type):
        return pa.chunked_array(columns).unify_dictionaries().combine_chunks()
    return pa.concat_arrays(columns)
