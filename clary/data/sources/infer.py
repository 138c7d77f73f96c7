"""The types of a text file's columns: from texts to typed values, and which texts do not fit."""

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

    array    of `type`; null where missing, and where a text does not fit
    misfits  where texts do not fit, None where all do
    needed   the type that would hold all values
    missing  how often each marker stood for a missing value
    """

    array: pa.Array
    type: Type
    misfits: NDArray[np.bool_] | None = None
    needed: Type = Type.NOTHING
    missing: Counter[str] = field(default_factory=Counter)


def convert(texts: pa.Array, wanted: Type, cells: Cells) -> Converted:
    """Texts as the wanted type.

    texts  pa.StringArray, or for text a pa.DictionaryArray of strings; null only where a cell is missing
    """
    if pa.types.is_dictionary(texts.type):
        return _coded(texts, cells)
    texts, missing = _without_empty(texts, cells)
    if wanted in (Type.INTEGER, Type.NUMBER, Type.TIME, Type.BOOLEAN) and cells.is_standard:
        quick = _converted_by_arrow(texts, wanted)
        if quick is not None:
            return Converted(quick, wanted, needed=wanted, missing=missing)
    texts, more = _without_markers(texts, cells)
    missing.update(more)
    if wanted is Type.TEXT:
        return Converted(pc.utf8_trim_whitespace(texts) if cells.trim else texts, wanted, None, wanted, missing)
    array, fits = _fitting(texts, wanted, cells)
    if fits is None:
        return Converted(array, wanted, None, wanted, missing)
    misfits = ~fits & ~_nulls(texts)
    found = guess(texts.filter(pa.array(misfits)), cells)
    needed = wider(wanted, found)
    if needed is Type.NUMBER and _fitting(texts, Type.NUMBER, cells)[1] is not None:
        needed = Type.TEXT  # one of them is a whole number of more than 64 bits
    return Converted(array, wanted, misfits, needed, missing)


def guess(texts: pa.Array, cells: Cells, tolerance: float = 0.0) -> Type:
    """The narrowest type that all texts fit, or all but this share of them. Missing markers are not counted."""
    texts = _without_markers(_without_empty(texts, cells)[0], cells)[0].drop_null()
    if not len(texts):
        return Type.NOTHING
    most = int(tolerance * len(texts))
    for kind in (Type.BOOLEAN, Type.INTEGER, Type.NUMBER, Type.TIME, Type.ZONED):
        _, fits = _fitting(texts, kind, cells)
        if fits is None:
            return kind
        if np.count_nonzero(~fits) <= most and (kind is not Type.INTEGER or _no_decimals(texts, fits, cells)):
            return kind
    return Type.TEXT


def _no_decimals(texts: pa.Array, fits: NDArray[np.bool_], cells: Cells) -> bool:
    """Whether the texts that are not whole numbers are not numbers at all."""
    return guess(texts.filter(pa.array(~fits)), cells) is not Type.NUMBER


def _converted_by_arrow(texts: pa.Array, wanted: Type) -> pa.Array | None:
    """The texts converted by Arrow; None where a text does not fit, or might be misread."""
    if wanted in (Type.INTEGER, Type.NUMBER) and _leading_zeros(texts):
        return None
    try:
        array = pc.cast(texts, ARROW[wanted])
    except pa.ArrowInvalid:
        return None
    # Perhaps a whole number of more digits than a float holds; and NaN is a missing value, to be noted.
    if wanted is Type.NUMBER and pc.any(pc.or_(pc.greater_equal(pc.abs(array), 1e18), pc.is_nan(array))).as_py():
        return None
    return array


def _leading_zeros(texts: pa.Array) -> bool:
    """Whether a text, without its sign, begins with a zero and another digit, or as a hexadecimal number does."""
    offsets, characters = _characters(texts)
    lengths = np.diff(offsets)
    at = offsets[:-1][lengths > 1]
    if not len(at):
        return False
    first = characters[at]
    signed = (first == ord("-")) | (first == ord("+"))
    if signed.any():
        long = lengths[lengths > 1] > 2
        at = np.where(signed & long, at + 1, at)
        first = characters[at]
    at = at[first == ord("0")]
    after = characters[np.minimum(at + 1, len(characters) - 1)]
    return bool((((after >= ord("0")) & (after <= ord("9"))) | (after | 32 == ord("x"))).any())


def _characters(texts: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return bounds, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)


def _without_empty(texts: pa.Array, cells: Cells) -> tuple[pa.Array, Counter[str]]:
    if "" not in cells.missing or not len(texts):
        return texts, Counter()
    offsets, _ = _characters(texts)
    empty = offsets[1:] == offsets[:-1]
    if texts.null_count:
        empty &= ~_nulls(texts)
    found = int(np.count_nonzero(empty))
    if not found:
        return texts, Counter()
    if texts.null_count or texts.offset:
        return pc.if_else(pa.array(empty), pa.scalar(None, pa.string()), texts), Counter({"": found})
    valid = pa.py_buffer(np.packbits(~empty, bitorder="little"))
    _, bounds, data = texts.buffers()
    return pa.StringArray.from_buffers(len(texts), bounds, data, valid, found), Counter({"": found})


def _without_markers(texts: pa.Array, cells: Cells) -> tuple[pa.Array, Counter[str]]:
    markers = pa.array(sorted(cells.missing), pa.string())
    trimmed = pc.utf8_trim_whitespace(texts)
    hit = pc.is_in(trimmed, markers)
    if not pc.any(hit).as_py():
        return texts, Counter()
    counts = pc.value_counts(trimmed.filter(hit))
    found = Counter({entry["values"].as_py(): entry["counts"].as_py() for entry in counts})
    return pc.if_else(hit, pa.scalar(None, pa.string()), texts), found


def _coded(texts: pa.DictionaryArray, cells: Cells) -> Converted:
    levels = texts.dictionary
    trimmed = pc.utf8_trim_whitespace(levels)
    kept = trimmed if cells.trim else levels
    hit = pc.is_in(trimmed, pa.array(sorted(cells.missing), pa.string()))
    missing: Counter[str] = Counter()
    if pc.any(hit).as_py():
        counts = np.bincount(texts.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(levels))
        for place in np.flatnonzero(hit.to_numpy(zero_copy_only=False)):
            missing[trimmed[int(place)].as_py()] += int(counts[place])
        kept = pc.if_else(hit, pa.scalar(None, pa.string()), kept)
    elif not cells.trim:
        return Converted(texts, Type.TEXT, None, Type.TEXT, missing)
    places = pc.dictionary_encode(kept)  # trimmed levels may be equal
    codes = places.indices.take(texts.indices)
    return Converted(pa.DictionaryArray.from_arrays(codes, places.dictionary), Type.TEXT, None, Type.TEXT, missing)


def _fitting(texts: pa.Array, wanted: Type, cells: Cells) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """(values, null where a text does not fit; a mask of those that fit, None where all do)."""
    if wanted is Type.NOTHING:
        return pa.nulls(len(texts)), None if texts.null_count == len(texts) else _nulls(texts)
    texts = cells.number_texts(texts) if wanted in (Type.INTEGER, Type.NUMBER) else pc.utf8_trim_whitespace(texts)
    matches = pc.match_substring_regex(texts, PATTERNS[wanted])
    if wanted is Type.NUMBER:
        matches = pc.and_(matches, pc.invert(_too_long(texts)))
    good = pc.if_else(matches, texts, pa.scalar(None, pa.string()))
    if wanted in (Type.INTEGER, Type.NUMBER):
        good = pc.replace_substring_regex(good, r"^\+", "")
    elif wanted is Type.BOOLEAN:
        good = pc.utf8_lower(good)
    try:
        array = pc.cast(good, ARROW[wanted])
    except pa.ArrowInvalid:  # a match of the pattern, but a 13th month, or a number of more than 64 bits
        array = pa.array([_converted(text, wanted) for text in good], ARROW[wanted])
    fits = array.is_valid().to_numpy(zero_copy_only=False) | _nulls(texts)
    return array, None if fits.all() else fits


def _too_long(texts: pa.Array) -> pa.Array:
    """Whole numbers of more digits than a float holds, which would silently change."""
    return pc.match_substring_regex(texts, r"^[+-]?\d{19,}$")


def _converted(text: pa.Scalar, wanted: Type) -> Any:
    try:
        return pc.cast(text, ARROW[wanted])
    except pa.ArrowInvalid:
        return None


def _nulls(texts: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = texts.is_null().to_numpy(zero_copy_only=False)
    return found
