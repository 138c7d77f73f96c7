"""Ranks from windows equal numpy's, however the table is cut, sorted or tied, and whatever the sample saw."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.statistics.order_summaries import OrderSummary
from clary.data.statistics.ranks import first_windows, joined
from clary.data.statistics.windows import WindowedValues, windowed

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def found_in_passes(values, seen, batch=1_000, most=10**9):
    """(figures, passes): all that the profile asks of a column, by as many passes as it takes."""
    windows = first_windows(np.sort(seen), QUANTILES, complete=len(seen) == len(values))
    order = OrderSummary(QUANTILES, passed(values, windows, batch, most).ranks())
    passes = 1
    while missed := order.complete():
        order.ranks = order.ranks.with_more(passed(values, joined(missed), batch, 10**12).ranks())
        passes += 1
    return order.known, passes


def passed(values, windows, batch, most):
    state = WindowedValues(windows, most)
    for start in range(0, len(values), batch):
        state.add(windowed(np.sort(values[start : start + batch]), windows))
    return state


def check(values, found):
    expected = np.quantile(values, QUANTILES)
    assert [found[q] for q in QUANTILES] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    q1, median, q3 = expected[2:5]
    reach = 1.5 * (q3 - q1)
    assert found["outliers"] == ((values < q1 - reach) | (values > q3 + reach)).sum()
    deviation = np.median(np.abs(values - median))
    assert found["deviation"] == pytest.approx(deviation, rel=1e-12, abs=1e-12)
    if deviation > 0:
        assert found["robust"] == (np.abs(values - median) > 3.5 * deviation / 0.6745).sum()


RANDOM = np.random.default_rng(0)
N = 60_000
COLUMNS = {
    "normal": RANDOM.normal(size=N),
    "far from zero": 1e9 + RANDOM.normal(size=N),
    "heavy tail": RANDOM.lognormal(size=N) * 1e6,
    "half zeros": np.where(RANDOM.random(N) < 0.6, 0.0, RANDOM.normal(size=N)),
    "few values": RANDOM.integers(0, 5, N).astype(float),
    "two values": np.concatenate([np.zeros(N // 2), np.ones(N // 2)]),
    "constant": np.full(N, 7.0),
    "in order": np.sort(RANDOM.normal(size=N)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_figure_equals_numpys(name):
    found, _ = found_in_passes(COLUMNS[name], COLUMNS[name][:5_000], batch=8_192)
    check(COLUMNS[name], found)


def test_a_good_sample_makes_one_pass_enough():
    values = COLUMNS["normal"]
    assert found_in_passes(values, RANDOM.choice(values, 5_000, replace=False))[1] == 1


def test_a_sample_of_the_wrong_rows_costs_passes_and_no_digit():
    values = COLUMNS["in order"]
    found, passes = found_in_passes(values, values[:5_000])
    assert passes > 1
    check(values, found)


def test_windows_that_hold_too_much_are_given_up_and_found_again():
    values = COLUMNS["normal"]
    found, passes = found_in_passes(values, values[:5_000], most=500)
    assert passes > 1
    check(values, found)


def test_many_ties_are_kept_as_numbers():
    values = np.zeros(200_000)
    state = WindowedValues(((0.0, 0.0),), 1_000_000)
    for start in range(0, len(values), 10_000):
        state.add(windowed(values[start : start + 10_000], state.windows))
    assert len(state.inside[0].held) < 100_000
    assert state.ranks().at(150_000) == 0.0


def test_nothing_has_no_quantile():
    ranks = WindowedValues(((-math.inf, math.inf),), 10).ranks()
    assert math.isnan(ranks.quantile(0.5))
    assert math.isnan(ranks.median_deviation(0.0))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=200),
    st.integers(1, 50),
    st.integers(1, 200),
)
def test_any_column_cut_anyhow_has_numpys_figures(values, batch, seen_rows):
    column = np.array(values) + 0.0
    found, _ = found_in_passes(column, column[:seen_rows], batch=batch)
    check(column, found)
