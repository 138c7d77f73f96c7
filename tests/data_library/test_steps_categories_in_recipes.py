"""Steps on categories, dates and texts in recipes: declared, saved, in slices, row by row, as scikit-learn's."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from clary.data.batch import Batch
from clary.data.errors import StepError
from clary.data.frames import arrow_of_pandas
from clary.data.recipe.recipe import FittedRecipe, Recipe
from clary.data.statistics.categories import Categories
from tests.data_library.steps_support import batch_of, scan_of

STEPS = [
    {"ordinal": {"columns": ["city"], "encoded_missing_value": -1}},
    {"ordinal": {"columns": ["rooms", "lift"], "order": "frequency"}},
    {"one_hot": {"columns": ["city", "rooms", "lift"], "drop_first": True}},
    {"one_hot": {"columns": ["city"], "sparse": True, "dummy_na": True}},
    {"rare": {"columns": ["city"], "min_count": 0.2}},
    {"hash": {"columns": ["city", "rooms"], "n_features": 8}},
    {"hash": {"columns": ["city"], "n_features": 500}},
    {"target_encode": {"columns": ["city", "rooms"]}},
    {"similarity_encode": {"columns": ["city"]}},
    {"date_parts": {}},
    {"cyclic": {"columns": ["sold"]}},
    {"cyclic": {"columns": ["rooms"], "period": 3}},
    {"elapsed": {"columns": ["sold"], "since_column": "built", "unit": "hours"}},
    {"elapsed": {"since": "2020-01-01"}},
    {"clean_text": {"columns": ["note"], "html": True, "strip_accents": True}},
    {"tokenize": {"columns": ["note"]}},
    {"stop_words": {"columns": ["note"]}},
    {"n_grams": {"columns": ["note"]}},
    {"text_length": {"columns": ["note"]}},
    {"popular_words": {"columns": ["note"], "n": 3}},
    {"tf_idf": {"columns": ["note"], "ngram_range": [1, 2]}},
    {"hash_text": {"columns": ["note"], "n_features": 16}},
]


@pytest.fixture(scope="module")
def homes() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 60
    words = ["the", "Garden", "<b>old</b>", "sunny.", "café", "on", "&amp;"]
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Köln", "Bonn", "Rom", ""], rows),
            "rooms": rng.integers(1, 5, rows),
            "lift": rng.random(rows) < 0.5,
            "built": pd.to_datetime(rng.integers(0, 2**30, rows), unit="s").astype("datetime64[us]"),
            "sold": pd.to_datetime(rng.integers(2**30, 2**31, rows), unit="s").astype("datetime64[us]"),
            "note": [" ".join(rng.choice(words, 5)) for _ in range(rows)],
            "dear": rng.choice(["no", "yes"], rows),
        }
    )
    frame.loc[3, ["city", "note"]] = None
    frame.loc[4, "sold"] = pd.NaT
    return frame


@pytest.mark.parametrize("step", STEPS, ids=lambda step: next(iter(step)))
def test_a_step_in_a_recipe(step, homes, tmp_path):
    recipe = Recipe.parse(Recipe([step], target="dear").to_yaml())
    fitted = recipe.fit(homes)
    features = homes.drop(columns="dear")
    expected = fitted.transform(features)
    check_saved(fitted, features, expected, tmp_path)
    check_slices(fitted, features)
    check_rows(fitted, features, expected)
    made = fitted.to_sklearn().transform(features)
    assert list(made.columns) == list(expected.columns)
    for name in expected:
        if pd.api.types.is_numeric_dtype(expected[name]):
            np.testing.assert_allclose(np.asarray(made[name], float), np.asarray(expected[name], float), rtol=1e-12)
        else:
            pd.testing.assert_series_equal(made[name].astype(object), expected[name].astype(object))
    assert recipe.fit(scan_of(homes, 7)).transform(features).columns.equals(expected.columns)


def check_saved(fitted, features, expected, folder):
    fitted.save(folder / "recipe.clary")
    pd.testing.assert_frame_equal(FittedRecipe.load(folder / "recipe.clary").transform(features), expected)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(fitted)).transform(features), expected)


def check_slices(fitted, features):
    """Arrow's slices begin in the middle of others' memory; dictionaries hold what no row has."""
    table = arrow_of_pandas(features)[0]
    for data in (table, table.set_column(0, "city", table["city"].combine_chunks().dictionary_encode())):
        (step,) = fitted.steps
        whole = step.transform(batch_of(data)).to_pandas().iloc[2:9].reset_index(drop=True)
        part = step.transform(Batch.of_arrow(data.slice(2, 7))).to_pandas()
        pd.testing.assert_frame_equal(part, whole, check_dtype=False, check_column_type=False)


def check_rows(fitted, features, expected):
    for place in range(8):
        row = fitted.transform_row(features.iloc[place].to_dict())
        for name, value in zip(expected.columns, row, strict=True):
            other = expected[name].iloc[place]
            assert (pd.isna(value) and pd.isna(other)) or value == other, (name, place)


def test_an_error_names_the_step_the_column_and_the_remedy(homes):
    recipe = Recipe([{"rare": {"columns": ["city"]}}, {"ordinal": {"columns": ["rooms"]}}]).fit(homes)
    with pytest.raises(StepError, match=r"step 2 \(ordinal\), column 'rooms': 9: the level was not there at fitting"):
        recipe.transform(homes.assign(rooms=9))
    with pytest.raises(StepError, match=r"step 2 \(ordinal\), column 'rooms': 9: the level was not there at fitting"):
        recipe.transform_row(homes.assign(rooms=9).iloc[0].to_dict())


def test_too_many_levels_are_no_category():
    table = batch_of(pd.DataFrame({"c": list("abcd")}))
    with pytest.raises(StepError, match="column 'c': there are more than 3 distinct values: too many for a category"):
        Categories("c", 3).compute(table)
    quiet = Categories("c", 3, all_or_error=False)
    assert quiet.result(quiet.merge(quiet.compute(table), quiet.compute(table))) is None
