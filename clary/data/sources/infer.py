"""What the cells of a text file hold: from words to typed columns, and which words do not fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.sources.cells import ARROW, PATTERNS, Cells, Type, wider


@dataclass(frozen=True)
class Converted:
    """A column of typed values.

    array    of `type`; null where missing, and where a word does not fit
    misfits  where words do not fit, None where all do
    needed   the type that would hold all
    missing  how often each marker stood for a missing value
    """

    array: pa.Array
    type: Type
    misfits: NDArray[np.bool_] | None = None
    needed: Type = Type.NOTHING
    missing: Counter[str] = field(default_factory=Counter)


def convert(words: pa.Array, wanted: Type, cells: Cells) -> Converted:
    """Words as the wanted type.

    words  pa.StringArray, or for text a pa.DictionaryArray of strings; no nulls, save for cells that are missing
    """
    if pa.types.is_dictionary(words.type):
        return _coded(words, cells)
    words, missing = _without_empty(words, cells)
    if wanted in (Type.INTEGER, Type.NUMBER, Type.TIME, Type.BOOLEAN) and cells.plain:
        quick = _quick(words, wanted)
        if quick is not None:
            return Converted(quick, wanted, needed=wanted, missing=missing)
    words, more = _without_markers(words, cells)
    missing.update(more)
    if wanted is Type.TEXT:
        return Converted(pc.utf8_trim_whitespace(words) if cells.trim else words, wanted, None, wanted, missing)
    array, fits = _fitting(words, wanted, cells)
    if fits is None:
        return Converted(array, wanted, None, wanted, missing)
    misfits = ~fits & ~_nulls(words)
    found = guess(words.filter(pa.array(misfits)), cells)
    needed = wider(wanted, found)
    if needed is Type.NUMBER and _fitting(words, Type.NUMBER, cells)[1] is not None:
        needed = Type.TEXT  # one of them is a whole number of more than 64 bits
    return Converted(array, wanted, misfits, needed, missing)


def guess(words: pa.Array, cells: Cells, tolerance: float = 0.0) -> Type:
    """The narrowest type that all words fit, or all but this share of them. Missing markers are none of the words."""
    words = _without_markers(_without_empty(words, cells)[0], cells)[0].drop_null()
    if not len(words):
        return Type.NOTHING
    most = int(tolerance * len(words))
    for kind in (Type.BOOLEAN, Type.INTEGER, Type.NUMBER, Type.TIME, Type.ZONED):
        _, fits = _fitting(words, kind, cells)
        if fits is None:
            return kind
        if np.count_nonzero(~fits) <= most and (kind is not Type.INTEGER or _no_decimals(words, fits, cells)):
            return kind
    return Type.TEXT


def _no_decimals(words: pa.Array, fits: NDArray[np.bool_], cells: Cells) -> bool:
    """Whether what is no whole number is no number at all."""
    return guess(words.filter(pa.array(~fits)), cells) is not Type.NUMBER


def _quick(words: pa.Array, wanted: Type) -> pa.Array | None:
    """None where a word does not fit as it stands, or may mean something else."""
    if wanted in (Type.INTEGER, Type.NUMBER) and _leading_zeros(words):
        return None
    try:
        array = pc.cast(words, ARROW[wanted])
    except pa.ArrowInvalid:
        return None
    # Perhaps a whole number of more digits than a float holds; and NaN is a missing value, to be told.
    if wanted is Type.NUMBER and pc.any(pc.or_(pc.greater_equal(pc.abs(array), 1e18), pc.is_nan(array))).as_py():
        return None
    return array


def _leading_zeros(words: pa.Array) -> bool:
    """Whether a word begins with a zero and goes on with a digit, or as a hexadecimal number; signs are passed over."""
    offsets, letters = _letters(words)
    lengths = np.diff(offsets)
    at = offsets[:-1][lengths > 1]
    if not len(at):
        return False
    first = letters[at]
    signed = (first == ord("-")) | (first == ord("+"))
    if signed.any():
        long = lengths[lengths > 1] > 2
        at = np.where(signed & long, at + 1, at)
        first = letters[at]
    at = at[first == ord("0")]
    after = letters[np.minimum(at + 1, len(letters) - 1)]
    return bool((((after >= ord("0")) & (after <= ord("9"))) | (after | 32 == ord("x"))).any())


def _letters(words: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    _, offsets, data = words.buffers()
    bounds = np.frombuffer(offsets, np.int32)[words.offset : words.offset + len(words) + 1]
    return bounds, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)


def _without_empty(words: pa.Array, cells: Cells) -> tuple[pa.Array, Counter[str]]:
    if "" not in cells.missing or not len(words):
        return words, Counter()
    offsets, _ = _letters(words)
    empty = offsets[1:] == offsets[:-1]
    if words.null_count:
        empty &= ~_nulls(words)
    found = int(np.count_nonzero(empty))
    if not found:
        return words, Counter()
    if words.null_count or words.offset:
        return pc.if_else(pa.array(empty), pa.scalar(None, pa.string()), words), Counter({"": found})
    valid = pa.py_buffer(np.packbits(~empty, bitorder="little"))
    _, bounds, data = words.buffers()
    return pa.StringArray.from_buffers(len(words), bounds, data, valid, found), Counter({"": found})


def _without_markers(words: pa.Array, cells: Cells) -> tuple[pa.Array, Counter[str]]:
    markers = pa.array(sorted(cells.missing), pa.string())
    bare = pc.utf8_trim_whitespace(words)
    hit = pc.is_in(bare, markers)
    if not pc.any(hit).as_py():
        return words, Counter()
    counts = pc.value_counts(bare.filter(hit))
    found = Counter({one["values"].as_py(): one["counts"].as_py() for one in counts})
    return pc.if_else(hit, pa.scalar(None, pa.string()), words), found


def _coded(words: pa.DictionaryArray, cells: Cells) -> Converted:
    levels = words.dictionary
    bare = pc.utf8_trim_whitespace(levels)
    kept = bare if cells.trim else levels
    hit = pc.is_in(bare, pa.array(sorted(cells.missing), pa.string()))
    missing: Counter[str] = Counter()
    if pc.any(hit).as_py():
        often = np.bincount(words.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(levels))
        for place in np.flatnonzero(hit.to_numpy(zero_copy_only=False)):
            missing[bare[int(place)].as_py()] += int(often[place])
        kept = pc.if_else(hit, pa.scalar(None, pa.string()), kept)
    elif not cells.trim:
        return Converted(words, Type.TEXT, None, Type.TEXT, missing)
    places = pc.dictionary_encode(kept)  # trimmed levels may have become the same
    codes = places.indices.take(words.indices)
    return Converted(pa.DictionaryArray.from_arrays(codes, places.dictionary), Type.TEXT, None, Type.TEXT, missing)


def _fitting(words: pa.Array, wanted: Type, cells: Cells) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """(values, where words fit): null where they do not; None in place of the second where all do."""
    if wanted is Type.NOTHING:
        return pa.nulls(len(words)), None if words.null_count == len(words) else _nulls(words)
    words = cells.number_words(words) if wanted in (Type.INTEGER, Type.NUMBER) else pc.utf8_trim_whitespace(words)
    looks = pc.match_substring_regex(words, PATTERNS[wanted])
    if wanted is Type.NUMBER:
        looks = pc.and_(looks, pc.invert(_too_long(words)))
    good = pc.if_else(looks, words, pa.scalar(None, pa.string()))
    if wanted in (Type.INTEGER, Type.NUMBER):
        good = pc.replace_substring_regex(good, r"^\+", "")
    elif wanted is Type.BOOLEAN:
        good = pc.utf8_lower(good)
    try:
        array = pc.cast(good, ARROW[wanted])
    except pa.ArrowInvalid:  # of the right look, but a 13th month, or a number of more than 64 bits
        array = pa.array([_one(word, wanted) for word in good], ARROW[wanted])
    fits = array.is_valid().to_numpy(zero_copy_only=False) | _nulls(words)
    return array, None if fits.all() else fits


def _too_long(words: pa.Array) -> pa.Array:
    """Whole numbers of more digits than a float holds, that would silently become others."""
    return pc.match_substring_regex(words, r"^[+-]?\d{19,}$")


def _one(word: pa.Scalar, wanted: Type) -> Any:
    try:
        return pc.cast(word, ARROW[wanted])
    except pa.ArrowInvalid:
        return None


def _nulls(words: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = words.is_null().to_numpy(zero_copy_only=False)
    return found
