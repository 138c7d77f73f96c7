"""What a person should look at in a profile, each with the step of a recipe that would mend it."""

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
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def _said(count: int, of: int) -> str:
    return f"{count:,} of {of:,} rows ({_percent(count / max(of, 1))})"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "less than 0.1%"


def _of_table(rows: int, duplicates: int, exact: bool) -> Iterator[Finding]:
    if not rows:
        yield Finding(Severity.ERROR, "empty", "", "The table has no rows.")
    if duplicates:
        about = "" if exact else "about "
        text = f"{about}{_said(duplicates, rows)} equal a row before them.".capitalize()
        yield Finding(Severity.WARNING, "duplicate_rows", "", text, {"deduplicate": {}})


def _copy(first: str, name: str) -> Finding:
    text = f"It holds in every row what {first!r} holds."
    return Finding(Severity.WARNING, "duplicate_column", name, text, {"drop": {"columns": [name]}})


# ---- a column ----


def _of_column(one: ColumnSummary) -> list[Finding]:
    drop = {"drop": {"columns": [one.name]}}
    if not one.rows:
        return []
    if not one.count:
        return [Finding(Severity.WARNING, "all_missing", one.name, "All values are missing.", drop)]
    if one.distinct == 1 and not one.missing:
        text = f"All {one.rows:,} values are equal{_value(one)}."
        return [Finding(Severity.WARNING, "constant", one.name, text, drop)]
    if one.index_like:
        text = f"All of its {one.count:,} values are different: it names the rows, and a model learns nothing from it."
        if not one.distinct_exact or one.distinct < one.count:
            text = f"About {one.distinct:,} of its {one.count:,} values are different: it seems to name the rows."
        return [Finding(Severity.WARNING, "id_like", one.name, text, drop)]
    found = list(_of_missing(one))
    if one.missing_share >= MOSTLY_MISSING:
        return found
    if one.top and one.top_exact and ONE_VALUE * one.count <= one.top[0].rows < one.count and one.kind is not Kind.TIME:
        text = f"Nearly all values are equal: {_said(one.top[0].rows, one.rows)} hold{_value(one)[1:] or ' it'}."
        found.append(Finding(Severity.INFO, "nearly_constant", one.name, text, drop))
    if one.numbers is not None and one.kind is Kind.NUMBER:
        found += _of_numbers(one, one.numbers)
    if one.texts is not None:
        found += _of_texts(one, one.texts)
    if one.times is not None:
        text = "Times become numbers as parts: year, month, day, weekday, hour."
        found.append(Finding(Severity.INFO, "time", one.name, text, {"date_parts": {"columns": [one.name]}}))
    return found


def _value(one: ColumnSummary) -> str:
    return f", {str(one.top[0].value)[:60]!r}" if one.top else ""


def _of_missing(one: ColumnSummary) -> Iterator[Finding]:
    if not one.missing:
        return
    text = f"{_said(one.missing, one.rows)} have no value."
    if one.missing_share >= MOSTLY_MISSING:
        yield Finding(Severity.WARNING, "mostly_missing", one.name, text, {"drop": {"columns": [one.name]}})
        return
    step: Step | None = None
    if one.kind is Kind.NUMBER:
        step = {"impute": {"columns": [one.name], "strategy": "median"}}
    elif one.kind in (Kind.TEXT, Kind.BOOLEAN):
        step = {"impute": {"columns": [one.name], "strategy": "most_frequent"}}
    elif one.kind is Kind.TIME:
        step = {"impute": {"columns": [one.name], "strategy": "forward_fill"}}
    severity = Severity.WARNING if one.missing_share >= 0.05 else Severity.INFO
    yield Finding(severity, "missing", one.name, text, step)


