"""Any table, whatever is in it: features, the same in a batch and in rows, or a DataError that says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError
from clary.data.recipe import Recipe

# Of numbers around 1e200 the squares are too large for a float, and numpy says so.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")

FULL = {"impute": {"columns": "numbers"}}
RECIPES: list[list[Any]] = [
    [FULL, "scale", "one_hot"],
    [{"scale": {"method": "robust"}}, {"ordinal": {"unknown": "value"}}],
    [{"scale": {"method": "min_max"}}, {"missing_indicator": {}}],
    [{"scale": {"method": "max_abs"}}, {"rare": {}}, {"one_hot": {"dummy_na": True, "sparse": True}}],
    [{"winsorize": {}}, {"log1p": {"errors": "missing"}}, {"hash": {"n_features": 4}}],
    [{"outliers": {}}, {"bin": {"encode": "one_hot"}}],
    [{"drop_missing": {"axis": "columns", "how": "all"}}, "deduplicate", "yeo_johnson", "date_parts"],
    [FULL, {"select_variance": {}}, {"pca": {"n_components": 1}}],
    [{"tf_idf": {}}, {"text_length": {"columns": "text"}}],
    [{"impute": {"strategy": "most_frequent"}}, {"cyclic": {}}, {"quantile": {"n_quantiles": 5}}],
    [{"split": {}}, {"sample": {"share": 0.5}}, {"cast": {"columns": "booleans", "to": "number"}}],
    ["target_encode", {"select_univariate": {"k": 1}}],
]

ROWS = st.integers(0, 6)
NAMES = st.text(max_size=4) | st.sampled_from(["a", "b", "split", "a_missing", "target", "1", "a.1"])


def columns(rows: int) -> st.SearchStrategy[Any]:
    """A column of any kind, with gaps; all of them missing, sometimes."""

    def series(values: st.SearchStrategy[Any], dtype: Any = None) -> st.SearchStrategy[pd.Series]:
        return st.lists(values, min_size=rows, max_size=rows).map(lambda made: pd.Series(made, dtype=dtype))

    texts = st.sampled_from(["a", "b", "", "ü x", "12"]) | st.text(max_size=5)
    times = st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01"))
    return st.one_of(
        series(st.floats(), np.float64),
        series(st.floats(-10, 10) | st.just(np.nan), np.float64),
        series(st.floats(width=32), np.float32),
        series(st.integers(-(2**63), 2**63 - 1), np.int64),
        series(st.integers(0, 2), np.int8),
        series(st.integers(0, 3) | st.none(), "Int64"),
        series(st.booleans(), bool),
        series(st.booleans() | st.none(), "boolean"),
        series(texts | st.none(), "str"),
        series(texts | st.none(), "category"),
        series(times | st.none(), "datetime64[us]"),
        series(st.none(), object),
        series(st.integers(0, 3) | texts | st.none(), object),
        series(st.binary(max_size=3) | st.none(), object),
        series(st.lists(st.integers(0, 3), max_size=2), object),
    )


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(ROWS)
    names = draw(st.lists(NAMES, max_size=4))
    series = [draw(columns(rows)).rename(name) for name in names]
    return pd.concat(series, axis=1) if series else pd.DataFrame(index=range(rows))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables(), steps=st.sampled_from(RECIPES), with_target=st.booleans())
def test_any_table_gives_features_or_a_data_error(table, steps, with_target):
    target = str(table.columns[0]) if with_target and table.shape[1] else ""
    try:
        fitted = Recipe(steps, target=target).fit(table)
    except DataError as error:
        assert len(str(error)) > 10  # noqa: PT017 - either is right
        return
    features = fitted.transform(table)
    assert len(features) == len(table)
    assert len(fitted.transform(table.iloc[:0])) == 0
    fitted.transform(table, training=True)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables(), steps=st.sampled_from(RECIPES))
def test_rows_are_as_in_a_batch(table, steps):
    try:
        fitted = Recipe(steps).fit(table)
    except DataError:
        return
    features = fitted.transform(table)
    function = fitted.row_function()
    for place in range(min(2, len(table))):
        row = [table.iloc[place, column] for column in range(table.shape[1])]
        row = [value.item() if isinstance(value, np.generic) and value.dtype.kind in "biuf" else value for value in row]
        try:
            made = function(dict(zip(function.columns, row, strict=True)))
        except DataError:
            # A column that mixes numbers and texts was read as text, and in a row a number is none.
            assert any(isinstance(value, int) for value in row)
            continue
        for name, value, expected in zip(function.names, made, features.iloc[place], strict=True):
            if isinstance(value, float):
                assert value == pytest.approx(float(expected), rel=1e-12, abs=0, nan_ok=True), name
