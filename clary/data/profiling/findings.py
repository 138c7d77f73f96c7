"""What a person should review in a profile, each with the step of a recipe that would mend it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clary.data.batch import Kind
from clary.data.profiling.summaries import ColumnSummary, Finding, Level, Matrix, Numbers, Severity, Target, Texts
from clary.data.profiling.target_model import TELLS_ALL

MOSTLY_MISSING = 0.6
ONE_VALUE = 0.995
ALIKE = 0.95  # a correlation from which two columns say the same
SKEWED = 2.0
OUTLIERS = 0.01
RARE = 0.01
FEW_LEVELS = 50
MANY_LEVELS = 1_000
MANY_WORDS = 4.0  # from so many words on a text is read, not compared,
OWN_WORDS = 0.05  # where so many of the rows have one of their own
UNBALANCED = 5.0

_ORDERS = {
    "day first": ", the day first",
    "month first": ", the month first",
    "either": ", the day or the month first: say which by dayfirst",
}

Step = Mapping[str, Any]


def findings(
    columns: Sequence[ColumnSummary],
    *,
    rows: int,
    duplicates: int,
    duplicates_exact: bool,
    same: Sequence[Sequence[str]],
    pearson: Matrix,
    target: Target | None,
    target_name: str,
) -> tuple[Finding, ...]:
    """The gravest first, then in the table's order."""
    found = [*_of_table(rows, duplicates, duplicates_exact), *_of_target(target, target_name, columns)]
    copies = {name for group in same for name in group[1:]} - {target_name}
    found += [_copy(group[0], name) for group in same for name in group[1:] if name != target_name]
    for column in columns:
        if column.name != target_name and column.name not in copies:
            found += _of_column(column)
    found += _alike(pearson, copies | {target_name})
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _rows(count: int, of: int) -> str:
    return f"{count:,} of {of:,} rows ({_percent(count / max(of, 1))})"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "less than 0.1%"


def _of_table(rows: int, duplicates: int, exact: bool) -> Iterator[Finding]:
    if not rows:
        yield Finding(Severity.ERROR, "empty", "", "The table has no rows.")
    if duplicates:
        about = "" if exact else "about "
        text = f"{about}{_rows(duplicates, rows)} equal a row before them.".capitalize()
        yield Finding(Severity.WARNING, "duplicate_rows", "", text, {"deduplicate": {}})


def _copy(first: str, name: str) -> Finding:
    text = f"It holds in every row what {first!r} holds."
    return Finding(Severity.WARNING, "duplicate_column", name, text, {"drop": {"columns": [name]}})


# ---- a column ----


def _of_column(column: ColumnSummary) -> list[Finding]:
    drop = {"drop": {"columns": [column.name]}}
    if not column.rows:
        return []
    if not column.count:
        return [Finding(Severity.WARNING, "all_missing", column.name, "All values are missing.", drop)]
    if column.distinct == 1 and not column.missing:
        text = f"All {column.rows:,} values are equal{_value(column)}."
        return [Finding(Severity.WARNING, "constant", column.name, text, drop)]
    if column.index_like:
        text = (
            f"All of its {column.count:,} values are different: it names the rows, and a model learns nothing from it."
        )
        if not column.distinct_exact or column.distinct < column.count:
            text = f"About {column.distinct:,} of its {column.count:,} values are different: it seems to name the rows."
        return [Finding(Severity.WARNING, "id_like", column.name, text, drop)]
    found = list(_of_missing(column))
    if column.missing_share >= MOSTLY_MISSING:
        return found
    if (
        column.top
        and column.top_exact
        and ONE_VALUE * column.count <= column.top[0].rows < column.count
        and column.kind is not Kind.TIME
    ):
        rows = _rows(column.top[0].rows, column.rows)
        text = f"Nearly all values are equal: {rows} hold{_value(column)[1:] or ' it'}."
        found.append(Finding(Severity.INFO, "nearly_constant", column.name, text, drop))
    if column.numbers is not None and column.kind is Kind.NUMBER:
        found += _of_numbers(column, column.numbers)
    if column.texts is not None:
        found += _of_texts(column, column.texts)
    if column.times is not None:
        text = "Times become numbers as parts: year, month, day, weekday, hour."
        found.append(Finding(Severity.INFO, "time", column.name, text, {"date_parts": {"columns": [column.name]}}))
    return found


