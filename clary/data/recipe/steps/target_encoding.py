"""Levels as the mean of what is to be predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Field, Kind, Schema
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.categories import (
    MISSING,
    UNKNOWN,
    CategoryStep,
    PerSource,
    by_level,
    check_free,
    in_order,
    level_name,
    looked_up,
    missing_test,
)
from clary.data.statistics.categories import Categories
from clary.data.statistics.counts import Levels
from clary.data.statistics.targets import LevelTargets, TargetsByLevel, folds_of

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

# A number with at most so many whole values is taken for a class, unless the recipe sets target_type.
MOST_CLASSES = 20
# Sums are kept by fold and level while the table is read.
MOST_LEVELS = 100_000
MOST_SUMS = 2_000_000

TargetType = Literal["auto", "binary", "multiclass", "continuous"]


@step
@dataclass(frozen=True, kw_only=True)
class TargetEncode(CategoryStep):
    """Each level becomes the mean of the target in the rows that have it, drawn towards the mean of all rows.

    With three or more classes a column becomes one for each of them, `<column>_<class>`: the share of rows of that
    class. A missing value is a level of its own; a level that was not there at fitting becomes the mean of all rows.
    Rows without a target are not learnt from.

    target_type  "binary", "multiclass", "continuous", or "auto": text and booleans are classes; so are numbers of two
                 values, or of at most 20 that are whole
    smooth       how strongly levels are drawn to the overall mean: as if so many rows more had it; "auto": by the
                 level's variance (empirical Bayes)
    cv           folds: rows that the recipe is fitted on get the means of the other folds, so that no row's encoding
                 knows its own target; at inference all rows count
    seed         another number, other folds

    As scikit-learn's TargetEncoder, but for one thing: a row's fold is drawn by a hash of its number, where
    scikit-learn shuffles and cuts (and stratifies by class). So folds are not exactly of one size, and encodings of
    training rows differ as they do from one shuffle to the next; those at inference are equal.
    Reference  Micci-Barreca (2001), A preprocessing scheme for high-cardinality categorical attributes in
               classification and prediction problems, SIGKDD Explorations 3(1).
    """

    name: ClassVar[str] = "target_encode"

    target_type: TargetType = "auto"
    smooth: float | Literal["auto"] = "auto"
    cv: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("target_type", self.target_type, ("auto", "binary", "multiclass", "continuous"))
        if isinstance(self.smooth, str):
            check_choice("smooth", self.smooth, ("auto",))
        else:
            need(0 <= self.smooth < float("inf"), f"{self.smooth} is not a number from 0 on", "smooth")
        need(2 <= self.cv <= 100, f"{self.cv} is not in 2 … 100", "cv")

    def reads(self, schema: Schema) -> tuple[str, ...]:
        return (*self.chosen(schema), self._target(schema))

    def _target(self, schema: Schema) -> str:
        if not self.target:
            raise RecipeError("target_encode needs to know what is to be predicted: give the recipe its `target`")
        schema[self.target]  # raises StepError where it is not there
        return self.target

    def fitting(self, schema: Schema) -> Fitting:
        names, target = self.chosen(schema), self._target(schema)
        if target in names:
            raise StepError("it is the target itself; leave it out of `columns`", column=target)
        text, ask = schema[target].kind is Kind.TEXT, self.target_type != "continuous"
        if text and not ask:
            raise StepError("it holds text, and target_type is continuous; cast it (step `cast`)", column=target)
        strict = text or self.target_type != "auto"
        asked: list[Categories] = [Categories(name, MOST_LEVELS) for name in names]
        if ask:
            asked.append(Categories(target, 1_000 if strict else MOST_CLASSES, all_or_error=strict))
        found = yield asked
        levels = [in_order(column_levels, "sorted").values for column_levels in found[: len(names)]]
        classes = self._classes(found[-1], schema[target]) if ask else None
        for name, column_levels in zip(names, levels, strict=True):
            self._check_size(name, len(column_levels), 1 if classes is None else len(classes))
        sums = yield [
            TargetsByLevel(name, target, self.cv, self.seed, column_levels, classes)
            for name, column_levels in zip(names, levels, strict=True)
        ]
        fitted = self._fitted(schema, names, levels, classes, sums)
        check_free(schema, names, fitted.made)
        return fitted

    def _classes(self, found: Levels | None, target: Field) -> pa.Array | None:
        """The classes in order; None where the target is a number."""
        if found is None:
            return None
        values = in_order(found, "sorted").values
        if not len(values):
            raise StepError("it has no value in any row", column=target.name)
        whole = True
        if target.kind is Kind.NUMBER:
            numbers = values.to_numpy()
            if np.isinf(numbers).any():
                raise StepError("it is infinite in some rows; make these missing or drop them", column=target.name)
            whole = bool((numbers == np.floor(numbers)).all())
        if self.target_type == "auto" and len(values) > 2 and not whole:
            return None
        if self.target_type == "binary" and len(values) > 2:
            raise StepError(f"it has {len(values)} values, and target_type is binary", column=target.name)
        return values

    def _check_size(self, name: str, levels: int, classes: int) -> None:
        if levels * (classes if classes > 2 else 1) * self.cv > MOST_SUMS:
            raise StepError(
                f"{levels:,} levels, {classes:,} classes and {self.cv} folds make more sums than memory should hold; "
                "join rare levels first (step `rare`)",
                column=name,
            )

    def _fitted(
        self,
        schema: Schema,
        names: tuple[str, ...],
        levels: Sequence[pa.Array],
        classes: pa.Array | None,
        sums: Sequence[LevelTargets],
    ) -> TargetEncodeFitted:
        outputs: list[str] = []
        if classes is not None and len(classes) > 2:
            outputs = [level_name(class_) for class_ in classes.to_pylist()]
        whole = [_encoded(column_sums.together(0), self.smooth) for column_sums in sums]
        crossed = [
            [_encoded(column_sums.without(fold), self.smooth) for fold in range(self.cv)] for column_sums in sums
        ]
        return TargetEncodeFitted(
            names,
            tuple(levels),
            tuple(str(schema[name].kind) for name in names),
            tuple(tuple(f"{name}_{output}" for output in outputs) or (name,) for name in names),
            tuple(whole),
            tuple(np.stack(_filled(folds, encoding)) for folds, encoding in zip(crossed, whole, strict=True)),
            tuple(bool(column_sums.count[:, -1].any()) for column_sums in sums),
            "continuous" if classes is None else "binary" if len(classes) <= 2 else "multiclass",
            classes,
            self.smooth,
            self.cv,
            self.seed,
        )


def _encoded(targets: LevelTargets, smooth: float | str) -> NDArray[np.float64]:
    """(levels + 2, outputs): of each level, of missing values, of unknown levels; NaN where there was no row at all."""
    count, mean, m2 = targets.count[0], targets.mean[0], targets.m2[0]
    all_rows = targets.together(1)
    rows, overall = all_rows.count[0], all_rows.mean[0]
    overall = np.where(rows > 0, overall, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        if isinstance(smooth, str):
            variance = all_rows.m2[0] / rows
            weight = variance * count / (variance * count + m2 / count)
            made = weight * mean + (1 - weight) * overall
            made = np.where(np.isnan(weight), overall, made)
        else:
            made = np.where(count + smooth > 0, (count * mean + smooth * overall) / (count + smooth), overall)
    return np.vstack([made, overall])


def _filled(folds: Sequence[NDArray[np.float64]], whole: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Where all rows of a level are in one fold, the other folds have none: then it is the mean of all rows."""
    return [np.where(np.isnan(encoding), whole[-1], encoding) for encoding in folds]


