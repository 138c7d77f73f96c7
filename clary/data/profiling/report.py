"""A profile as one page of HTML that needs nothing else: no network, no script, whatever the names in the table are."""

from __future__ import annotations

import base64
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from clary.data.batch import Kind
from clary.data.errors import DataError
from clary.data.profiling import charts, formatting
from clary.data.profiling.summaries import ColumnSummary

if TYPE_CHECKING:
    from jinja2 import Template

    from clary.data.profiling.profile_data import ProfileData

MOST_COLUMNS = 300  # shown one by one
_MOST_STRIPS = 40  # columns of the missingness matrix


def report(profile: ProfileData) -> str:
    """Raises DataError where Jinja2 is not installed."""
    incomplete = [column.name for column in profile.columns if column.missing][:_MOST_STRIPS]
    sample = profile.sample
    matrices = [
        ("Pearson's r", "of each pair of numbers, over the rows that have both", profile.pearson),
        ("Spearman's ρ", "of their ranks", profile.spearman),
        ("Cramér's V", "of each pair of categories, corrected for bias", profile.cramers_v),
    ]
    return _template().render(
        profile=profile,
        columns=profile.columns[:MOST_COLUMNS],
        left_out=len(profile.columns) - MOST_COLUMNS,
        incomplete=incomplete,
        missingness=charts.missingness_svg(sample, incomplete) if sample and sample.batch.rows and incomplete else None,
        matrices=[
            (name, about, matrix, charts.heat(matrix), matrix.pairs(0.3)[:20])
            for name, about, matrix in matrices
            if charts.strongest(matrix.values)
        ],
        most_heat=charts.MOST_HEAT,
        pair_plot=_pair_plot(profile),
        chart=_chart,
        facts=_facts,
        w=formatting,
    )


@lru_cache(1)
def _template() -> Template:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise DataError("the report needs Jinja2: pip install 'clary[data]'") from None
    source = files("clary.data.profiling").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)


def _chart(column: ColumnSummary) -> Any:
    """The column's chart; None where bars of its levels tell all."""
    if column.numbers is not None and column.numbers.histogram is not None and column.kind is Kind.NUMBER:
        return charts.histogram_svg(column.numbers.histogram, column.numbers)
    if column.times is not None and column.times.histogram is not None:
        return charts.histogram_svg(column.times.histogram, None, times=True)
    return None


def _pair_plot(profile: ProfileData) -> str | None:
    """An image as a data: address."""
    sample = profile.sample
    if not profile.columns_to_plot or sample is None or not sample.batch.rows:
        return None
    from clary.data.plot.figure import png
    from clary.data.plot.relations import pairs

    return "data:image/png;base64," + base64.b64encode(png(pairs(sample.batch, profile.columns_to_plot))).decode()


def _facts(column: ColumnSummary) -> list[tuple[str, str]]:
    """(what, figure) of a column."""
    distinct = f"{column.distinct:,}" if column.distinct_exact else f"about {column.distinct:,}"
    found = [
        ("Missing", f"{column.missing:,} ({formatting.share(column.missing, column.rows)})"),
        ("Different values", distinct),
    ]
    if column.numbers is not None and column.kind is Kind.NUMBER:
        n = column.numbers
        robust = "–" if n.robust_outliers is None else f"{n.robust_outliers:,}"
        found += [
            ("Mean", formatting.number(n.mean)),
            ("Standard deviation", formatting.number(n.deviation)),
            ("Skewness", formatting.number(n.skewness)),
            ("Kurtosis", formatting.number(n.kurtosis)),
            ("Minimum", formatting.number(n.low)),
            *((f"{q:.0%} quantile", formatting.number(at)) for q, at in n.quantiles.items()),
            ("Maximum", formatting.number(n.high)),
            ("Median deviation", formatting.number(n.median_deviation)),
            ("Outliers by quartiles", f"{n.outliers:,}"),
            ("Outliers by robust z", robust),
            ("Zeros", f"{n.zeros:,}"),
            ("Negative", f"{n.negatives:,}"),
            ("Infinite", f"{n.infinite:,}"),
            ("Order", n.order or "none"),
        ]
    if column.times is not None:
        found += [
            ("First", formatting.time(column.times.first)),
            ("Median", formatting.time(column.times.quantiles[0.5])),
            ("Mean", formatting.time(column.times.mean)),
            ("Last", formatting.time(column.times.last)),
            ("Order", column.times.order or "none"),
        ]
    if column.texts is not None:
        t = column.texts
        shortest, longest, mean = (formatting.number(length) for length in (t.shortest, t.longest, t.mean_length))
        found += [
            ("Characters", f"{shortest} to {longest}, mean {mean}"),
            ("Words, mean", formatting.number(t.mean_words)),
            ("Empty texts", f"{t.empty:,}"),
        ]
    return found
