"""Statistics of a table in batches equal those of the whole."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.batch import Batch, concatenated
from clary.data.errors import StepError
from clary.data.scans import FrameScan, each_batch
from clary.data.statistics.base import AnotherPass, Sample, Statistic
from clary.data.statistics.counts import Counts
from clary.data.statistics.hashes import uniform
from clary.data.statistics.moments import Moments
from clary.data.statistics.products import Products
from clary.data.statistics.quantiles import Quantiles
from clary.data.statistics.samples import SampleRows

FLOATS = st.floats(-1e6, 1e6) | st.just(math.nan) | st.sampled_from([0.0, 1.0, -1.0])


def cut(values: list, sizes: list[int], name: str = "x") -> list[Batch]:
    """One column in batches of these sizes, the last taking what is left."""
    array = np.array(values, dtype=np.float64)
    edges = np.minimum(np.cumsum([0, *sizes]), len(array))
    parts = [array[start:end] for start, end in zip(edges, [*edges[1:], len(array)], strict=True)]
    return [Batch({name: part}, len(part)) for part in parts]


def of_batches(statistic: Statistic, batches: list[Batch]):
    state = statistic.initial()
    for batch in batches:
        more = statistic.compute(batch)
        state = more if state is None else statistic.merge(state, more)
    return statistic.result(state)


@given(st.lists(FLOATS, max_size=60), st.lists(st.integers(0, 20), max_size=5))
def test_moments_equal_those_of_the_whole(values, sizes):
    found = of_batches(Moments("x"), cut(values, sizes))
    series = pd.Series(values, dtype=float)
    assert (found.count, found.missing) == (series.count(), series.isna().sum())
    if not found.count:
        assert math.isnan(found.mean)
        assert math.isnan(found.variance())
        return
    assert (found.low, found.high) == (series.min(), series.max())
    assert found.mean == pytest.approx(series.mean(), rel=1e-12, abs=1e-9)
    assert found.variance() == pytest.approx(np.nanvar(series), rel=1e-9, abs=1e-9)
    assert found.zeros == (series == 0).sum()


def test_infinite_values_are_extremes_and_no_part_of_the_mean():
    found = of_batches(Moments("x"), cut([1.0, math.inf, 3.0, math.nan, -math.inf], [2, 1]))
    assert (found.count, found.missing, found.infinite) == (4, 1, 2)
    assert (found.low, found.high, found.mean, found.variance()) == (-math.inf, math.inf, 2.0, 1.0)


@given(st.lists(FLOATS, min_size=1, max_size=60), st.lists(st.integers(0, 20), max_size=5), st.data())
def test_quantiles_are_exact_however_bad_the_sample(values, sizes, data):
    q = tuple(data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.99, 1.0]), min_size=1, max_size=4)))
    sampled = data.draw(st.lists(st.sampled_from(values), max_size=5))
    statistic = Quantiles("x", q, deviations=0.1).prepared(Sample(cut(sampled, [])[0], complete=False))
    for _ in range(30):
        try:
            found = of_batches(statistic, cut(values, sizes))
            break
        except AnotherPass as another_pass:
            statistic = another_pass.statistic
    present = np.array(values)[~np.isnan(values)]
    wanted = np.quantile(present, q) if len(present) else np.full(len(q), np.nan)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_quantiles_of_a_table_that_is_its_own_sample_need_no_pass():
    values = list(np.random.default_rng(0).normal(size=1000))
    statistic = Quantiles("x", (0.1, 0.5)).prepared(Sample(cut(values, [])[0], complete=True))
    assert statistic.known_from_sample
    np.testing.assert_array_equal(statistic.result(None), np.quantile(values, (0.1, 0.5)))


def test_quantiles_keep_few_values_where_one_value_is_frequent():
    values = np.concatenate([np.zeros(500_000), np.random.default_rng(0).normal(size=500_000)])
    sample = Batch({"x": np.random.default_rng(1).choice(values, 10_000)}, 10_000)
    statistic = Quantiles("x", (0.25, 0.5, 0.75)).prepared(Sample(sample, complete=False))
    batch = Batch({"x": values}, len(values))
    assert sum(len(kept) for kept in statistic.compute(batch).inside) < 0.15 * len(values)
    np.testing.assert_allclose(of_batches(statistic, [batch]), np.quantile(values, (0.25, 0.5, 0.75)))


LEVELS = st.lists(st.sampled_from(["a", "b", "ß", "", None]), max_size=30)


@given(st.lists(LEVELS, min_size=1, max_size=4), st.booleans())
def test_counts_are_in_the_order_of_first_appearance(parts, dictionary):
    batches = []
    for part in parts:
        array = pa.array(part, pa.string())
        batches.append(Batch({"x": array.dictionary_encode() if dictionary else array}, len(part)))
    found = of_batches(Counts("x"), batches)
    series = pd.Series([value for part in parts for value in part], dtype=object)
    wanted = series.dropna().value_counts(sort=False)
    assert found.values.to_pylist() == list(series.dropna().unique())
    assert dict(zip(found.values.to_pylist(), found.counts, strict=True)) == wanted.to_dict()
    assert found.missing == series.isna().sum()


def test_a_dictionary_value_that_no_row_has_is_no_level():
    column = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int32()), pa.array(["never", "always"]))
    assert Counts("x").compute(Batch({"x": column}, 2)).values.to_pylist() == ["always"]


def test_more_levels_than_allowed_are_noted():
    statistic = Counts("x", most=3)
    first = statistic.compute(Batch({"x": pa.array(["a", "b"])}, 2))
    with pytest.raises(StepError, match="column 'x': there are more than 3 distinct values"):
        statistic.merge(first, statistic.compute(Batch({"x": pa.array(["c", "d"])}, 2)))


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=40), st.integers(1, 40))
def test_products_are_the_covariance_of_whole_rows(rows, at):
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    batches = [Batch({"a": part[:, 0], "b": part[:, 1]}, len(part)) for part in (table[:at], table[at:])]
    found = of_batches(Products(("a", "b")), batches)
    whole = table[~np.isnan(table).any(axis=1)]
    assert (found.count, found.left_out) == (len(whole), len(table) - len(whole))
    if len(whole) > 1:
        scale = max(1.0, np.abs(whole).max() ** 2)
        np.testing.assert_allclose(found.covariance() / scale, np.cov(whole, rowvar=False) / scale, atol=1e-10)


@settings(max_examples=10)
@given(st.integers(1, 7), st.integers(100, 40_000))
def test_a_sample_is_the_same_however_the_table_is_cut(threads, rows):
    scan = FrameScan(pa.table({"x": np.arange(200_000)}))
    statistic = SampleRows(("x",), 200_000, wanted=1_000)

    def draw(threads: int, rows: int) -> Sample:
        state = None
        for more in each_batch(scan, ["x"], statistic.compute, rows=rows, threads=threads):
            state = more if state is None else statistic.merge(state, more)
        return statistic.result(state)

    found, wanted = draw(threads, rows), draw(1, 200_000)
    assert not found.complete
    assert 850 < found.batch.rows < 1_150
    np.testing.assert_array_equal(found.batch["x"], wanted.batch["x"])
    np.testing.assert_array_equal(found.batch["x"], found.batch.row_numbers)


def test_hashes_of_neighbours_are_spread_evenly():
    found = uniform(np.arange(100_000), seed=3)
    counts, _ = np.histogram(found, bins=20, range=(0, 1))
    assert counts.min() > 4_700
    assert counts.max() < 5_300


def test_a_failure_in_one_batch_ends_the_pass_at_its_place():
    scan = FrameScan(pa.table({"x": np.arange(300_000)}))
    seen = []

    def work(batch: Batch) -> int:
        if batch.first_row >= 200_000:
            raise StepError("bad", column="x")
        return batch.first_row

    with pytest.raises(StepError, match="bad"):
        seen.extend(each_batch(scan, ["x"], work, rows=10_000))
    assert concatenated([Batch({"x": np.array(seen)}, len(seen))])["x"].tolist() == sorted(seen)
