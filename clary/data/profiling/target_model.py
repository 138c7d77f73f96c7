"""How well the target can be told, and from what: a quick model on the sample, cross-validated.

Heavy imports are inside: a profile without a target does not load scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind, coded, kind_of, missing, numbers, some
from clary.data.profiling.summaries import Classes, ColumnSummary, Importance, Target

MODEL_ROWS = 10_000  # of the sample: enough for a first score, and done in seconds
_CLASSES = 20  # an integer target of no more values is a class
_FOLDS = 3
_MOST_LEVELS = 200  # of a category: the model's own limit is 255
_MOST_COLUMNS = 200
_SEED = 0
TELLS_ALL = 0.98  # the score of one column from which it is too good to be true

_TASKS = {"classification": "balanced accuracy", "regression": "R²"}


def target_model(batch: Batch, column: ColumnSummary, others: Sequence[ColumnSummary]) -> Target:
    """A gradient-boosted trees model's score against a constant answer's, and what each column adds to it.

    batch   the sample; rows without a target are left out
    """
    notes: list[str] = []
    batch = batch.take(~missing(batch[column.name]))
    if batch.rows > MODEL_ROWS:
        batch = batch.take(np.sort(np.random.default_rng(_SEED).permutation(batch.rows)[:MODEL_ROWS]))
    task = task_of(column)
    classes = _classes(column) if task == "classification" else None
    answers = _answers(batch, column.name, task)
    names = _usable(others, column.name, notes)
    nothing = Target(column.name, task, classes, _TASKS[task], np.nan, np.nan, np.nan, (), batch.rows, tuple(notes))
    wrong = _too_little(answers, task, names)
    if wrong:
        return _with_notes(nothing, wrong)
    kept = _of_common_classes(answers, task, notes)
    batch, answers = batch.take(kept), answers[kept]
    matrix, categorical = _matrix(batch, names)
    return _scored(matrix, categorical, answers, names, _with_notes(nothing, *notes[len(nothing.told) :]))


def task_of(column: ColumnSummary) -> str:
    few = column.numbers is not None and column.numbers.whole and column.distinct <= _CLASSES
    return "regression" if column.kind in (Kind.NUMBER, Kind.TIME) and not few else "classification"


def _with_notes(target: Target, *more: str) -> Target:
    from dataclasses import replace

    return replace(target, told=(*target.told, *more))


def _classes(column: ColumnSummary) -> Classes | None:
    return Classes(column.top) if column.top_exact and 0 < column.distinct == len(column.top) else None


def _answers(batch: Batch, name: str, task: str) -> NDArray[Any]:
    if task == "regression":
        return numbers(batch[name])
    return coded(batch[name])[0]


def _usable(others: Sequence[ColumnSummary], target: str, notes: list[str]) -> tuple[str, ...]:
    """Columns a model can learn from: not the target, not empty, not the rows' names, no sentences."""
    found = [
        column.name
        for column in others
        if column.name != target and column.kind is not Kind.OTHER and column.distinct > 1 and not _names_rows(column)
    ]
    if len(found) > _MOST_COLUMNS:
        notes.append(f"The quick model looked at the first {_MOST_COLUMNS} of {len(found)} columns.")
    return tuple(found[:_MOST_COLUMNS])


def _names_rows(column: ColumnSummary) -> bool:
    """Texts that are all different tell nothing; a number that is all different may."""
    return column.kind is Kind.TEXT and column.distinct > 0.9 * max(column.count, 1)


def _too_little(answers: NDArray[Any], task: str, names: Sequence[str]) -> str:
    if not names:
        return "There is no column to tell the target from."
    if task == "regression" and not np.isfinite(answers).all():
        return "The target has infinite values: no model was tried."
    if len(answers) < 10 * _FOLDS or len(np.unique(answers)) < 2:
        return "There are too few different rows with a target: no model was tried."
    return ""


def _of_common_classes(answers: NDArray[Any], task: str, notes: list[str]) -> NDArray[np.bool_]:
    """Rows of classes that every fold can have."""
    if task == "regression":
        return np.ones(len(answers), dtype=bool)
    counts = np.bincount(answers)
    seldom = int((counts[counts > 0] < _FOLDS).sum())
    if seldom:
        notes.append(f"{seldom} classes of fewer than {_FOLDS} rows of the sample were left out of the quick model.")
    kept: NDArray[np.bool_] = counts[answers] >= _FOLDS
    return kept


