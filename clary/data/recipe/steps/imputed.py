"""What `impute` makes: values for what is missing, from a constant, from an estimator, or from the row before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Field, Kind, coded, missing, numbers, some
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, PerColumn
from clary.data.recipe.steps.presence import may_have_missing
from clary.data.statistics.base import Sample
from clary.data.statistics.counts import Levels
from clary.data.statistics.hashes import uniform

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


_EMPTY = "it has no value at all: drop it (step `drop_missing`, axis: columns)"


def most_frequent(name: str, kind: str, levels: Levels) -> float | bool | str:
    """Of a column's values; of those equally frequent the smallest, as SimpleImputer has it."""
    if not len(levels):
        raise StepError(
            "it has no value at all: drop it (`drop_missing`, axis: columns) or give a constant", column=name
        )
    often = levels.values.filter(pa.array(levels.counts == levels.counts.max()))
    value = min(often.to_pylist()) if kind == Kind.TEXT else pc.min(often)
    match kind:
        case Kind.TEXT:
            return str(value)
        case Kind.TIME:
            return str(value.cast(pa.timestamp("us")).as_py().isoformat())
        case Kind.BOOLEAN:
            return bool(value.as_py())
        case _:
            return float(value.as_py())


@dataclass(frozen=True)
class Filled(PerColumn):
    """kinds: of the columns. fills: a number, a boolean, a text, or a time as its text."""

    kinds: tuple[str, ...]
    fills: tuple[float | bool | str, ...]
    strategy: str

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind(kind)) for name, kind in zip(self.names, self.kinds, strict=True))

    def apply(self, place: int, column: Column) -> Column:
        fill = self.fills[place]
        match self.kinds[place]:
            case Kind.TEXT:
                return _filled_text(column, str(fill))
            case Kind.TIME:
                return np.where(np.isnat(column), np.datetime64(str(fill), "us"), column)
            case Kind.BOOLEAN if column.dtype == bool:
                return column
            case Kind.BOOLEAN:
                return np.where(np.isnan(column), float(fill), column).astype(bool)
        values = numbers(column)
        return np.where(np.isnan(values), fill, values) if may_have_missing(values) else values

    def row(self, code: RowCode) -> None:
        for name, kind, fill in zip(self.names, self.kinds, self.fills, strict=True):
            value = code.read(name)
            if kind == Kind.TEXT:
                code.write(name, f"{code.constant(fill)} if {value} is None else {value}")
                continue
            constant = np.datetime64(str(fill), "us") if kind == Kind.TIME else float(fill)
            code.write(name, f"{code.constant(constant)} if {value} != {value} else {value}")

    def notes(self) -> Sequence[str]:
        return tuple(
            f"Missing values of {name!r} become {fill!r} ({self.strategy})."
            for name, fill in zip(self.names, self.fills, strict=True)
        )

    def sklearn(self) -> Any:
        from sklearn.impute import SimpleImputer

        if not self.names or set(self.kinds) != {str(Kind.NUMBER)}:
            return None  # of texts SimpleImputer makes objects
        import pandas as pd

        # One row of the values that stand for missing values has them as its mean, median and most frequent value.
        row = pd.DataFrame([list(self.fills)], columns=list(self.names), dtype=np.float64)
        constant = {"fill_value": self.fills[0]} if self.strategy == "constant" else {}
        return SimpleImputer(strategy=self.strategy, **constant).fit(row)


def _filled_text(column: pa.Array, fill: str) -> pa.Array:
    if not column.null_count:
        return column
    if not pa.types.is_dictionary(column.type):
        return column.fill_null(fill)
    levels = column.dictionary
    code = pc.index(levels, fill).as_py()
    if code < 0:
        code, levels = len(levels), pa.concat_arrays([levels, pa.array([fill], levels.type)])
    return pa.DictionaryArray.from_arrays(column.indices.fill_null(code), levels)