def _value(column: ColumnSummary) -> str:
    return f", {str(column.top[0].value)[:60]!r}" if column.top else ""


def _of_missing(column: ColumnSummary) -> Iterator[Finding]:
    if not column.missing:
        return
    text = f"{_rows(column.missing, column.rows)} have no value."
    if column.missing_share >= MOSTLY_MISSING:
        yield Finding(Severity.WARNING, "mostly_missing", column.name, text, {"drop": {"columns": [column.name]}})
        return
    step: Step | None = None
    if column.kind is Kind.NUMBER:
        step = {"impute": {"columns": [column.name], "strategy": "median"}}
    elif column.kind in (Kind.TEXT, Kind.BOOLEAN):
        step = {"impute": {"columns": [column.name], "strategy": "most_frequent"}}
    elif column.kind is Kind.TIME:
        step = {"impute": {"columns": [column.name], "strategy": "forward_fill"}}
    severity = Severity.WARNING if column.missing_share >= 0.05 else Severity.INFO
    yield Finding(severity, "missing", column.name, text, step)


def _of_numbers(column: ColumnSummary, numbers: Numbers) -> Iterator[Finding]:
    if numbers.infinite:
        text = f"{_rows(numbers.infinite, column.rows)} hold an infinite value; most models refuse it."
        step = {"clip": {"columns": [column.name], "lower": numbers.finite_low, "upper": numbers.finite_high}}
        finite = math.isfinite(numbers.finite_low)
        yield Finding(
            Severity.ERROR, "infinite", column.name, text, step if finite else {"drop": {"columns": [column.name]}}
        )
    if column.distinct <= 2:
        return
    skewed = abs(numbers.skewness) > SKEWED
    beyond = numbers.robust_outliers or 0
    if numbers.outliers > OUTLIERS * column.count and not (skewed and numbers.low >= 0):
        robust = f"; {beyond:,} have a robust z over 3.5" if numbers.robust_outliers is not None else ""
        text = (
            f"{_rows(numbers.outliers, column.rows)} lie more than 1.5 interquartile ranges outside the quartiles, "
            f"below {numbers.fences[0]:.6g} or above {numbers.fences[1]:.6g}{robust}."
        )
        yield Finding(Severity.WARNING, "outliers", column.name, text, {"winsorize": {"columns": [column.name]}})
    elif beyond:
        text = f"{_rows(beyond, column.rows)} have a robust z over 3.5."
        yield Finding(Severity.INFO, "outliers", column.name, text, {"winsorize": {"columns": [column.name]}})
    if skewed:
        transform = "log1p" if numbers.low >= 0 else "yeo_johnson"
        side = "above" if numbers.skewness > 0 else "below"
        text = f"Its skewness is {numbers.skewness:.1f}: few values are far {side} the rest."
        yield Finding(Severity.WARNING, "skewed", column.name, text, {transform: {"columns": [column.name]}})