def _matrix(batch: Batch, names: Sequence[str]) -> tuple[NDArray[np.float64], list[bool]]:
    """Numbers as they are, categories as codes by how frequent they are; the rarest levels share a code."""
    columns, categorical = [], []
    for name in names:
        if kind_of(batch[name]) is Kind.TEXT:
            codes, levels = coded(batch[name])
            counts = np.bincount(codes[codes >= 0], minlength=len(levels))
            rank = np.empty(len(levels) + 1)
            rank[np.argsort(-counts, kind="stable")] = np.minimum(np.arange(len(levels)), _MOST_LEVELS)
            rank[-1] = np.nan
            columns.append(rank[codes])
            categorical.append(True)
        else:
            column = numbers(batch[name])
            columns.append(np.where(np.isfinite(column), column, np.nan))
            categorical.append(False)
    return np.column_stack(columns), categorical


def _scored(
    matrix: NDArray[np.float64], categorical: list[bool], answers: NDArray[Any], names: Sequence[str], known: Target
) -> Target:
    from threadpoolctl import threadpool_limits

    # Of so few rows threads would mostly wait for each other.
    with threadpool_limits(1, "openmp"):
        return _scored_alone(matrix, categorical, answers, names, known)


def _scored_alone(
    matrix: NDArray[np.float64], categorical: list[bool], answers: NDArray[Any], names: Sequence[str], known: Target
) -> Target:
    import warnings
    from dataclasses import replace

    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    classify = known.task == "classification"
    if classify and len(np.unique(answers)) < 2:
        return _with_notes(known, "Only one class has enough rows: no model was tried.")
    scoring = "balanced_accuracy" if classify else "r2"
    folds: Any = (StratifiedKFold if classify else KFold)(_FOLDS, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that a fold lacks, of columns that do not vary in one
        dummy = DummyClassifier(strategy="most_frequent") if classify else DummyRegressor()
        baseline = float(cross_val_score(dummy, matrix, answers, scoring=scoring, cv=folds).mean())
        alone = [_alone(matrix[:, place], answers, classify, folds, scoring) for place in range(len(names))]
        # Beside a column that tells all, the others would seem to tell nothing.
        honest = [place for place, score in enumerate(alone) if score < TELLS_ALL] or list(range(len(names)))
        if len(honest) < len(names):
            left_out = [name for place, name in enumerate(names) if place not in honest]
            known = _with_notes(known, f"The quick model does without {some(left_out)}: alone it tells the target.")
        matrix, categorical = matrix[:, honest], [categorical[place] for place in honest]
        scores = cross_val_score(_model(classify, categorical), matrix, answers, scoring=scoring, cv=folds)
        drops = dict(zip(honest, _drops(matrix, categorical, answers, classify, folds, scoring), strict=True))
    found = [Importance(name, float(drops.get(place, np.nan)), alone[place]) for place, name in enumerate(names)]
    found.sort(key=lambda importance: -importance.drop if importance.drop == importance.drop else -np.inf)
    return replace(
        known, score=float(scores.mean()), spread=float(scores.std()), baseline=baseline, importances=tuple(found)
    )


def _model(classify: bool, categorical: list[bool]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return kind(max_iter=30, max_leaf_nodes=15, categorical_features=categorical, random_state=_SEED)


def _alone(column: NDArray[np.float64], answers: NDArray[Any], classify: bool, folds: Any, scoring: str) -> float:
    """The cross-validated score of a small tree of this column only."""
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if classify else DecisionTreeRegressor
    tree = kind(max_leaf_nodes=64, min_samples_leaf=2, random_state=_SEED)
    filled = np.where(np.isnan(column), np.nanmin(column, initial=0.0) - 1.0, column)[:, None]
    return float(cross_val_score(tree, filled, answers, scoring=scoring, cv=folds).mean())


def _drops(
    matrix: NDArray[np.float64],
    categorical: list[bool],
    answers: NDArray[Any],
    classify: bool,
    folds: Any,
    scoring: str,
) -> NDArray[np.float64]:
    """How much worse the model tells rows it has not seen when a column is shuffled (Breiman 2001)."""
    from sklearn.inspection import permutation_importance

    train, test = next(folds.split(matrix, answers))
    model = _model(classify, categorical).fit(matrix[train], answers[train])
    found = permutation_importance(model, matrix[test], answers[test], scoring=scoring, n_repeats=3, random_state=_SEED)
    drops: NDArray[np.float64] = found.importances_mean
    return drops
