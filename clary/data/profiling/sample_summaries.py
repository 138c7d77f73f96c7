"""Figures that need the values side by side, or sorted: worked out on the sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.arrow import to_arrow, to_numpy
from clary.data.batch import Batch, Kind, Schema, coded, numbers
from clary.data.profiling.summaries import Histogram, Level, Matrix
from clary.data.statistics.hashes import runs_of_equal

MOST_COLUMNS = 100  # of a matrix
MOST_WORD_ROWS = 10_000
_BINS = 40
_WIDEST = 8e307
_COUNTED = 1e12  # whole numbers up to it get a bar each
_WORD = re.compile(r"\w+")
_WORD_CHARACTERS = 2_000  # of a text


def spearman(batch: Batch, names: Sequence[str]) -> Matrix:
    """Spearman's rank correlation of each pair of number columns over the rows in which both are finite, as pandas."""
    ranked = np.array([_ranks(_finite(numbers(batch[name]))) for name in names]).reshape(len(names), batch.rows)
    found = np.full((len(names), len(names)), np.nan)
    known = ~np.isnan(ranked)
    for i in range(len(names)):
        for j in range(i + 1):
            both = known[i] & known[j]
            if both.all():
                first, second = ranked[i], ranked[j]
            else:  # ranks among the rows that have both
                first, second = _ranks(ranked[i][both]), _ranks(ranked[j][both])
            found[i, j] = found[j, i] = _pearson(first, second)
    return Matrix(tuple(names), found, batch.rows)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, ties get their mean, NaN stays."""
    ranks = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    present = values[known]
    order = np.argsort(present)
    starts, counts = runs_of_equal(present[order])
    ranks[known[order]] = np.repeat((starts + starts + counts + 1) / 2, counts)
    return ranks


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if len(first) < 2:
        return float("nan")
    a, b = first - first.mean(), second - second.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / size, -1.0, 1.0)) if size > 0 else float("nan")


def cramers_v(batch: Batch, names: Sequence[str]) -> Matrix:
    """Cramér's V of each pair of categories, corrected for bias, over the rows that have both.

    Reference  Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T, J. Korean Stat. Soc. 42(3).
    """
    every = [coded(batch[name])[0].astype(np.int64) for name in names]
    found = np.full((len(names), len(names)), np.nan)
    for i in range(len(names)):
        for j in range(i + 1):
            found[i, j] = found[j, i] = _cramer(every[i], every[j])
    return Matrix(tuple(names), found, batch.rows)


def _cramer(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    both = (first >= 0) & (second >= 0)
    first, second = first[both], second[both]
    n = len(first)
    if n < 2:
        return float("nan")
    width = int(second.max()) + 1
    cells, counts = np.unique(first * width + second, return_counts=True)
    rows, columns = np.bincount(first), np.bincount(second)
    expected = rows[cells // width] * columns[cells % width]
    phi = float((counts.astype(np.float64) ** 2 / expected).sum()) - 1
    r, k = int(np.count_nonzero(rows)), int(np.count_nonzero(columns))
    phi = max(0.0, phi - (r - 1) * (k - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(np.clip((phi / least) ** 0.5, 0.0, 1.0)) if least > 1e-12 else float("nan")


def histogram(values: NDArray[np.float64], bins: int = _BINS) -> Histogram | None:
    """Of finite values; None where there is none. Far outliers are left out of the range, and counted."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    # A range wider than the largest number there is has no width.
    low, high = max(float(values.min()), -_WIDEST), min(float(values.max()), _WIDEST)
    q1, q3 = (float(q) for q in np.quantile(np.clip(values, -_WIDEST, _WIDEST), (0.25, 0.75)))
    reach = 3.0 * (q3 - q1)
    if reach > 0:
        low, high = max(low, q1 - reach), min(high, q3 + reach)
    if high - low < bins and max(abs(low), abs(high)) < _COUNTED and bool((values == np.floor(values)).all()):
        low, high = float(np.floor(low)) - 0.5, float(np.ceil(high)) + 0.5  # a bar for each whole number
        bins = max(1, round(high - low))
    elif high - low <= 1e-12 * max(abs(low), abs(high)):
        room = max(abs(low), 1.0) / 2
        low, high, bins = low - room, high + room, 1
    counts, _ = np.histogram(values, bins, (low, high))
    below, above = int((values < low).sum()), int((values > high).sum())
    return Histogram(low, high, tuple(map(int, counts)), below, above, len(values))


def top_of(column: pa.Array, most: int) -> tuple[tuple[Level, ...], int]:
    """(the most frequent values of a sample, of how many rows)."""
    codes, levels = coded(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    order = np.argsort(-counts, kind="stable")[:most]
    return tuple(Level(levels[int(place)].as_py(), int(counts[place])) for place in order), len(codes)


def words_of(texts: pa.Array, most: int) -> tuple[tuple[tuple[str, int], ...], float]:
    """(the words that most texts have, how many words a text has): words are runs of letters and digits."""
    found: Counter[str] = Counter()
    total = 0
    present = texts.drop_null()[:MOST_WORD_ROWS]
    if not len(present):
        return (), float("nan")
    coded_once = pc.value_counts(present)
    for text, count in zip(coded_once.field(0).to_pylist(), coded_once.field(1).to_pylist(), strict=True):
        words = _WORD.findall(text[:_WORD_CHARACTERS].lower())
        total += len(words) * count
        for word in dict.fromkeys(words):  # in their order: of words as frequent the first met comes first
            found[word] += count
    return tuple(found.most_common(most)), total / len(present)


def reads_as(texts: pa.Array, wanted: pa.DataType) -> bool:
    """Whether every text that is not blank reads as that type, and there is one."""
    present = pc.utf8_trim_whitespace(texts.drop_null())
    present = present.filter(to_arrow(to_numpy(pc.binary_length(present)) > 0))
    if not len(present):
        return False
    if pa.types.is_floating(wanted) and pc.any(pc.match_substring_regex(present, r"^[+-]?0\d")).as_py():
        return False  # "007" is a name: as a number it would be another
    try:
        present[:200].cast(wanted)
        present.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def categories(batch: Batch, schema: Schema, distinct: dict[str, int]) -> tuple[str, ...]:
    """The columns whose values are levels: texts, booleans and integers of few values."""
    found = []
    for field in schema.fields:
        levels = distinct[field.name]
        few = field.kind in (Kind.TEXT, Kind.BOOLEAN) and levels <= max(2, min(1_000, batch.rows // 4))
        if levels > 1 and (few or (field.kind is Kind.NUMBER and levels <= 20)):
            found.append(field.name)
    return tuple(found[:MOST_COLUMNS])