def _of_numbers(one: ColumnSummary, numbers: Numbers) -> Iterator[Finding]:
    if numbers.infinite:
        text = f"{_said(numbers.infinite, one.rows)} hold an infinite value; most models refuse it."
        step = {"clip": {"columns": [one.name], "lower": numbers.finite_low, "upper": numbers.finite_high}}
        finite = math.isfinite(numbers.finite_low)
        yield Finding(Severity.ERROR, "infinite", one.name, text, step if finite else {"drop": {"columns": [one.name]}})
    if one.distinct <= 2:
        return
    skewed = abs(numbers.skewness) > SKEWED
    beyond = numbers.robust_outliers or 0
    if numbers.outliers > OUTLIERS * one.count and not (skewed and numbers.low >= 0):
        robust = f"; {beyond:,} have a robust z over 3.5" if numbers.robust_outliers is not None else ""
        text = (
            f"{_said(numbers.outliers, one.rows)} lie more than 1.5 interquartile ranges outside the quartiles, below "
            f"{numbers.fences[0]:.6g} or above {numbers.fences[1]:.6g}{robust}."
        )
        yield Finding(Severity.WARNING, "outliers", one.name, text, {"winsorize": {"columns": [one.name]}})
    elif beyond:
        text = f"{_said(beyond, one.rows)} have a robust z over 3.5."
        yield Finding(Severity.INFO, "outliers", one.name, text, {"winsorize": {"columns": [one.name]}})
    if skewed:
        transform = "log1p" if numbers.low >= 0 else "yeo_johnson"
        side = "above" if numbers.skewness > 0 else "below"
        text = f"Its skewness is {numbers.skewness:.1f}: few values are far {side} the rest."
        yield Finding(Severity.WARNING, "skewed", one.name, text, {transform: {"columns": [one.name]}})


def _of_texts(one: ColumnSummary, texts: Texts) -> Iterator[Finding]:
    # What the sample cannot tell of the other rows is left missing, and counted by the step.
    step: dict[str, dict[str, Any]]
    if texts.all_numbers:
        text = "Every text of the sample reads as a number."
        step = {"cast": {"columns": [one.name], "to": "number", "errors": "missing"}}
        yield Finding(Severity.WARNING, "numbers_as_text", one.name, text, step)
        return
    if texts.all_times:
        day_first = {"dayfirst": True} if texts.dates == "day first" else {}
        text = f"These are dates: every text of the sample reads as one{_ORDERS.get(texts.dates, '')}."
        step = {"parse_dates": {"columns": [one.name], **day_first, "errors": "missing"}}
        yield Finding(Severity.WARNING, "times_as_text", one.name, text, step)
        return
    if texts.padded or texts.empty:
        odd = (
            f"{texts.empty:,} texts are empty"
            if texts.empty
            else f"{texts.padded:,} texts have white space around them"
        )
        clean = {"columns": [one.name], "lowercase": False, "punctuation": False}
        yield Finding(Severity.INFO, "blanks", one.name, f"{odd}.".capitalize(), {"clean_text": clean})
    if texts.mean_words >= MANY_WORDS and one.distinct > max(FEW_LEVELS, OWN_WORDS * one.count):
        text = f"It holds sentences: {texts.mean_words:.1f} words on average, {one.distinct:,} different texts."
        step = {"tf_idf": {"columns": [one.name], "max_features": 1_000}}
        yield Finding(Severity.INFO, "free_text", one.name, text, step)
        return
    if one.distinct > MANY_LEVELS:
        about = "" if one.distinct_exact else "about "
        text = f"It has {about}{one.distinct:,} levels: a column for each would be too many."
        yield Finding(
            Severity.WARNING, "many_levels", one.name, text, {"hash": {"columns": [one.name], "n_features": 256}}
        )
        return
    seldom = sum(1 for level in one.top if level.rows < RARE * one.rows)
    if one.distinct > FEW_LEVELS or (seldom and one.distinct > 10):
        text = f"Of its {one.distinct:,} levels many are in less than {RARE:.0%} of the rows."
        yield Finding(
            Severity.INFO, "rare_levels", one.name, text, {"rare": {"columns": [one.name], "min_count": RARE}}
        )
    text = f"It has {one.distinct:,} level{'s' if one.distinct > 1 else ''}."
    yield Finding(Severity.INFO, "category", one.name, text, {"one_hot": {"columns": [one.name]}})


def _alike(pearson: Matrix, leave: set[str]) -> Iterator[Finding]:
    told: set[str] = set()
    for first, second, r in pearson.pairs(ALIKE):
        if not leave & {first, second} and second not in told:
            told.add(second)
            text = f"Its correlation with {first!r} is {r:.3f}: they say nearly the same."
            step = {"select_correlation": {"columns": [first, second], "threshold": ALIKE}}
            yield Finding(Severity.WARNING, "correlated", second, text, step)


# ---- the target ----


def _class(level: Level) -> str:
    return f"{level.rows:,} rows of {str(level.value)[:60]!r}"


def _of_target(target: Target | None, name: str, columns: Sequence[ColumnSummary]) -> Iterator[Finding]:
    if not name:
        return
    one = next(column for column in columns if column.name == name)
    if one.missing:
        text = f"It is the target, and {_said(one.missing, one.rows)} have none: nothing can be learnt from them."
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
