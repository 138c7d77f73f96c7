"""Text into text: what steps that do that share, and cleaning."""

from __future__ import annotations

import functools
import html
import re
import string
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Column, Kind, Schema
from clary.data.recipe.step import Fitting, PerColumn, Step, step
from clary.data.statistics.terms import without_accents
from clary.data.statistics.words import (
    LOWER,
    SAME,
    SPACE,
    bytes_of,
    each_text,
    of_distinct,
    runs,
    texts_of,
)

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


@dataclass(frozen=True, kw_only=True)
class TextStep(Step):
    """Makes another text of each text; missing stays missing."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT,)
    keeps_schema: ClassVar[bool] = True


@dataclass(frozen=True)
class TextFitted(PerColumn):
    """A fitted step that makes another text of each text."""

    made_kind: ClassVar[Kind | None] = Kind.TEXT

    @property
    @abstractmethod
    def transform_text(self) -> Callable[[str], str]:
        """The function of a text that defines the step."""

    def transform_texts(self, texts: pa.Array) -> pa.Array:
        """The function applied to each of a pa.StringArray."""
        function = self.transform_text
        return pa.array([None if text is None else function(text) for text in texts.to_pylist()], pa.string())

    def apply(self, place: int, column: Column) -> Column:
        return of_distinct(column, self.transform_texts)

    def row(self, code: RowCode) -> None:
        function = code.constant(self.transform_text)
        for name in self.names:
            value = code.read(name)
            code.write(name, f"None if {value} is None else {function}({value})")


# ---- clean_text ----

_TAG = re.compile(r"<[^<>]*>")
_DIGIT = re.compile(r"\d")


@step
@dataclass(frozen=True, kw_only=True)
class CleanText(TextStep):
    """Texts that differ only in how they are written become one.

    In this order, each where asked for:
    html           tags become blanks, entities (&amp;) what they stand for
    strip_accents  é becomes e, ﬁ fi; as scikit-learn's strip_accents="unicode"
    lowercase      as str.lower
    punctuation    punctuation and symbols become blanks
    digits         become blanks
    white_space    runs of white space become one blank, none at either end
    """

    name: ClassVar[str] = "clean_text"

    html: bool = False
    strip_accents: bool = False
    lowercase: bool = True
    punctuation: bool = True
    digits: bool = False
    white_space: bool = True

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return CleanTextFitted(
            self.chosen(schema),
            self.html,
            self.strip_accents,
            self.lowercase,
            self.punctuation,
            self.digits,
            self.white_space,
        )


@dataclass(frozen=True)
class CleanTextFitted(TextFitted):
    html: bool
    strip_accents: bool
    lowercase: bool
    punctuation: bool
    digits: bool
    white_space: bool

    @property
    def transform_text(self) -> Callable[[str], str]:
        changes: list[Callable[[str], str]] = []
        if self.html:
            changes.append(_without_html)
        if self.strip_accents:
            changes.append(without_accents)
        if self.lowercase:
            changes.append(str.lower)
        if self.punctuation:
            changes.append(_without_punctuation)
        if self.digits:
            changes.append(functools.partial(_DIGIT.sub, " "))
        if self.white_space:
            changes.append(_single_spaced)
        return Composition(tuple(changes))

    def transform_texts(self, texts: pa.Array) -> pa.Array:
        table = self._table()

        def quick(batch: pa.Array) -> pa.Array:
            if self.html:
                batch = pc.replace_substring_regex(batch, _TAG.pattern, " ")
            data, ends = bytes_of(batch)
            data = table.take(data)
            return runs(data, ends, ~SPACE).joined() if self.white_space else texts_of(data, ends)

        return each_text(texts, quick, self.transform_text, also_slow="&" if self.html else "")

    def _table(self) -> NDArray[np.uint8]:
        """What each byte of ASCII becomes."""
        table = (LOWER if self.lowercase else SAME).copy()
        for characters in (string.punctuation if self.punctuation else "", string.digits if self.digits else ""):
            table[np.frombuffer(characters.encode(), np.uint8)] = ord(" ")
        return table


@dataclass(frozen=True)
class Composition:
    """Several changes of a text as one."""

    changes: tuple[Callable[[str], str], ...]

    def __call__(self, text: str) -> str:
        for change in self.changes:
            text = change(text)
        return text


def _without_html(text: str) -> str:
    return html.unescape(_TAG.sub(" ", text))


def _without_punctuation(text: str) -> str:
    return str(_punctuation().sub(" ", text))


@functools.cache
def _punctuation() -> Any:
    import regex

    return regex.compile(r"[\p{P}\p{S}]")


def _single_spaced(text: str) -> str:
    return " ".join(text.split())