def _of_texts(column: ColumnSummary, texts: Texts) -> Iterator[Finding]:
    # What the sample cannot tell of the other rows is left missing, and counted by the step.
    step: dict[str, dict[str, Any]]
    if texts.all_numbers:
        text = "Every text of the sample reads as a number."
        step = {"cast": {"columns": [column.name], "to": "number", "errors": "missing"}}
        yield Finding(Severity.WARNING, "numbers_as_text", column.name, text, step)
        return
    if texts.all_times:
        day_first = {"dayfirst": True} if texts.dates == "day first" else {}
        text = f"These are dates: every text of the sample reads as one{_ORDERS.get(texts.dates, '')}."
        step = {"parse_dates": {"columns": [column.name], **day_first, "errors": "missing"}}
        yield Finding(Severity.WARNING, "times_as_text", column.name, text, step)
        return
    if texts.padded or texts.empty:
        odd = (
            f"{texts.empty:,} texts are empty"
            if texts.empty
            else f"{texts.padded:,} texts have white space around them"
        )
        clean = {"columns": [column.name], "lowercase": False, "punctuation": False}
        yield Finding(Severity.INFO, "blanks", column.name, f"{odd}.".capitalize(), {"clean_text": clean})
    if texts.mean_words >= MANY_WORDS and column.distinct > max(FEW_LEVELS, OWN_WORDS * column.count):
        text = f"It holds sentences: {texts.mean_words:.1f} words on average, {column.distinct:,} different texts."
        step = {"tf_idf": {"columns": [column.name], "max_features": 1_000}}
        yield Finding(Severity.INFO, "free_text", column.name, text, step)
        return
    if column.distinct > MANY_LEVELS:
        about = "" if column.distinct_exact else "about "
        text = f"It has {about}{column.distinct:,} levels: a column for each would be too many."
        yield Finding(
            Severity.WARNING, "many_levels", column.name, text, {"hash": {"columns": [column.name], "n_features": 256}}
        )
        return
    seldom = sum(1 for level in column.top if level.rows < RARE * column.rows)
    if column.distinct > FEW_LEVELS or (seldom and column.distinct > 10):
        text = f"Of its {column.distinct:,} levels many are in less than {RARE:.0%} of the rows."
        yield Finding(
            Severity.INFO, "rare_levels", column.name, text, {"rare": {"columns": [column.name], "min_count": RARE}}
        )
    text = f"It has {column.distinct:,} level{'s' if column.distinct > 1 else ''}."
    yield Finding(Severity.INFO, "category", column.name, text, {"one_hot": {"columns": [column.name]}})


def _alike(pearson: Matrix, leave: set[str]) -> Iterator[Finding]:
    reported: set[str] = set()
    for first, second, r in pearson.pairs(ALIKE):
        if not leave & {first, second} and second not in reported:
            reported.add(second)
            text = f"Its correlation with {first!r} is {r:.3f}: they say nearly the same."
            step = {"select_correlation": {"columns": [first, second], "threshold": ALIKE}}
            yield Finding(Severity.WARNING, "correlated", second, text, step)


# ---- the target ----


def _class(level: Level) -> str:
    return f"{level.rows:,} rows of {str(level.value)[:60]!r}"


def _of_target(target: Target | None, name: str, columns: Sequence[ColumnSummary]) -> Iterator[Finding]:
    if not name:
        return
    summary = next(column for column in columns if column.name == name)
    if summary.missing:
        text = (
            f"It is the target, and {_rows(summary.missing, summary.rows)} have none: nothing can be learnt from them."
        )
        yield Finding(Severity.ERROR, "target_missing", name, text, {"drop_missing": {"columns": [name]}})
    if target is None:
        return
    if target.classes is not None and target.classes.imbalance > UNBALANCED:
        most, least = target.classes.rows[0], target.classes.rows[-1]
        text = f"Its classes are unbalanced: {_class(most)}, {_class(least)}."
        yield Finding(Severity.WARNING, "unbalanced", name, text, {"balance": {}})
    for importance in target.importances:
        if importance.alone >= TELLS_ALL:
            text = (
                f"It alone tells the target {name!r} with a {target.metric} of {importance.alone:.3f}: it may not be "
                "known yet when a prediction is asked for."
            )
            yield Finding(Severity.ERROR, "leak", importance.column, text, {"drop": {"columns": [importance.column]}})
    if math.isfinite(target.score) and target.score <= target.baseline + target.spread:
        text = (
            f"A quick model tells it no better ({target.metric} {target.score:.3f}) than always the same answer "
            f"({target.baseline:.3f})."
        )
        yield Finding(Severity.WARNING, "unpredictable", name, text)
