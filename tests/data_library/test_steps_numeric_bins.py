"""bin, beside scikit-learn's KBinsDiscretizer."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import KBinsDiscretizer

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.binning import Bin
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made

STRATEGIES = {"equal_width": "uniform", "equal_frequency": "quantile", "kmeans": "kmeans"}
numbers = st.integers(-50, 50).map(lambda value: value / 4)


def theirs(strategy: str, n_bins: int, encode: str, frame: pd.DataFrame) -> KBinsDiscretizer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KBinsDiscretizer(
            n_bins, strategy=STRATEGIES[strategy], encode=encode, subsample=None, quantile_method="linear"
        ).fit(frame)


@pytest.mark.parametrize("strategy", ["equal_width", "equal_frequency"])
@settings(max_examples=40)
@given(rows=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30), n_bins=st.integers(2, 9))
def test_bins_equal_scikit_learn(strategy, rows, n_bins):
    frame = pd.DataFrame(rows, columns=["a", "b"])
    mine = fitted(Bin(strategy=strategy, n_bins=n_bins), frame)
    np.testing.assert_array_equal(
        made(mine, frame).to_numpy(), theirs(strategy, n_bins, "ordinal", frame).transform(frame)
    )
    assert_rows_equal_batch(mine, frame)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("n_bins", [3, 200])
def test_bins_of_many_values_equal_scikit_learn_in_both_encodings(strategy, n_bins):
    frame = pd.DataFrame(np.random.default_rng(0).lognormal(size=(400, 2)), columns=["a", "b"])
    ordinal = fitted(Bin(strategy=strategy, n_bins=n_bins), frame)
    expected = theirs(strategy, n_bins, "ordinal", frame)
    np.testing.assert_array_equal(made(ordinal, frame).to_numpy(), expected.transform(frame))
    one_hot = fitted(Bin(strategy=strategy, n_bins=n_bins, encode="one_hot"), frame)
    expected = theirs(strategy, n_bins, "onehot-dense", frame)
    result = made(one_hot, frame)
    assert list(result) == list(expected.get_feature_names_out())
    np.testing.assert_array_equal(result.to_numpy(), expected.transform(frame))
    assert_rows_equal_batch(one_hot, frame.iloc[:30])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_missing_values_stay_missing_and_are_learnt_without(strategy):
    random = np.random.default_rng(1)
    there = pd.DataFrame({"a": random.normal(size=50)})
    gaps = pd.DataFrame({"a": np.insert(there["a"].to_numpy(), 7, np.nan)})
    mine = fitted(Bin(strategy=strategy), gaps)
    expected = np.insert(made(fitted(Bin(strategy=strategy), there), there)["a"].to_numpy(), 7, np.nan)
    np.testing.assert_array_equal(made(mine, gaps)["a"], expected)
    assert_rows_equal_batch(mine, gaps)
    one_hot = fitted(Bin(strategy=strategy, encode="one_hot"), gaps)
    assert (made(one_hot, gaps).iloc[7] == 0).all()
    assert_rows_equal_batch(one_hot, gaps)


def test_given_edges_hold_their_lower_end_and_take_in_what_is_outside():
    frame = pd.DataFrame({"a": [-5.0, 0.0, 0.5, 1.0, 9.9, 10.0, 99.0, np.inf]})
    mine = fitted(Bin(edges=(0.0, 1.0, 10.0, 20.0)), frame)
    assert made(mine, frame)["a"].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert_rows_equal_batch(mine, frame)


def test_one_hot_bins_reduced_to_one_column_read_one_column():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]})
    reduced = fitted(Bin(n_bins=2, encode="one_hot"), frame).only({"b_1.0"})
    assert reduced.inputs == ("b",)
    assert list(made(reduced, frame[["b"]])) == ["b_0.0", "b_1.0"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("values", "message"), [([np.nan], "no value"), ([1.0, np.inf], "infinite")])
def test_columns_that_have_no_bins_are_errors(strategy, values, message):
    with pytest.raises(StepError, match=f"'a'.*{message}"):
        fitted(Bin(strategy=strategy), pd.DataFrame({"a": values}))


def test_a_column_in_the_way_is_an_error():
    with pytest.raises(StepError, match=r"'a_1\.0'"):
        fitted(Bin(columns=("a",), encode="one_hot"), pd.DataFrame({"a": [1.0, 2.0], "a_1.0": [1.0, 2.0]}))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_bins": 1}, "n_bins"),
        ({"strategy": "guess"}, "strategy"),
        ({"edges": (1.0,)}, "edges"),
        ({"edges": (2.0, 1.0)}, "edges"),
        ({"edges": (1.0, float("nan"))}, "edges"),
        ({"encode": "guess"}, "encode"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(RecipeError, match=message):
        Bin(**parameters)
