"""Logarithms, roots, power transformations, quantiles, polynomials, beside numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import PolynomialFeatures, PowerTransformer, QuantileTransformer

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.combining import Polynomial
from clary.data.recipe.steps.numeric import Cbrt, Log, Log1p, Sqrt
from clary.data.recipe.steps.power import BoxCox, Quantile, YeoJohnson
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made, scan_of

FUNCTIONS = [(Log, np.log, 0.0), (Log1p, np.log1p, -1.0), (Sqrt, np.sqrt, -5e-324), (Cbrt, np.cbrt, -np.inf)]
anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=25)


@pytest.mark.parametrize(("step", "function", "lowest"), FUNCTIONS, ids=lambda frame: getattr(frame, "__name__", ""))
@settings(max_examples=40)
@given(values=anything)
def test_functions_equal_numpy_and_report_values_outside_their_domain(step, function, lowest, values):
    frame = pd.DataFrame({"a": values})
    fits = ~(frame["a"] <= lowest) if np.isfinite(lowest) else np.ones(len(frame), bool)
    with np.errstate(all="ignore"):
        expected = function(frame["a"].to_numpy())
    lenient = fitted(step(errors="missing"), frame)
    np.testing.assert_array_equal(made(lenient, frame)["a"], np.where(fits, expected, np.nan))
    assert_rows_equal_batch(lenient, frame)
    strict = fitted(step(), frame)
    if fits.all():
        np.testing.assert_array_equal(made(strict, frame)["a"], expected)
        assert_rows_equal_batch(strict, frame)
    else:
        with pytest.raises(StepError, match=f"'a'.*{step.name}"):
            made(strict, frame)


def test_functions_take_whole_numbers():
    frame = pd.DataFrame({"a": [1, 2, 3]})
    np.testing.assert_array_equal(made(fitted(Log(), frame), frame)["a"], np.log([1, 2, 3]))


# ---- power transformations and quantiles ----


def skewed(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.lognormal(size=rows), "b": random.gamma(2, 100, rows) + 1})
    return frame.mask(random.random(frame.shape) < 0.1)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("step", "method", "moved"), [(BoxCox, "box-cox", 0.0), (YeoJohnson, "yeo-johnson", 5.0)])
@pytest.mark.parametrize("rows", [10, 700])
def test_powers_equal_scikit_learn(step, method, moved, standardize, rows):
    frame = skewed(rows) - moved
    mine = fitted(step(standardize=standardize), frame)
    expected = PowerTransformer(method, standardize=standardize).fit_transform(frame)
    np.testing.assert_allclose(made(mine, frame).to_numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mine.sklearn().transform(frame), expected, rtol=1e-9, atol=1e-9)
    assert_rows_equal_batch(mine, frame)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("n_quantiles", [7, 1000])
def test_quantiles_equal_scikit_learn(distribution, n_quantiles):
    frame = skewed(300)
    frame["b"] = frame["b"].round(-2)  # some quantiles are the same
    frame["same"] = 4.0
    mine = fitted(Quantile(n_quantiles=n_quantiles, output_distribution=distribution), frame)
    theirs = QuantileTransformer(n_quantiles=min(n_quantiles, 300), output_distribution=distribution).fit(frame)
    new = pd.concat([frame, frame.agg(["min", "max"]) * 2, frame * 1.01 - 0.01])
    np.testing.assert_allclose(made(mine, new).to_numpy(), theirs.transform(new), atol=1e-12)
    np.testing.assert_allclose(mine.sklearn().transform(new), theirs.transform(new), atol=1e-12)
    assert_rows_equal_batch(mine, frame.iloc[:20])
    reduced = mine.only({"b"})
    np.testing.assert_allclose(made(reduced, new[["b"]]).to_numpy()[:, 0], theirs.transform(new)[:, 1], atol=1e-12)


def test_what_was_learnt_from_a_sample_is_reported():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.lognormal(size=101_000)})
    for step in (YeoJohnson(), Quantile(n_quantiles=10)):
        (mine,) = fit_steps([step], scan_of(frame))
        assert any("sample" in sentence for sentence in mine.notes())
        result = in_one_batch(transformed([mine], scan_of(frame)))["a"]
        assert np.isfinite(result).all()


def test_box_cox_is_for_positive_numbers():
    with pytest.raises(StepError, match=r"'a'.*yeo_johnson"):
        fitted(BoxCox(), pd.DataFrame({"a": [0.0, 1.0]}))
    mine = fitted(BoxCox(), pd.DataFrame({"a": [1.0, 2.0, 5.0]}))
    with pytest.raises(StepError, match=r"'a'.*positive"):
        made(mine, pd.DataFrame({"a": [-1.0]}))


@pytest.mark.parametrize("step", [BoxCox(), YeoJohnson(), Quantile()])
def test_columns_that_nothing_can_be_learnt_from_are_errors(step):
    for values, message in (([np.nan, np.nan], "no value"), ([1.0, np.inf], "infinite")):
        with pytest.raises(StepError, match=f"'a'.*{message}"):
            fitted(step, pd.DataFrame({"a": values}))
    with pytest.raises(StepError, match="no value"):
        fitted(step, pd.DataFrame({"a": np.empty(0)}))


@settings(max_examples=25)
@given(values=st.lists(st.floats(-1e3, 1e3) | st.just(np.nan), min_size=1, max_size=12))
def test_any_finite_column_is_fitted_or_refused(values):
    frame = pd.DataFrame({"a": values})
    for step in (YeoJohnson(), Quantile(n_quantiles=5), Quantile(output_distribution="normal")):
        try:
            mine = fitted(step, frame)
        except StepError:
            continue
        assert (made(mine, frame)["a"].isna() == frame["a"].isna()).all()


# ---- polynomials ----


@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("interaction_only", [True, False])
@pytest.mark.parametrize("include_bias", [True, False])
def test_polynomials_have_scikit_learns_names_and_values(degree, interaction_only, include_bias):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=["a", "b c", "d"])
    parameters = {"degree": degree, "interaction_only": interaction_only, "include_bias": include_bias}
    mine = fitted(Polynomial(**parameters), frame)
    theirs = PolynomialFeatures(**parameters).fit(frame)
    names = list(theirs.get_feature_names_out())
    result = made(mine, frame)
    assert set(result) == set(names)
    np.testing.assert_allclose(result[names].to_numpy(), theirs.transform(frame), rtol=1e-12)
    assert_rows_equal_batch(mine, frame)


def test_a_product_of_what_is_missing_is_missing():
    frame = pd.DataFrame({"a": [2.0, np.nan], "b": [3.0, 4.0]})
    result = made(fitted(Polynomial(), frame), frame)
    np.testing.assert_array_equal(result["a b"], [6.0, np.nan])
    np.testing.assert_array_equal(result["b^2"], [9.0, 16.0])


def test_a_polynomial_reduced_to_one_product_reads_what_that_needs():
    frame = pd.DataFrame({"a": [2.0], "b": [3.0], "c": [5.0]})
    reduced = fitted(Polynomial(), frame).only({"b c"})
    assert reduced.inputs == ("b", "c")
    assert made(reduced, frame[["b", "c"]])["b c"].tolist() == [15.0]
    assert fitted(Polynomial(), frame).only({"a"}) is None


def test_polynomials_have_limits():
    frame = pd.DataFrame(np.ones((2, 60)), columns=[f"c{place}" for place in range(60)])
    with pytest.raises(StepError, match="products"):
        fitted(Polynomial(degree=5), frame)
    with pytest.raises(RecipeError, match="degree"):
        Polynomial(degree=1)
    with pytest.raises(StepError, match=r"a\^2"):
        fitted(Polynomial(columns=("a",)), pd.DataFrame({"a": [1.0], "a^2": [1.0]}))
