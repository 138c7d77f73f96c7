"""64 bits for each value, the same wherever it stands: to count distinct values and equal rows without keeping them.

Two different values share a hash once in 2^64 pairs: of ten million values some two do with probability 3e-6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.arrow import dictionary_codes, missing_mask, to_numpy
from clary.data.batch import Column

Hashes = NDArray[np.uint64]

MISSING = np.uint64(0x5BF0_3635_DCF9_8A3D)
_LARGE = 1 << 53  # beyond it not every integer is a float64
_LONG = 512  # bytes; longer texts are rare, and hashed one by one
_ODD = np.uint64(0x9E37_79B9_7F4A_7C15)
_FACTORS = (_ODD, np.uint64(0xD1B5_4A32_D192_ED03))  # of a row's hash, by seed
_MASKS = np.array([(1 << (8 * count)) - 1 for count in range(9)], np.uint64)


def uniform(values: NDArray[np.int64] | Hashes, seed: int = 0) -> NDArray[np.float64]:
    """Each value as a number in [0, 1) that looks random and is always the same."""
    return (splitmix64(values, seed) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def splitmix64(values: NDArray[Any], seed: int = 0) -> Hashes:
    """Each value's 64 bits, mixed: rows are chosen, and divided, by it; saved recipes hold what it gave.

    Reference  Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
    """
    x = values.astype(np.uint64) + np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) & 0xFFFFFFFFFFFFFFFF)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def murmur_mix(bits: Hashes) -> Hashes:
    """The finaliser of MurmurHash3 (Appleby, 2011), in place: values are hashed by it."""
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0xFF51_AFD7_ED55_8CCD)
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0xC4CE_B9FE_1A85_EC53)
    bits ^= bits >> np.uint64(33)
    return bits


def distinct(hashes: Hashes) -> Hashes:
    """Each once, in order: quicker by sorting than by numpy.unique, which may build a table."""
    ordered = np.sort(hashes)
    return ordered[runs_of_equal(ordered)[0]]


def runs_of_equal(ordered: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(where each run of equal values starts, how many there are of it)."""
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    return starts, np.diff(np.append(starts, len(ordered)))


def hashes_of_numbers(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> Hashes:
    """Of numbers, booleans or times: equal numbers of different dtypes have equal hashes; MISSING where missing."""
    if values.dtype.kind == "M":
        bits = values.astype("datetime64[us]").view(np.int64).astype(np.uint64)
    else:
        bits = (values.astype(np.float64, copy=False) + 0.0).view(np.uint64)  # -0.0 becomes 0.0
        if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and len(values):
            large = (values > _LARGE) | (values < -_LARGE) if values.dtype.kind == "i" else values > _LARGE
            np.copyto(bits, values.view(np.uint64) ^ _ODD, where=large)
    murmur_mix(bits)
    if missing is not None:
        np.copyto(bits, MISSING, where=missing)
    return bits


def hashes_of_texts(array: pa.Array, seed: int = 0) -> Hashes:
    """Of strings or bytes; MISSING where missing. Those of two seeds do not depend on each other."""
    starts, lengths, words = _words(array)
    hashes = lengths.astype(np.uint64) * _ODD
    if seed:
        hashes ^= splitmix64(np.array([seed]))
    longest, shortest = int(lengths.max(initial=0)), int(lengths.min(initial=_LONG))
    for place in range(0, max(1, min(longest, _LONG)), 8):  # an empty text has its hash whatever the others are
        rows: Any = np.flatnonzero(lengths > place) if place and shortest <= place else slice(None)
        word = words[starts[rows] + place]
        if shortest < place + 8:
            word &= _MASKS[np.clip(lengths[rows] - place, 0, 8)]
        word ^= hashes[rows]
        word *= _ODD
        word ^= word >> np.uint64(32)
        hashes[rows] = word
    murmur_mix(hashes)
    for row in np.flatnonzero(lengths > _LONG):
        salt = seed.to_bytes(8, "little")
        digest = hashlib.blake2b(_bytes(array[int(row)].as_py()), digest_size=8, salt=salt).digest()
        hashes[row] = int.from_bytes(digest, "little")
    if array.null_count:
        hashes[missing_mask(array)] = MISSING
    return hashes


def _words(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
    """(where each text starts, its bytes, the eight bytes from any place on as one number)."""
    _, offsets, data = array.buffers()
    if not len(array) or offsets is None:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(1, np.uint64)
    ends = np.frombuffer(offsets, np.int32, len(array) + 1, 4 * array.offset).astype(np.int64)
    first, last = int(ends[0]), int(ends[-1])
    padded = np.zeros(last - first + 8, np.uint8)
    if last > first:
        padded[:-8] = np.frombuffer(data, np.uint8, last - first, first)
    words = np.ndarray((last - first + 1,), np.uint64, padded.data, strides=(1,))
    return ends[:-1] - first, np.diff(ends), words


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def hashes_of(column: Column, missing: NDArray[np.bool_] | None = None, seed: int = 0) -> Hashes:
    """Of any column but a block. Of numbers the seed makes no other hashes: two of them never share one."""
    if isinstance(column, np.ndarray):
        return hashes_of_numbers(column, missing)
    if pa.types.is_dictionary(column.type):
        if not len(column.dictionary):
            return np.full(len(column), MISSING, np.uint64)
        table = np.append(hashes_of(column.dictionary, seed=seed), MISSING)
        found: Hashes = table.take(dictionary_codes(column))
        return found
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return hashes_of_texts(column, seed)
    return _hashes_of_others(column, seed)


def _hashes_of_others(column: pa.Array, seed: int) -> Hashes:
    """Of lists, structs and the like, by how they print: slow, and rare in a table."""
    if pa.types.is_large_binary(column.type) or pa.types.is_fixed_size_binary(column.type):
        return hashes_of_texts(column.cast(pa.binary()), seed)
    if pa.types.is_duration(column.type) or pa.types.is_time(column.type):
        whole = column.view(pa.int64() if column.type.bit_width == 64 else pa.int32())
        missing = missing_mask(column)
        return hashes_of_numbers(to_numpy(pc.fill_null(whole, 0)).astype(np.int64), missing)
    printed = [None if value is None else repr(value) for value in column.to_pylist()]
    return hashes_of_texts(pa.array(printed, pa.string()), seed)


def row_hashes(columns: Iterable[Hashes], rows: int, seed: int = 0) -> Hashes:
    """One hash for each row, of those of its values in each column; seed is 0 or 1."""
    hashes = np.zeros(rows, np.uint64)
    for column in columns:
        hashes *= _FACTORS[seed]
        hashes += column
    return murmur_mix(hashes)