def estimated(
    names: tuple[str, ...],
    sample: Sample,
    *,
    strategy: str,
    n_neighbors: int,
    weights: str,
    rows: int,
    max_iter: int,
    seed: int,
) -> Estimated:
    """Fit scikit-learn's imputer to the sample. Raises StepError where a column has no value.

    strategy  knn or iterative; rows: among how many the nearest are searched; the others as scikit-learn has them
    """
    frame = _frame(sample.batch, names) if sample.batch.rows else None
    if frame is None or not len(frame):
        raise StepError("there is no row to learn from")
    for name, empty, endless in zip(names, frame.isna().all(), np.isinf(frame.to_numpy()).any(axis=0), strict=True):
        if empty:
            raise StepError(_EMPTY, column=name)
        if endless:
            raise StepError("a value is infinite: clip it or make it missing first", column=name)
    note = "" if sample.complete else f"Learnt from a sample of {len(frame):,} rows."
    if strategy == "knn":
        from sklearn.impute import KNNImputer

        if len(frame) > rows:
            order = np.argsort(uniform(sample.batch.row_numbers, seed + 1), kind="stable")
            frame = frame.iloc[np.sort(order[:rows])]
            note = f"The nearest rows are searched among {len(frame):,} of the table's, chosen at random."
        estimator = KNNImputer(n_neighbors=n_neighbors, weights=weights)
    else:
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer

        estimator = IterativeImputer(max_iter=max_iter, random_state=seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # that it has not converged is noted below
        try:
            estimator.fit(frame)
        except ValueError as error:
            raise StepError(f"scikit-learn's {type(estimator).__name__} does not take it: {error}") from None
    if getattr(estimator, "n_iter_", 0) == max_iter and strategy == "iterative":
        note += f" It had not converged after {max_iter} rounds: a larger max_iter may do better."
    return Estimated(names, estimator, note.strip())


def _frame(batch: Batch, names: Sequence[str]) -> Any:
    import pandas as pd

    return pd.DataFrame(np.column_stack([numbers(batch[name]) for name in names]), columns=list(names))


@dataclass(frozen=True)
class Estimated(FittedStep):
    """Missing values by a fitted KNNImputer or IterativeImputer, of all the columns together."""

    names: tuple[str, ...]
    estimator: Any
    note: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind.NUMBER) for name in self.names)

    def transform(self, batch: Batch) -> Batch:
        columns = [numbers(batch[name]) for name in self.names]
        incomplete = np.zeros(batch.rows, bool)
        for values in columns:
            if np.isinf(values).any():
                raise StepError("a value is infinite: clip it or make it missing first")
            incomplete |= np.isnan(values)
        rows = np.flatnonzero(incomplete)
        if len(rows):  # each row's values depend on that row alone
            frame = _frame(batch.only(self.names).take(rows), self.names)
            # IterativeImputer does nothing where all it is given is missing: a last row that has values prevents that.
            frame.loc[len(frame)] = 0.0
            found = self._from_estimator(frame)[:-1]
            columns = [values.copy() for values in columns]
            for place, values in enumerate(columns):
                values[rows] = found[:, place]
        return batch.replaced((), dict(zip(self.names, columns, strict=True)))

    def _from_estimator(self, frame: Any) -> NDArray[np.float64]:
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self.estimator.transform(frame), np.float64)
        except ValueError as error:
            raise StepError(f"scikit-learn's {type(self.estimator).__name__} does not take it: {error}") from None

    def notes(self) -> Sequence[str]:
        imputer = type(self.estimator).__name__
        return tuple(
            filter(None, (f"Missing values of {some(self.names)} come from scikit-learn's {imputer}.", self.note))
        )

    def sklearn(self) -> Any:
        return self.estimator


@dataclass(frozen=True)
class Carried(FittedStep):
    """The value of the last row before that had a value. What has none before it stays missing."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]

    in_order: ClassVar[bool] = True

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind(kind)) for name, kind in zip(self.names, self.kinds, strict=True))

    def only(self, wanted: Any) -> FittedStep | None:
        places = [place for place, name in enumerate(self.names) if name in wanted]
        kept = Carried(tuple(self.names[place] for place in places), tuple(self.kinds[place] for place in places))
        return kept if places else None

    def transform(self, batch: Batch) -> Batch:
        return self.stepper()(batch)

    def stepper(self) -> Callable[[Batch], Batch]:
        last: dict[str, Any] = {}

        def carry(batch: Batch) -> Batch:
            made = {}
            for name in self.names:
                made[name], last[name] = _filled_forward(batch[name], last.get(name))
            return batch.replaced((), made)

        return carry

    def row(self, code: RowCode) -> None:
        for name in self.names:
            code.write(name, code.read(name))

    def notes(self) -> Sequence[str]:
        return (f"Missing values of {some(self.names)} become those of the row before.",)


def _filled_forward(column: Column, before: Any) -> tuple[Column, Any]:
    """(column, its last value); None stands for no value before."""
    if not len(column):
        return column, before
    if isinstance(column, np.ndarray):
        values: NDArray[Any] = numbers(column) if column.dtype.kind in "iuf" else column
        places = _last_places(~missing(values))
        if before is not None and values.dtype == bool:
            before = bool(before)
        made = np.where(places < 0, values if before is None else before, values[places])
        made = made.astype(values.dtype, copy=False)
        last = made[-1]
        return made, before if missing(made[-1:])[0] else last
    codes, levels = coded(column)
    if before is not None:
        code = pc.index(levels, before).as_py()
        if code < 0:
            code, levels = len(levels), pa.concat_arrays([levels, pa.array([before], levels.type)])
    else:
        code = -1
    places = _last_places(codes >= 0)
    filled = np.where(places < 0, code, codes[places]).astype(np.int32)
    made = pa.DictionaryArray.from_arrays(pa.array(filled, mask=filled < 0), levels)
    return made, None if filled[-1] < 0 else levels[int(filled[-1])].as_py()


def _last_places(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of each row the place of the last row up to it that has a value, -1 where none has."""
    return np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))
