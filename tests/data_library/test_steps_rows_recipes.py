"""Each of these steps in a recipe: saved and loaded, pickled, as a scikit-learn pipeline, and row by row."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from clary.data.recipe.recipe import FittedRecipe, Recipe

STEPS = [
    {"drop_missing": {"axis": "columns", "thresh": 108}},
    {"drop_missing": {}},
    {"deduplicate": {"columns": ["whole", "text"]}},
    {"filter": {"expression": "positive > 1 and text in ['x', 'y']"}},
    {"cast": {"columns": ["figures"], "to": "number"}},
    {"cast": {"columns": ["whole", "flag", "day"], "to": "text"}},
    {"parse_dates": {"columns": ["dates"]}},
    {"sample": {"n": 20}},
    {"balance": {"strategy": "up"}},
    {"split": {"method": "stratified"}},
    {"split": {"method": "group", "by": "whole"}},
    {"split": {"method": "time", "by": "day"}},
    {"drop": {"columns": "any"}},
    {"keep": {"columns": ["any", "positive"]}},
    {"rename": {"names": {"any": "some", "text": "words"}}},
    {"impute": {"strategy": "mean"}},
    {"impute": {"strategy": "most_frequent"}},
    {"impute": {"strategy": "knn"}},
    {"impute": {"strategy": "iterative"}},
    {"impute": {"strategy": "forward_fill"}},
    "missing_indicator",
    {"clip": {"lower": 0}},
    "winsorize",
    {"outliers": {"method": "robust_z", "action": "missing"}},
    {"outliers": {"action": "drop_rows"}},
    {"log": {"columns": "positive"}},
    {"sqrt": {"errors": "missing"}},
    "cbrt",
    {"box_cox": {"columns": "positive"}},
    "yeo_johnson",
    {"quantile": {"output_distribution": "normal"}},
    {"bin": {"strategy": "kmeans"}},
    {"bin": {"edges": [0, 1, 2], "encode": "one_hot"}},
    "polynomial",
    {"expression": {"into": "new", "expression": "where(text == 'x', any / positive, -whole)"}},
    {"scale": {"method": "standard"}},
    {"scale": {"method": "min_max", "clip": True}},
    {"scale": {"method": "max_abs"}},
    {"scale": {"method": "robust"}},
    {"normalize": {"columns": "whole"}},
]


def a_table(rows: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "positive": random.lognormal(size=rows),
            "any": random.normal(0, 100, rows),
            "whole": random.integers(0, 5, rows),
            "flag": pd.array(random.random(rows) > 0.5, dtype="boolean"),
            "text": pd.Series(random.choice(["x", "y", "z"], rows), dtype="str"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D"),
            "figures": [str(number) for number in random.integers(0, 9, rows)],
            "dates": [f"0{number}.03.2021" for number in random.integers(1, 9, rows)],
            "target": random.integers(0, 2, rows),
        }
    )
    for name in ("positive", "any", "flag", "text"):
        frame[name] = frame[name].mask(random.random(rows) < 0.15)
    return frame


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_fitted_recipe_is_the_same_in_every_form(step, tmp_path):
    frame = a_table()
    fitted = Recipe([step], target="target").fit(frame)
    expected = fitted.transform(frame)
    training = fitted.transform(frame, training=True)
    fitted.save(tmp_path / "recipe.clary")
    for loaded in (
        FittedRecipe.load(tmp_path / "recipe.clary", allow_pickle=True),
        pickle.loads(pickle.dumps(fitted)),
    ):
        pd.testing.assert_frame_equal(loaded.transform(frame), expected)
        pd.testing.assert_frame_equal(loaded.transform(frame, training=True), training)

    by_sklearn = fitted.to_sklearn().transform(frame[list(fitted.needed)])
    for name in by_sklearn:
        if expected[name].dtype.kind in "fiub":
            mine, theirs = (table[name].to_numpy(dtype=float) for table in (expected, by_sklearn))
            np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)

    function = fitted.row_function()
    alone = [] if any(fitted_step.in_order for fitted_step in fitted.steps) else frame.head(20).to_dict("records")
    for place, row in enumerate(alone):
        values = function({name: None if pd.isna(value) else value for name, value in row.items()})
        for name, value in zip(function.names, values, strict=True):
            theirs = expected[name].iloc[place]
            if isinstance(value, float):
                assert np.isclose(value, float(theirs), rtol=1e-12, atol=0, equal_nan=True), name
            else:
                assert (pd.isna(value) and pd.isna(theirs)) or value == theirs, name