@dataclass(frozen=True)
class TargetEncodeFitted(PerSource):
    """Means by level, and by fold and level.

    encodings   of each column, (levels + 2, outputs): of each level, of missing values, of unknown levels
    crossed     of each column, (folds, levels + 2, outputs): the same, learnt from the other folds
    had_missing whether the column had missing values at fitting
    in_training whether `transform` gets the very rows that it was fitted on
    """

    levels: tuple[pa.Array, ...]
    kinds: tuple[str, ...]
    made_names: tuple[tuple[str, ...], ...]
    encodings: tuple[NDArray[np.float64], ...]
    crossed: tuple[NDArray[np.float64], ...]
    had_missing: tuple[bool, ...]
    target_type: str
    classes: pa.Array | None
    smooth: float | str
    cv: int
    seed: int
    in_training: bool = False

    def training(self) -> TargetEncodeFitted:
        """The same for the rows that it was fitted on: each gets what the other folds taught."""
        return replace(self, in_training=True)

    def made_fields(self, place: int) -> Sequence[Field]:
        return tuple(Field(name, Kind.NUMBER) for name in self.made_names[place])

    def transform(self, batch: Batch) -> Batch:
        if not self.in_training:
            return super().transform(batch)
        folds = folds_of(batch.row_numbers, self.cv, self.seed)
        made: dict[str, Column] = {}
        for place, name in enumerate(self.names):
            made |= self._named(place, self.crossed[place][folds, self._places(place, batch[name])])
        return batch.replaced(self.removed, made)

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        return self._named(place, self.encodings[place].take(self._places(place, column), axis=0))

    def _places(self, place: int, column: Column) -> NDArray[np.int32]:
        """Each row's place in the encodings."""
        levels = self.levels[place]
        try:
            codes, table, _ = looked_up(column, levels)
        except StepError as error:
            raise StepError(error.reason, column=self.names[place]) from None
        table[table == MISSING] = len(levels)
        table[table == UNKNOWN] = len(levels) + 1
        return table.take(codes)

    def _named(self, place: int, values: NDArray[np.float64]) -> dict[str, Column]:
        return dict(zip(self.made_names[place], np.ascontiguousarray(values.T), strict=True))

    def notes(self) -> Sequence[str]:
        outputs = {"multiclass": "the share of each class", "binary": "the share of the second class"}
        means = outputs.get(self.target_type, "the target's mean")
        if self.classes is not None:
            means += f" ({', '.join(map(level_name, self.classes.to_pylist()[:10]))})"
        return [
            f"{name}: {len(levels):,} levels became {means}, from {self.cv} folds in training."
            for name, levels in zip(self.names, self.levels, strict=True)
        ]

    def row(self, code: RowCode) -> None:
        for place, name in enumerate(self.names):
            value, made = code.read(name), self.made_names[place]
            *known, missing, unknown = (
                self.encodings[place][:, 0].tolist() if len(made) == 1 else map(tuple, self.encodings[place].tolist())
            )
            table = code.constant(by_level(self.levels[place], known))
            found = f"{table}.get({value}, {code.constant(unknown)})"
            found = f"{code.constant(missing)} if {missing_test(Kind(self.kinds[place]), value)} else {found}"
            if len(made) == 1:
                code.write(made[0], found)
            else:
                code.write_many(made, found)

    def sklearn(self) -> Any:
        """It encodes as at inference, training rows too: fitting it anew would cross-fit."""
        from sklearn.preprocessing import TargetEncoder

        if not all(map(len, self.levels)):
            return None
        import pandas as pd

        categories = [_categories(*pair) for pair in zip(self.levels, self.had_missing, strict=True)]
        classes = None if self.classes is None else self.classes.to_numpy(zero_copy_only=False)
        encoder = TargetEncoder(target_type=self.target_type, smooth=self.smooth, cv=self.cv)
        # Fitted on one level and every class, to be what it is after fitting; then it is given what the table taught.
        target = np.zeros(1) if classes is None else classes
        row = {name: values[:1].repeat(len(target)) for name, values in zip(self.names, categories, strict=True)}
        encoder.fit(pd.DataFrame(row), target)
        encoder.categories_, encoder.classes_ = categories, classes
        overall = self.encodings[0][-1]
        encoder.target_mean_ = overall if self.target_type == "multiclass" else float(overall[0])
        encoder.encodings_ = [
            np.ascontiguousarray(encoding[: len(values), output])
            for encoding, values in zip(self.encodings, categories, strict=True)
            for output in range(encoding.shape[1])
        ]
        return encoder


def _categories(levels: pa.Array, missing: bool) -> NDArray[Any]:
    values = levels.to_pylist() + ([np.nan] if missing else [])
    return np.array(values, dtype=object if pa.types.is_string(levels.type) else np.float64)
