"""Texts as counts of hashed terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from clary.data.batch import Block, Column, Field, Kind, Schema
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.categories import check_free
from clary.data.recipe.steps.terms import Norm, TermsFitted, TermsStep, normalized


@step
@dataclass(frozen=True, kw_only=True)
class HashText(TermsStep):
    """Counts of a text's terms in `n_features` columns, each term's chosen by its hash. A sparse block.

    Nothing is learnt: no term is unknown, and terms may share a column. The columns are `<column>_<number>`.

    n_features      of each column of text
    alternate_sign  whether half of the terms count down, so that those that share a column cancel out on average
    norm            each text's values are divided by their length: "l2", "l1", or "none"
    and how a text becomes terms, as in `tf_idf`: analyzer, lowercase, strip_accents, token_pattern, stop_words,
    ngram_range.

    As scikit-learn's HashingVectorizer. A missing text is 0 everywhere.
    """

    name: ClassVar[str] = "hash_text"

    n_features: int = 4096
    alternate_sign: bool = True
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        super().__post_init__()
        # Every column has a name: more of them cost more than they help.
        need(1 <= self.n_features <= 2**20, f"{self.n_features} is not in 1 … 2^20", "n_features")
        check_choice("norm", self.norm, ("l1", "l2", "none"))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        made = tuple(tuple(f"{name}_{number}" for number in range(self.n_features)) for name in names)
        fitted = HashTextFitted(names, self.options(), made, self.n_features, self.alternate_sign, self.norm)
        check_free(schema, names, fitted.made)
        yield []  # nothing is learnt
        return fitted


@dataclass(frozen=True)
class HashTextFitted(TermsFitted):
    made_names: tuple[tuple[str, ...], ...]
    n_features: int
    alternate_sign: bool
    norm: str

    def made_fields(self, place: int) -> Sequence[Field]:
        return (Field(self.names[place], Kind.BLOCK, self.made_names[place]),)

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        from scipy.sparse import csr_matrix
        from sklearn.feature_extraction import FeatureHasher

        matrix, terms = self.analysis.counted(column)
        shape = (len(column), self.n_features)
        if not len(terms):
            return {self.names[place]: Block(self.made_names[place], csr_matrix(shape))}
        hasher = FeatureHasher(self.n_features, input_type="string", alternate_sign=self.alternate_sign)
        hashes = hasher.transform([[term] for term in terms.to_pylist()])  # one entry a row
        made = csr_matrix(
            (matrix.data * hashes.data[matrix.indices], hashes.indices[matrix.indices], matrix.indptr), shape
        )
        made.sum_duplicates()
        return {self.names[place]: Block(self.made_names[place], normalized(made, self.norm))}
