"""Hashes, counts and sums of products: what a profile is made of."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.statistics.duplicates import HashStore
from clary.data.statistics.hashes import MISSING, hashes_of, hashes_of_numbers, hashes_of_texts
from clary.data.statistics.missing_patterns import Patterns
from clary.data.statistics.pair_sums import (
    badly_centred,
    centred_sums,
    centring,
    correlations,
    moments,
    no_sums,
    pair_sums,
)
from clary.data.statistics.value_counts import Distinct, ValueCounts

# ---- hashes ----


def test_equal_numbers_of_any_dtype_have_equal_hashes():
    whole = np.array([0, 1, -5, 2**40])
    assert (hashes_of_numbers(whole) == hashes_of_numbers(whole.astype(float))).all()
    assert hashes_of_numbers(np.array([-0.0])) == hashes_of_numbers(np.array([0.0]))
    assert hashes_of_numbers(np.array([True])) == hashes_of_numbers(np.array([1.0], np.float32))


def test_large_integers_that_one_float_stands_for_have_hashes_of_their_own():
    near = 2**60 + np.arange(100)
    assert len(np.unique(hashes_of_numbers(near))) == 100


def test_texts_have_the_same_hash_in_a_dictionary_or_out_of_it_wherever_they_stand():
    texts = ["", "a", "ab", "12345678", "123456789", "ünï", "x" * 600, None, "a"]
    plain = pa.array(texts)
    coded = plain.dictionary_encode()
    assert (hashes_of(plain) == hashes_of(coded)).all()
    assert (hashes_of(pa.array(["zz", *texts])[1:]) == hashes_of(plain)).all()
    assert hashes_of(plain)[7] == MISSING
    assert len(np.unique(hashes_of(plain))) == 8


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=60))
def test_texts_share_a_hash_only_where_they_are_equal(texts):
    hashes = hashes_of_texts(pa.array(texts, pa.string()))
    assert len(set(hashes.tolist())) == len(set(texts))
    for seed in (0, 1):
        hashes = hashes_of_texts(pa.array(texts, pa.string()), seed)
        assert hashes.tolist() == [int(hashes_of_texts(pa.array([text], pa.string()), seed)[0]) for text in texts]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"a", b"b", None, b"a"]),
        pa.array([b"aa", b"bb", None, b"aa"], pa.binary(2)),
        pa.array([[1], [2], None, [1]]),
        pa.array([{"x": 1}, {"x": 2}, None, {"x": 1}]),
        pa.array([1, 2, None, 1], pa.duration("s")),
        pa.array([1, 2, None, 1], pa.time32("s")),
    ],
    ids=lambda array: str(array.type),
)
def test_what_is_no_number_or_text_has_a_hash_too(array):
    found = hashes_of(array)
    assert found[0] == found[3] != found[1]
    assert found[2] == MISSING


# ---- counts of values ----


def counted_values(batches, most=1_000, limit=1_000):
    counted = ValueCounts(most, limit)
    for batch in batches:
        values, counts = np.unique(np.array(batch), return_counts=True)
        counted.add(hashes_of_numbers(values), counts, values)
    return counted


def test_levels_come_with_the_most_frequent_first_and_of_equal_ones_the_earlier():
    values, counts = counted_values([[5, 7, 7], [1, 5, 7]]).levels()
    assert values.tolist() == [7, 5, 1]
    assert counts.tolist() == [3, 2, 1]


def test_too_many_levels_are_counted_and_no_longer_kept():
    counted = counted_values([range(600), range(300, 900)], most=500)
    assert counted.overflowed
    assert counted.levels() is None
    assert counted.count() == (900, True)


def test_past_the_limit_different_values_are_estimated():
    counted = counted_values([range(start, start + 10_000) for start in range(0, 100_000, 5_000)], most=10, limit=4_096)
    count, exact = counted.count()
    assert not exact
    assert count == pytest.approx(105_000, rel=0.08)


def test_the_estimate_does_not_depend_on_order():
    hashes = hashes_of_numbers(np.arange(20_000))
    found = []
    for order in (hashes, hashes[::-1]):
        distinct = Distinct(1_000)
        for start in range(0, len(order), 3_000):
            distinct.add(order[start : start + 3_000])
        found.append(distinct.count())
    assert found[0] == found[1]


# ---- moments and correlations ----


def summed(frame, batch=700, seen_rows=100):
    columns = [frame[name].to_numpy(float) for name in frame]
    by = centring([column[:seen_rows] for column in columns])
    sums = no_sums(len(columns))
    for start in range(0, len(frame), batch):
        rows = [(one[start : start + batch] - by.centres[i]) / by.scales[i] for i, one in enumerate(columns)]
        gone = {i: np.isnan(row) for i, row in enumerate(rows) if np.isnan(row).any()}
        sums.add(pair_sums(np.nan_to_num(np.array(rows)), gone))
    return sums, by


def a_frame(width=5, missing=0.1):
    random = np.random.default_rng(3)
    values = random.normal(size=(5_000, width)) * 10.0 ** (np.arange(width) % 7 - 2) + 3.0
    values[:, 1] += values[:, 0] * 10
    values[random.random(values.shape) < missing] = np.nan
    values[:, 0] = random.normal(size=5_000)  # one column has all its values
    return pd.DataFrame(values)


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.8])
@pytest.mark.parametrize("width", [5, 20])
def test_moments_and_correlations_are_pandas(missing, width):
    frame = a_frame(width, missing)
    sums, by = summed(frame)
    np.testing.assert_allclose(correlations(sums), frame.corr(), rtol=1e-7, atol=1e-10)
    found = moments(sums, by)
    for name, expected in {
        "mean": frame.mean(),
        "variance": frame.var(),
        "skewness": frame.skew(),
        "kurtosis": frame.kurt(),
    }.items():
        np.testing.assert_allclose([getattr(one, name) for one in found], expected, rtol=1e-6, atol=1e-9)


def test_a_centre_far_from_the_mean_is_noticed_and_mended():
    frame = pd.DataFrame({"a": np.append(np.zeros(100), 1e9 + np.random.default_rng(0).random(10_000))[::-1]})
    sums, by = summed(frame[:-100], seen_rows=0)
    better = badly_centred(sums, by)
    assert better is not None
    assert better.centres[0] == pytest.approx(1e9)


def test_good_centres_are_kept():
    assert badly_centred(*summed(a_frame())) is None


def test_sums_do_not_depend_on_where_in_memory_the_columns_lie():
    columns = {str(place): np.random.default_rng(place).normal(size=1_001) for place in range(3)}
    by = centring(list(columns.values()))
    expected = centred_sums(columns, by)
    for offset in range(1, 9):
        moved = {name: np.empty(1_001 + offset)[offset:] for name in columns}
        for name, column in columns.items():
            moved[name][:] = column
        found = centred_sums(moved, by)
        assert found.cubes.tolist() == expected.cubes.tolist()
        assert found.fourths.tolist() == expected.fourths.tolist()


# ---- rows and patterns ----


def test_duplicates_of_rows_are_counted():
    rows = HashStore(6, 100)
    rows.add(rows.take(hashes_of_numbers(np.array([1, 2, 1])), 0))
    rows.add(rows.take(hashes_of_numbers(np.array([1, 3, 2])), 3))
    assert rows.exact
    assert rows.duplicates() == 3


def test_of_too_many_rows_duplicates_are_estimated_by_a_share():
    values = hashes_of_numbers(np.arange(200_000) % 100_000)
    rows = HashStore(200_000, 50_000)
    for start in range(0, 200_000, 10_000):
        rows.add(rows.take(values[start : start + 10_000], start))
    assert not rows.exact
    assert rows.duplicates() == pytest.approx(100_000, rel=0.05)


@pytest.mark.parametrize("width", [5, 100])
def test_patterns_of_missing_values_are_counted(width):
    random = np.random.default_rng(0)
    gone = random.random((3_000, width)) < (0.2 if width == 5 else 0.01)
    patterns = Patterns(width, 10_000)
    for start in range(0, 3_000, 500):
        part = gone[start : start + 500]
        patterns.add(patterns.count(500, {place: part[:, place] for place in range(width) if part[:, place].any()}))
    found = {patterns.columns[key]: rows for key, rows in patterns.counts.items()}
    expected = pd.Series([tuple(map(int, np.flatnonzero(row))) for row in gone]).value_counts()
    assert found == expected.to_dict()


def test_patterns_past_the_limit_are_counted_together():
    patterns = Patterns(3, 2)
    masks = {0: np.array([True, False, False, False]), 1: np.array([False, True, False, False])}
    patterns.add(patterns.count(4, masks))
    assert sum(patterns.counts.values()) + patterns.others == 4
    assert patterns.others >= 1
