"""clip, winsorize and outliers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.outliers import Clip, Outliers, Winsorize
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made, scan_of

anything = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])), min_size=1, max_size=30
)
limits = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e9]))


@settings(max_examples=50)
@given(values=anything, lower=limits, upper=limits)
def test_clipping_equals_pandas(values, lower, upper):
    if (lower is None and upper is None) or (lower is not None and upper is not None and lower > upper):
        with pytest.raises(RecipeError):
            Clip(lower=lower, upper=upper)
        return
    frame = pd.DataFrame({"a": values})
    step = fitted(Clip(lower=lower, upper=upper), frame)
    np.testing.assert_array_equal(made(step, frame)["a"], frame["a"].clip(lower, upper))
    assert_rows_equal_batch(step, frame)


@settings(max_examples=50)
@given(values=st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=40))
def test_winsorizing_clips_at_quantiles(values):
    frame = pd.DataFrame({"a": values})
    step = fitted(Winsorize(lower=0.1, upper=0.8), frame)
    low, high = frame["a"].quantile([0.1, 0.8])
    expected = frame["a"].clip(None if np.isnan(low) else low, None if np.isnan(high) else high)
    np.testing.assert_allclose(made(step, frame)["a"], expected, rtol=1e-12)
    assert_rows_equal_batch(step, frame)


def iqr_outliers(values: pd.Series, factor: float = 1.5) -> pd.Series:
    low, high = values.quantile([0.25, 0.75])
    width = factor * (high - low)
    return (values < low - width) | (values > high + width)


def robust_z_outliers(values: pd.Series, factor: float = 3.5) -> pd.Series:
    deviations = (values - values.median()).abs()
    return 0.6745 * deviations / deviations.median() > factor


def a_table(rows: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.standard_t(2, rows), "b": random.lognormal(size=rows)})
    return frame.mask(random.random(frame.shape) < 0.1)


@pytest.mark.parametrize(("method", "theirs"), [("iqr", iqr_outliers), ("robust_z", robust_z_outliers)])
@pytest.mark.parametrize("rows", [500, 130_000])
def test_outliers_are_those_of_the_definition(method, theirs, rows):
    frame = a_table(rows)
    expected = pd.DataFrame({name: theirs(frame[name]) for name in frame})
    assert expected.to_numpy().any(axis=0).all()
    steps = fit_steps([Outliers(method=method, action="missing")], scan_of(frame))
    result = in_one_batch(transformed(steps, scan_of(frame))).to_pandas()
    assert ((result.isna() & frame.notna()) == expected).to_numpy().all()
    steps = fit_steps([Outliers(method=method, action="drop_rows")], scan_of(frame))
    left = in_one_batch(transformed(steps, scan_of(frame), training=True)).to_pandas()
    pd.testing.assert_frame_equal(left, frame[~expected.any(axis=1)].reset_index(drop=True))


def test_rows_of_outliers_stay_at_inference():
    frame = a_table()
    steps = fit_steps([Outliers(action="drop_rows")], scan_of(frame))
    assert in_one_batch(transformed(steps, scan_of(frame))).rows == len(frame)


@pytest.mark.parametrize("action", ["clip", "missing"])
@pytest.mark.parametrize("method", ["iqr", "robust_z"])
def test_a_row_alone_has_the_same_bits(action, method):
    frame = a_table(200)
    step = fitted(Outliers(action=action, method=method, factor=1.0), frame)
    assert_rows_equal_batch(step, frame)


@pytest.mark.parametrize("method", ["iqr", "robust_z"])
def test_a_column_without_spread_or_without_values_has_no_outliers(method):
    frame = pd.DataFrame({"same": [1.0] * 9 + [50.0], "empty": [np.nan] * 10})
    step = fitted(Outliers(method=method), frame)
    pd.testing.assert_frame_equal(made(step, frame), frame)
    assert all("No value" in sentence for sentence in step.notes())


@settings(max_examples=25)
@given(values=anything)
def test_any_column_has_a_result(values):
    frame = pd.DataFrame({"a": values})
    for step in (Outliers(), Outliers(method="robust_z", action="missing"), Winsorize()):
        made(fitted(step, frame), frame)


def test_text_is_refused_by_name():
    with pytest.raises(StepError, match=r"'a'.*text"):
        fitted(Clip(columns=("a",), lower=0), pd.DataFrame({"a": ["x"]}))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Clip(lower=float("nan")),
        lambda: Winsorize(lower=0.9, upper=0.1),
        lambda: Outliers(method="guess"),
        lambda: Outliers(action="guess"),
        lambda: Outliers(factor=0.0),
    ],
)
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(RecipeError):
        wrong()
