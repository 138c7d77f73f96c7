"""impute and missing_indicator, beside scikit-learn's imputers."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.imputed import Estimated
from clary.data.recipe.steps.missing import Impute, MissingIndicator
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made, scan_of

few = st.sampled_from([np.nan, np.nan, -2.0, 0.0, 1.0, 2.5, 7.0])
tables = st.lists(st.tuples(few, few), min_size=1, max_size=20).filter(
    lambda rows: not np.isnan(np.array(rows)).all(axis=0).any()
)


def mixed_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": [1.0, np.nan, 3.0, 3.0, np.nan],
            "whole": pd.array([None, 5, 5, 4, 4], dtype="Int64"),
            "flag": pd.array([True, None, False, True, None], dtype="boolean"),
            "text": ["b", None, "a", None, "ä"],
            "time": pd.to_datetime([None, "2020-01-02", None, "2020-01-01", "2020-01-02"]),
        }
    )


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@settings(max_examples=25)
@given(rows=tables)
def test_numbers_equal_scikit_learn(strategy, rows):
    frame = pd.DataFrame(rows, columns=["a", "b"])
    constant = {"value": 3.5} if strategy == "constant" else {}
    step = fitted(Impute(strategy=strategy, **constant), frame)
    theirs = SimpleImputer(strategy=strategy, fill_value=3.5 if constant else None).fit(frame)
    np.testing.assert_allclose(made(step, frame).to_numpy(), theirs.transform(frame), atol=1e-12)
    np.testing.assert_allclose(step.sklearn().transform(frame), theirs.transform(frame), atol=1e-12)
    assert_rows_equal_batch(step, frame)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@settings(max_examples=25)
@given(rows=tables)
def test_nearest_rows_equal_scikit_learn(weights, rows):
    frame = pd.DataFrame(rows, columns=["a", "b"])
    step = fitted(Impute(strategy="knn", n_neighbors=3, weights=weights), frame)
    expected = KNNImputer(n_neighbors=3, weights=weights).fit_transform(frame)
    np.testing.assert_allclose(made(step, frame).to_numpy(), expected, atol=1e-9)


def test_rounds_of_prediction_equal_scikit_learn_and_a_row_alone_has_the_same_numbers():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 3)) @ random.normal(size=(3, 3)), columns=list("abc"))
    frame = frame.mask(random.random(frame.shape) < 0.2)
    frame.iloc[0] = np.nan
    step = fitted(Impute(strategy="iterative"), frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = IterativeImputer(random_state=0).fit_transform(frame)
    np.testing.assert_allclose(made(step, frame).to_numpy(), expected, atol=1e-9)
    for place in range(len(frame)):
        alone = made(step, frame.iloc[place : place + 1]).to_numpy()
        np.testing.assert_allclose(alone[0], expected[place], atol=1e-9)


def test_neighbours_are_sought_in_a_sample_of_the_size_asked_and_that_is_reported():
    frame = pd.DataFrame({"a": [*np.arange(50.0), np.nan], "b": [*np.arange(50.0), 7.0]})
    step = fitted(Impute(strategy="knn", sample=20), frame)
    assert isinstance(step, Estimated)
    assert len(step.estimator._fit_X) == 20
    assert any("20" in sentence for sentence in step.notes())


def test_every_kind_gets_its_most_frequent_value_of_equals_the_smallest():
    frame = mixed_table()
    step = fitted(Impute(strategy="most_frequent"), frame)
    result = made(step, frame)
    assert result["number"].tolist() == [1.0, 3.0, 3.0, 3.0, 3.0]
    assert result["whole"].tolist() == [4.0, 5.0, 5.0, 4.0, 4.0]
    assert result["flag"].tolist() == [True, True, False, True, True]
    assert result["flag"].dtype == bool
    assert result["text"].tolist() == ["b", "a", "a", "a", "ä"]
    assert result["time"].tolist() == [pd.Timestamp(f"2020-01-0{day}") for day in (2, 2, 2, 1, 2)]
    assert_rows_equal_batch(step, frame)


@pytest.mark.parametrize(
    ("value", "column", "expected"),
    [
        (7, "whole", 7.0),
        ("none", "text", "none"),
        ("a", "text", "a"),
        (True, "flag", True),
        ("2021-05-06", "time", pd.Timestamp("2021-05-06")),
    ],
)
def test_a_constant_of_each_kind(value, column, expected):
    frame = mixed_table()
    step = fitted(Impute(columns=(column,), strategy="constant", value=value), frame)
    result = made(step, frame)
    assert (result[column][frame[column].isna().to_numpy()] == expected).all()
    assert not result[column].isna().any()
    assert_rows_equal_batch(step, frame)


@settings(max_examples=25)
@given(rows=st.lists(st.sampled_from([None, "a", "b", ""]), min_size=1, max_size=20), size=st.integers(1, 7))
def test_filling_forward_equals_pandas_however_the_table_is_cut(rows, size):
    frame = pd.DataFrame({"text": pd.Series(rows, dtype="str")})
    frame["number"] = frame["text"].map({"a": 1.0, "b": np.nan, "": 2.0})
    frame["flag"] = frame["number"].map({1.0: True, 2.0: False}).astype("boolean")
    frame["time"] = pd.to_datetime(frame["number"], unit="D")
    steps = fit_steps([Impute(strategy="forward_fill")], scan_of(frame))
    result = in_one_batch(transformed(steps, scan_of(frame, size))).to_pandas()
    expected = frame.ffill()
    for name in frame:
        assert (result[name].isna() == expected[name].isna()).all()
        there = expected[name].notna().to_numpy()
        assert result[name][there].tolist() == expected[name][there].tolist()


def test_a_row_that_comes_alone_has_none_before_it():
    frame = mixed_table()
    step = fitted(Impute(strategy="forward_fill"), frame)
    alone = frame.iloc[1:2]
    assert made(step, alone).isna().to_numpy().tolist() == alone.isna().to_numpy().tolist()
    assert_rows_equal_batch(step, alone)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "knn", "iterative"])
def test_a_column_without_any_value_is_an_error_that_names_it(strategy):
    frame = pd.DataFrame({"a": [1.0, 2.0], "empty": [np.nan, np.nan]})
    with pytest.raises(StepError, match=r"'empty'.*no value"):
        fitted(Impute(strategy=strategy), frame)
    with pytest.raises(StepError):
        fitted(Impute(strategy=strategy), frame.iloc[:0])


@pytest.mark.parametrize("strategy", ["mean", "knn", "iterative"])
def test_infinite_values_are_an_error(strategy):
    with pytest.raises(StepError, match="infinite"):
        fitted(Impute(strategy=strategy), pd.DataFrame({"a": [1.0, np.inf], "b": [1.0, 2.0]}))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strategy": "guess"}, "strategy"),
        ({"strategy": "constant"}, "value"),
        ({"strategy": "constant", "value": float("nan")}, "value"),
        ({"strategy": "mean", "value": 3.0}, "value"),
        ({"strategy": "knn", "n_neighbors": 0}, "n_neighbors"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(RecipeError, match=message):
        Impute(**parameters)


def test_a_strategy_for_numbers_refuses_a_text_that_was_named():
    with pytest.raises(StepError, match=r"'text'.*cast"):
        fitted(Impute(columns=("text",), strategy="mean"), mixed_table())


def test_what_was_filled_is_reported():
    notes = fitted(Impute(columns=("text",), strategy="most_frequent"), mixed_table()).notes()
    assert notes == ("Missing values of 'text' become 'a' (most_frequent).",)


# ---- missing_indicator ----


def test_indicators_show_where_a_value_was_missing():
    frame = mixed_table()
    step = fitted(MissingIndicator(), frame)
    result = made(step, frame)
    indicators = result[[f"{name}_missing" for name in frame]]
    assert (indicators.to_numpy() == frame.isna().to_numpy()).all()
    assert_rows_equal_batch(step, frame)


def test_indicators_only_where_something_was_missing():
    frame = pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]})
    step = fitted(MissingIndicator(features="missing-only"), frame)
    assert list(made(step, frame)) == ["a", "b", "a_missing"]


def test_an_indicator_does_not_replace_a_column():
    with pytest.raises(StepError, match="'a_missing'"):
        fitted(MissingIndicator(), pd.DataFrame({"a": [1.0], "a_missing": [2.0]}))
