"""From what the passes found of a column to its summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Batch, Kind
from clary.data.profiling.dates import Dates, dates_of
from clary.data.profiling.sample_summaries import histogram, reads_as, top_of, words_of
from clary.data.profiling.summaries import ColumnSummary, Histogram, Level, Numbers, Texts, Times
from clary.data.profiling.table_summary import TableSummary
from clary.data.statistics.column_values import NumberValues
from clary.data.statistics.number_summaries import NumberSummary
from clary.data.statistics.order_summaries import FENCE
from clary.data.statistics.pair_sums import MomentFigures
from clary.data.statistics.text_summaries import TextSummary

TOP = 10
_STANDS_OUT = 0.01
_INDEX_ROWS = 20  # fewer rows are all different by chance


def column_summaries(table: TableSummary) -> tuple[ColumnSummary, ...]:
    """Of each column, in the table's order."""
    types = {field.name: _type_name(field.type) for field in table.scan.arrow_schema}
    moments = {name: found for sums in table.sums for name, found in sums.moments().items()}
    return tuple(
        _of_numbers(name, types[name], found, moments, table)
        if isinstance(found, NumberSummary)
        else _of_texts(name, types[name], found, table)
        for name, found in table.columns.items()
    )


def _type_name(arrow: pa.DataType) -> str:
    return f"{arrow.value_type} (dictionary)" if pa.types.is_dictionary(arrow) else str(arrow)


def _of_numbers(
    name: str, type_name: str, found: NumberSummary, moments: Mapping[str, MomentFigures], table: TableSummary
) -> ColumnSummary:
    sample = table.sample.batch
    distinct, exact = found.counts.count()
    distinct = min(distinct, found.count)
    top, counted = _top(found.counts.levels(), sample, name, table.rows)
    if counted != table.rows:  # of many different numbers only those that stand out
        top = tuple(level for level in top if level.rows >= _STANDS_OUT * counted)
    if found.kind is Kind.BOOLEAN:
        top = tuple(Level(bool(level.value), level.rows) for level in top)
    bars = histogram(NumberValues(sample[name], found.kind).floats if sample.rows else np.empty(0))
    order = "" if found.count < 2 or not found.rising else "increasing" if found.strict else "not decreasing"
    low, high = (found.low, found.high) if found.count else (math.nan, math.nan)
    numbers = times = None
    if found.kind is Kind.TIME:
        mean = found.total / found.count if found.count else math.nan
        times = Times(low, high, mean, found.order.quantiles, order, bars)
    else:
        numbers = _numbers(found, moments[name], order, (low, high), bars)
    index_like = _index_like(distinct, found.count, table.rows) and found.kind is Kind.NUMBER and found.whole
    return ColumnSummary(
        name, found.kind, type_name, found.rows, found.rows - found.count, distinct, exact, top, counted,
        numbers=numbers, times=times, index_like=index_like,
    )  # fmt: skip


def _numbers(
    found: NumberSummary,
    moments: MomentFigures,
    order: str,
    extremes: tuple[float, float],
    bars: Histogram | None,
) -> Numbers:
    quantiles, known = found.order.quantiles, found.order.known
    q1, q3 = quantiles[0.25], quantiles[0.75]
    reach = FENCE * (q3 - q1)
    lowest, highest = found.infinite
    mean = moments.mean
    spread: tuple[float, ...] = (moments.variance, moments.skewness, moments.kurtosis)
    if lowest or highest:  # as pandas: an infinite mean, or none, and no spread
        mean = math.nan if lowest and highest else -math.inf if lowest else math.inf
        spread = (math.nan, math.nan, math.nan)
    elif found.count and found.low == found.high:
        mean = found.low
        spread = (0.0 if found.count > 1 else math.nan, *(0.0 if found.count > n else math.nan for n in (2, 3)))
    robust = known.get("robust")
    finite = found.count > lowest + highest
    return Numbers(
        mean=mean,
        variance=spread[0],
        skewness=spread[1],
        kurtosis=spread[2],
        low=extremes[0],
        high=extremes[1],
        finite_low=found.finite_low if finite else math.nan,
        finite_high=found.finite_high if finite else math.nan,
        quantiles=quantiles,
        zeros=found.zeros,
        negatives=found.negatives,
        infinite=lowest + highest,
        whole=found.whole and found.count > 0 and not (lowest or highest),
        order=order,
        fences=(q1 - reach, q3 + reach),
        outliers=int(known.get("outliers", 0)),
        median_deviation=known.get("deviation", math.nan),
        robust_outliers=None if robust is None else int(robust),
        histogram=bars,
    )


def _of_texts(name: str, type_name: str, found: TextSummary, table: TableSummary) -> ColumnSummary:
    sample = table.sample.batch
    distinct, exact = found.counts.count()
    count = found.rows - found.missing
    distinct = min(distinct, count)
    top: tuple[Level, ...] = ()
    counted, texts = table.rows, None
    if found.kind is Kind.TEXT:
        top, counted = _top(found.counts.levels(), sample, name, table.rows)
        texts = _texts(found, sample[name] if sample.rows else pa.array([], pa.string()))
    short = texts is not None and texts.longest <= 64 and (math.isnan(texts.mean_words) or texts.mean_words <= 2)
    index_like = _index_like(distinct, count, table.rows) and short
    return ColumnSummary(
        name, found.kind, type_name, found.rows, found.missing, distinct, exact, top, counted,
        texts=texts, index_like=index_like,
    )  # fmt: skip


def _texts(found: TextSummary, sample: pa.Array) -> Texts:
    lengths = found.lengths
    words, mean_words = words_of(sample, TOP)
    padded = int(pc.sum(pc.not_equal(pc.utf8_trim_whitespace(sample), sample)).as_py() or 0)
    dates = dates_of(sample)
    return Texts(
        shortest=lengths.shortest if lengths.count else math.nan,
        longest=lengths.longest if lengths.count else math.nan,
        mean_length=lengths.total / lengths.count if lengths.count else math.nan,
        empty=lengths.empty,
        mean_words=mean_words,
        words=words,
        all_numbers=reads_as(sample, pa.float64()),
        all_times=dates is not Dates.NONE,
        dates=dates,
        padded=padded,
    )


def _top(levels: Any, sample: Batch, name: str, rows: int) -> tuple[tuple[Level, ...], int]:
    """(most frequent values, of how many rows): of all, or of the sample where there are too many to count."""
    if levels is None:
        return top_of(sample[name], TOP) if sample.rows else ((), 0)
    values, counts = levels
    return tuple(Level(_plain(values[place]), int(counts[place])) for place in range(min(TOP, len(counts)))), rows


def _plain(value: Any) -> Any:
    """As Python's own type."""
    if isinstance(value, np.generic):
        return value.item()
    return value.as_py() if hasattr(value, "as_py") else value


def _index_like(distinct: int, count: int, rows: int) -> bool:
    """Whether every row has a value, and all are different, as far as they were counted."""
    return count == rows and rows >= _INDEX_ROWS and distinct >= 0.98 * rows
