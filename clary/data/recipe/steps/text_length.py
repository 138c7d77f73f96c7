"""How long texts are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Column, Field, Kind, Schema, strings
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.categories import PerSource, check_free
from clary.data.statistics.words import SPACE, bytes_of, in_two, runs, text_of

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

MEASURES = ("characters", "words", "sentences", "mean_word_length")
ENDS, CLOSING = ".!?…。！？", "\"')]}»”’"


@step
@dataclass(frozen=True, kw_only=True)
class TextLength(Step):
    """How long each text is, each measure a column `<column>_<measure>`.

    measures  characters (code points); words (what white space separates); sentences (a word that ends in . ! ? or …
              ends one, an "e.g." too; what comes after the last is one more); mean_word_length (characters, 0 where
              there is no word)
    drop      whether the column itself goes

    A missing text is missing in all of them.
    """

    name: ClassVar[str] = "text_length"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT,)

    measures: tuple[str, ...] = MEASURES
    drop: bool = False

    def __post_init__(self) -> None:
        need(bool(self.measures), "name at least one", "measures")
        for measure in self.measures:
            check_choice("measures", measure, MEASURES)
        need(len(set(self.measures)) == len(self.measures), "one is given twice", "measures")

    def fitting(self, schema: Schema) -> Fitting:
        fitted = TextLengthFitted(self.chosen(schema), {measure: measure for measure in self.measures}, self.drop)
        check_free(schema, fitted.removed, fitted.made)
        yield []  # nothing is learnt
        return fitted


@dataclass(frozen=True)
class TextLengthFitted(PerSource):
    """measures: in order (the keys)."""

    measures: dict[str, str]
    drop: bool

    @property
    def keeps_source(self) -> bool:
        return not self.drop

    def made_fields(self, place: int) -> Sequence[Field]:
        return tuple(Field(f"{self.names[place]}_{measure}", Kind.NUMBER) for measure in self.measures)

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        column = text_of(column)
        coded = pa.types.is_dictionary(column.type) and len(column.dictionary) <= len(column)
        texts = column.dictionary if coded else strings(column)
        which, quick, slow = in_two(texts, measured, measures_of)
        found = np.full((len(MEASURES), len(texts) + 1), np.nan)
        found[:, :-1][:, which] = quick
        if slow:
            found[:, :-1][:, ~which] = np.array(slow).T
        if texts.null_count:
            found[:, :-1][:, texts.is_null().to_numpy(zero_copy_only=False)] = np.nan
        # A missing text's code is the last place, which is NaN.
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False) if coded else None
        return {
            f"{self.names[place]}_{measure}": row[:-1] if codes is None else row.take(codes)
            for measure, row in ((measure, found[MEASURES.index(measure)]) for measure in self.measures)
        }

    def row(self, code: RowCode) -> None:
        measure = code.constant(Measured(tuple(map(MEASURES.index, self.measures))))
        for place, name in enumerate(self.names):
            code.write_many([field.name for field in self.made_fields(place)], f"{measure}({code.read(name)})")


class Measured:
    """Some of the measures of one text; NaN where it is missing."""

    def __init__(self, places: tuple[int, ...]) -> None:
        self._places = places

    def __call__(self, text: str | None) -> tuple[float, ...]:
        if text is None:
            return (math.nan,) * len(self._places)
        found = measures_of(text)
        return tuple(found[place] for place in self._places)


def measures_of(text: str) -> tuple[float, ...]:
    """All measures of a text, in the order of MEASURES."""
    words = text.split()
    letters = sum(map(len, words))
    sentences = sum(map(_ends, words)) + (bool(words) and not _ends(words[-1]))
    return float(len(text)), float(len(words)), float(sentences), letters / len(words) if words else 0.0


def _ends(word: str) -> bool:
    return word[-1] in ENDS or (word[-1] in CLOSING and word[-2:-1] != "" and word[-2] in ENDS)


def measured(texts: pa.Array) -> NDArray[np.float64]:
    """(measures, texts), the same of many texts of ASCII."""
    data, ends = bytes_of(texts)
    found = runs(data, ends, ~SPACE)
    words = np.bincount(found.texts, minlength=len(texts)).astype(np.float64)
    letters, inner = bytes_of(found.words)
    lengths = np.diff(inner)
    total = np.bincount(found.texts, weights=lengths, minlength=len(texts))
    end = _among(letters, inner[1:] - 1, ENDS)
    closed = (
        _among(letters, inner[1:] - 1, CLOSING) & (lengths > 1) & _among(letters, np.maximum(inner[1:] - 2, 0), ENDS)
    )
    end |= closed
    last = np.append(np.diff(found.texts) > 0, True) if len(end) else np.zeros(0, bool)
    sentences = np.bincount(found.texts, weights=end | last, minlength=len(texts))
    mean = np.divide(total, words, out=np.zeros(len(texts)), where=words > 0)
    return np.stack([np.diff(ends).astype(np.float64), words, sentences, mean])


def _among(letters: NDArray[np.uint8], places: NDArray[np.int64], wanted: str) -> NDArray[np.bool_]:
    table = np.array([chr(code) in wanted and code < 128 for code in range(256)])
    found: NDArray[np.bool_] = table.take(letters.take(places)) if len(places) else np.zeros(0, bool)
    return found
