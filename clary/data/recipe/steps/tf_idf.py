"""Texts as their terms' weights: TF-IDF."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Block, Column, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.categories import check_free
from clary.data.recipe.steps.terms import KnownTerms, Norm, TermsStep, normalized
from clary.data.statistics.terms import Analysis, TermCounts, Terms


@step
@dataclass(frozen=True, kw_only=True)
class TfIdf(TermsStep):
    """The weight of each term in each text: high for a term that is frequent in the text and rare in others.

    A column becomes a sparse block of columns `<column>_<term>`.

    min_df        terms in fewer texts are left out; below 1.0 with a decimal point: a share of the texts
    max_df        terms in more texts are left out; likewise
    max_features  so many terms, those with the most occurrences
    norm          each text's values are divided by their length: "l2", "l1", or "none"
    use_idf       whether terms in many texts count less
    smooth_idf    as if one more text had every term
    sublinear_tf  1 + log(count) in place of the count
    and how a text becomes terms: analyzer ("word"; "char": runs of characters; "char_wb": these within words),
    lowercase, strip_accents, token_pattern, stop_words ("english", "german", or words), ngram_range.

    As scikit-learn's TfidfVectorizer. A missing text counts as a text without terms.
    """

    name: ClassVar[str] = "tf_idf"

    min_df: int | float = 1
    max_df: int | float = 1.0
    max_features: int | None = None
    norm: Norm = "l2"
    use_idf: bool = True
    smooth_idf: bool = True
    sublinear_tf: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter, value in (("min_df", self.min_df), ("max_df", self.max_df)):
            whole = isinstance(value, int)
            need(
                value >= (1 if whole else 0) and (whole or value <= 1),
                f"{value} is neither a count from 1 on nor a share",
                parameter,
            )
        need(self.max_features is None or self.max_features >= 1, f"{self.max_features} is below 1", "max_features")
        check_choice("norm", self.norm, ("l1", "l2", "none"))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        options = self.options()
        found = (yield [Terms(name, Analysis(**options)) for name in names]) if names else []
        kept = [self._kept(name, counts) for name, counts in zip(names, found, strict=True)]
        terms = tuple(counts.terms.take(pa.array(places)) for counts, places in zip(found, kept, strict=True))
        fitted = TfIdfFitted(
            names,
            options,
            terms,
            tuple(
                tuple(f"{name}_{term}" for term in column_terms.to_pylist())
                for name, column_terms in zip(names, terms, strict=True)
            ),
            tuple(self._idf(counts.documents[places], counts.rows) for counts, places in zip(found, kept, strict=True)),
            tuple(len(counts.terms) for counts in found),
            self.norm,
            self.use_idf,
            self.smooth_idf,
            self.sublinear_tf,
        )
        check_free(schema, names, fitted.made)
        return fitted

    def _kept(self, name: str, counts: TermCounts) -> NDArray[np.int64]:
        """As CountVectorizer._limit_features, ties and all."""
        least, most = (value if isinstance(value, int) else value * counts.rows for value in (self.min_df, self.max_df))
        if most < least:
            raise StepError(f"max_df ({most:g} texts) is below min_df ({least:g} texts)", column=name)
        kept = np.flatnonzero((counts.documents <= most) & (counts.documents >= least))
        if self.max_features is not None and len(kept) > self.max_features:
            kept = np.sort(kept[(-counts.occurrences[kept]).argsort()[: self.max_features]])
        if not len(kept):
            raise StepError(
                f"no terms are left of {len(counts.terms):,}; lower min_df, raise max_df or take fewer stop words",
                column=name,
            )
        return kept

    def _idf(self, documents: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
        if not self.use_idf:
            return np.ones(len(documents))
        more = int(self.smooth_idf)
        return np.log((rows + more) / (documents + more)) + 1.0


@dataclass(frozen=True)
class TfIdfFitted(KnownTerms):
    """idf: of each column, (terms,); found: how many terms there were before some were left out."""

    idf: tuple[NDArray[np.float64], ...]
    found: tuple[int, ...]
    norm: str
    use_idf: bool
    smooth_idf: bool
    sublinear_tf: bool

    def in_block(self, place: int) -> bool:
        return True

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        matrix = self.counted(place, column)
        if self.sublinear_tf:
            matrix.data = np.log(matrix.data) + 1.0
        matrix.data = matrix.data * self.idf[place][matrix.indices]
        return {self.names[place]: Block(self.made_names[place], normalized(matrix, self.norm))}

    def notes(self) -> Sequence[str]:
        return [
            f"{name}: {len(terms):,} terms of the {found:,} found."
            for name, terms, found in zip(self.names, self.terms, self.found, strict=True)
        ]

    def vectorizer(self, name: str) -> Any:
        """One column's TfidfVectorizer, fitted: the same on texts none of which is missing.

        No transformer of a DataFrame is: a vectorizer takes one column's texts, so `sklearn` has none.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        place = self.names.index(name)
        made = TfidfVectorizer(
            **self.analysis.vectorizer_options(),
            vocabulary={term: number for number, term in enumerate(self.terms[place].to_pylist())},
            norm=None if self.norm == "none" else self.norm,
            use_idf=self.use_idf,
            smooth_idf=self.smooth_idf,
            sublinear_tf=self.sublinear_tf,
        )
        with np.errstate(divide="ignore"), warnings.catch_warnings():
            # Letters whose accents were stripped may be capitals; scikit-learn thinks that it will not find them.
            warnings.filterwarnings("ignore", "Upper case characters found in vocabulary")
            made.fit([""])  # its terms are given; it only needs to have been fitted
        if self.use_idf:
            made.idf_ = self.idf[place]
        return made
