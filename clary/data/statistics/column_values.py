"""The columns of a batch in the forms that several statistics share, each made once for a batch."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.arrow import dictionary_codes, missing_mask, to_numpy
from clary.data.batch import Batch, Field, Kind
from clary.data.statistics.hashes import MISSING, Hashes, hashes_of, hashes_of_numbers

Mask = NDArray[np.bool_]
NUMERIC = (Kind.NUMBER, Kind.BOOLEAN, Kind.TIME)
_DICTIONARIES = 8  # remembered of a column: each core works on one
_NAT = np.iinfo(np.int64).min


class NumberValues:
    """A column of numbers, booleans or times.

    native   as they are in the batch; times as int64 microseconds since 1970, booleans as float64
    floats   as float64; NaN where missing
    missing  where a value is missing; None where none is
    """

    def __init__(self, column: NDArray[Any], kind: Kind) -> None:
        self._column = column
        self.native: NDArray[Any]
        self.floats: NDArray[np.float64]
        self.missing: Mask | None
        if column.dtype.kind == "M":
            self.native = column.astype("datetime64[us]", copy=False).view(np.int64)
            missing = self.native == _NAT
            self.floats = self.native.astype(np.float64)
            self.missing = missing if missing.any() else None
            if self.missing is not None:
                self.floats[missing] = np.nan
            return
        self.floats = column.astype(np.float64, copy=False)
        self.native = self.floats if kind is Kind.BOOLEAN else column
        nans = np.isnan(self.floats) if self.native.dtype.kind == "f" else None
        self.missing = nans if nans is not None and nans.any() else None

    @functools.cached_property
    def hashes(self) -> Hashes:
        return hashes_of_numbers(self._column if self._column.dtype.kind == "M" else self.native, self.missing)


@dataclass(frozen=True)
class Dictionary:
    """The distinct values of a column's dictionary, made once for the many batches that share it.

    hashes   one more than values: MISSING, which the code -1 finds
    lengths  in characters
    """

    values: pa.Array
    hashes: Hashes
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, values: pa.Array) -> Dictionary:
        hashes = hashes_of(values) if len(values) else np.empty(0, np.uint64)
        return cls(values, np.append(hashes, MISSING), lengths_of(values))


def lengths_of(array: pa.Array) -> NDArray[np.int64]:
    """Of texts, in characters; 0 for missing ones and for values that are no texts."""
    if not pa.types.is_string(array.type):
        return np.zeros(len(array), np.int64)
    lengths = pc.utf8_length(array)
    if not lengths.null_count:
        return np.asarray(to_numpy(lengths), np.int64)
    data = np.frombuffer(lengths.buffers()[1], np.int32)[lengths.offset : lengths.offset + len(lengths)]
    return np.where(missing_mask(lengths), 0, data).astype(np.int64)


@dataclass(frozen=True)
class TextValues:
    """A column of texts, or of lists and bytes: codes of a dictionary, or no codes where a dictionary would not help.

    missing  where a value is missing; None where none is
    """

    array: pa.Array
    missing: Mask | None
    hashes: Hashes
    dictionary: Dictionary | None = None
    codes: NDArray[np.int32] | None = None


class _TextColumn:
    """Makes TextValues of a column's batches."""

    def __init__(self, kind: Kind) -> None:
        self._texts = kind is Kind.TEXT
        self.encode = self._texts
        self._dictionaries: tuple[Dictionary, ...] = ()

    def values(self, array: pa.Array) -> TextValues:
        missing = missing_mask(array) if array.null_count else None
        encoded = pa.types.is_dictionary(array.type)
        if encoded and (not self._texts or array.dictionary.null_count):
            array, encoded = array.dictionary_decode(), False
        if not encoded and not self.encode:
            return TextValues(array, missing, hashes_of(array))
        coded = array if encoded else pc.dictionary_encode(array)
        dictionary = self._dictionary(coded.dictionary) if encoded else Dictionary.of(coded.dictionary)
        codes = dictionary_codes(coded)
        return TextValues(array, missing, dictionary.hashes.take(codes), dictionary, codes)

    def _dictionary(self, values: pa.Array) -> Dictionary:
        """Readers make the same dictionary anew for every batch: comparing it is far quicker than hashing it."""
        for known in self._dictionaries:
            if len(known.values) == len(values) and known.values.equals(values):
                return known
        made = Dictionary.of(values)
        self._dictionaries = (made, *self._dictionaries[: _DICTIONARIES - 1])  # replaced whole: other threads read it
        return made


class ColumnValues:
    """Gives the forms of a table's columns; to be used by any number of threads, each of which keeps one batch's."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._kinds = {field.name: field.kind for field in fields}
        self._texts = {name: _TextColumn(kind) for name, kind in self._kinds.items() if kind not in NUMERIC}
        self._thread = threading.local()

    def numbers(self, batch: Batch, name: str) -> NumberValues:
        made: NumberValues = self.of(batch, name)
        return made

    def texts(self, batch: Batch, name: str) -> TextValues:
        made: TextValues = self.of(batch, name)
        return made

    def of(self, batch: Batch, name: str) -> Any:
        """NumberValues or TextValues, by the column's kind."""
        thread = self._thread
        if getattr(thread, "batch", None) is not batch:
            thread.batch, thread.values = batch, {}
        if name not in thread.values:
            kind = self._kinds[name]
            column = batch[name]
            thread.values[name] = NumberValues(column, kind) if kind in NUMERIC else self._texts[name].values(column)
        return thread.values[name]

    def stop_encoding(self, name: str) -> None:
        """A column of texts has too many different ones for dictionaries to be of use."""
        self._texts[name].encode = False
