"""Words of many texts at once.

Texts of ASCII alone, most in most tables, are worked on as one array of bytes; the others in Python, one by one. Both
give the same: what Python says of a text is the definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Column, Kind, kind_of, numbers, strings
from clary.data.errors import StepError

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]

# What str.split, `\w` and str.lower make of ASCII.
_ASCII = [chr(code) for code in range(128)]
SPACE = np.array([not sign.split() for sign in _ASCII] + [False] * 128)
WORD = np.array([bool(re.fullmatch(r"\w", sign)) for sign in _ASCII] + [False] * 128)
LOWER = np.array([ord(sign.lower()) for sign in _ASCII] + list(range(128, 256)), np.uint8)
SAME = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True)
class Words:
    """Words of texts, in order.

    texts   (words,), the text that each is in, by its place; ascending
    words   pa.StringArray
    count   of texts
    """

    texts: Places
    words: pa.Array
    count: int

    def where(self, kept: NDArray[np.bool_]) -> Words:
        return self if kept.all() else Words(self.texts[kept], self.words.filter(pa.array(kept)), self.count)

    def joined(self) -> pa.Array:
        """Each text's words with a blank between them, as a pa.StringArray."""
        ends = np.searchsorted(self.texts, np.arange(self.count + 1)).astype(np.int32)
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), self.words), " ")


def text_of(column: Column) -> pa.Array:
    """A column of text as it is; one without any value is of a kind that says nothing. Raises StepError for others."""
    kind = kind_of(column)
    if kind is Kind.TEXT:
        return column
    if kind is Kind.NUMBER and np.isnan(numbers(column)).all():
        return pa.nulls(len(column), pa.string())
    raise StepError(f"it holds {kind}, not text; cast it (step `cast`)")


def bytes_of(texts: pa.Array) -> tuple[Bytes, Places]:
    """(bytes, (texts + 1,) where each begins in them): all of a pa.StringArray; a missing text is empty."""
    if texts.null_count:
        texts = texts.fill_null("")
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1] if offsets else np.zeros(1)
    if not len(texts):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    first, last = int(ends[0]), int(ends[-1])
    inside = np.frombuffer(data, np.uint8)[first:last] if data is not None else np.empty(0, np.uint8)
    return inside, ends.astype(np.int64) - first


def texts_of(data: Bytes, ends: Places) -> pa.Array:
    """A pa.StringArray of bytes that are UTF-8."""
    # A copy belongs to Arrow; what numpy lends must not be changed afterwards.
    return pa.StringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data))


def runs(data: Bytes, ends: Places, inside: NDArray[np.bool_], least: int = 1) -> Words:
    """Runs of at least so many bytes for which `inside` is true; none goes on from one text into the next."""
    words = inside.take(data)
    if not words.any():
        return Words(np.empty(0, np.int64), pa.array([], pa.string()), len(ends) - 1)
    before, after = np.zeros(len(words), bool), np.zeros(len(words), bool)
    before[1:], after[:-1] = words[:-1], words[1:]
    inner = ends[(ends > 0) & (ends < len(words))]
    before[inner], after[inner - 1] = False, False
    starts, stops = np.flatnonzero(words & ~before), np.flatnonzero(words & ~after) + 1
    lengths, letters = stops - starts, data[words]
    if least > 1:
        long = lengths >= least
        letters, starts, lengths = letters[np.repeat(long, lengths)], starts[long], lengths[long]
    texts = np.searchsorted(ends, starts, side="right") - 1
    return Words(texts, texts_of(letters, np.concatenate([[0], np.cumsum(lengths)])), len(ends) - 1)


def in_two(
    texts: pa.Array, quick: Callable[[pa.Array], Any], slow: Callable[[str], Any], also_slow: str = ""
) -> tuple[NDArray[np.bool_], Any, list[Any]]:
    """(which rows are ASCII, what `quick` makes of all these, what `slow` makes of each of the others).

    Missing texts are among the quick ones. also_slow: what makes a text slow though it is ASCII, if it is in it.
    """
    plain = pc.string_is_ascii(texts).fill_null(True)
    if also_slow:
        plain = pc.and_(plain, pc.invert(pc.match_substring(texts, also_slow).fill_null(False)))
    which = plain.to_numpy(zero_copy_only=False)
    if which.all():
        return which, quick(texts), []
    others = texts.filter(pc.invert(plain)).to_pylist()
    return which, quick(texts.filter(plain)), [slow(text) for text in others]


def each_word(texts: pa.Array, quick: Callable[[pa.Array], Words], slow: Callable[[str], Sequence[str]]) -> Words:
    """The words of all texts; a missing one has none."""
    which, found, others = in_two(texts, quick, slow)
    if which.all():
        return found  # type: ignore[no-any-return]
    places = np.flatnonzero(which)[found.texts]
    more = np.repeat(np.flatnonzero(~which), [len(words) for words in others])
    words = pa.concat_arrays([found.words, pa.array([word for words in others for word in words], pa.string())])
    every = np.concatenate([places, more])
    order = np.argsort(every, kind="stable")
    return Words(every[order], words.take(pa.array(order)), len(texts))


def each_text(
    texts: pa.Array, quick: Callable[[pa.Array], pa.Array], slow: Callable[[str], str], also_slow: str = ""
) -> pa.Array:
    """Each text anew, as a pa.StringArray; a missing one stays missing."""
    which, found, others = in_two(texts, quick, slow, also_slow)
    if not which.all():
        order = np.empty(len(texts), np.int64)
        order[which], order[~which] = np.arange(len(found)), np.arange(len(found), len(texts))
        found = pa.concat_arrays([found, pa.array(others, pa.string())]).take(pa.array(order))
    if texts.null_count:
        found = pc.if_else(texts.is_valid(), found, pa.scalar(None, pa.string()))
    return found


def split_words(texts: pa.Array) -> Words:
    """What white space separates, as str.split has it."""
    return each_word(texts, lambda some: runs(*bytes_of(some), ~SPACE), str.split)


def of_distinct(column: Column, change: Callable[[pa.Array], pa.Array]) -> Column:
    """A text column changed text by text: once per distinct text where it has codes for them."""
    column = text_of(column)
    if not pa.types.is_dictionary(column.type) or len(column.dictionary) > len(column):
        return change(strings(column))
    changed = pc.dictionary_encode(change(column.dictionary))
    return pa.DictionaryArray.from_arrays(changed.indices.take(column.indices), changed.dictionary)
