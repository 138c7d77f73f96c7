"""Fitted recipes and tables: what goes in, what comes out, and which error is reported where it does not fit."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clary.data.batch import Kind
from clary.data.errors import DataError, StepError
from clary.data.recipe import FittedRecipe, Recipe, progress
from clary.data.scans import scan_of
from tests.data_library.recipe_support import Centre, Coded, FromCode, passengers, table_of
from tests.data_library.steps_support import CutScan

STEPS = [
    {"impute": {"columns": "numbers", "strategy": "median"}},
    {"scale": {}},
    {"one_hot": {"columns": ["c0", "c1", "c2", "c3"]}},
    {"drop": {"columns": ["c4", "n4", "day"]}},
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return passengers()


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> FittedRecipe:
    return Recipe(STEPS, target="label").fit(frame)


def test_a_table_becomes_its_features(frame, fitted):
    made = fitted.transform(frame.drop(columns="label"))
    assert tuple(made.columns) == fitted.names
    assert len(made) == len(frame)
    filled = frame["n0"].fillna(frame["n0"].median())
    np.testing.assert_allclose(made["n0"], (filled - filled.mean()) / filled.std(ddof=0), atol=1e-12)
    pd.testing.assert_series_equal(made["c0_a"], (frame["c0"] == "a").astype(np.uint8), check_names=False)


def test_what_a_later_step_drops_need_not_be_there(frame, fitted):
    assert fitted.needed == ("n0", "n1", "n2", "n3", "c0", "c1", "c2", "c3", "whole", "flag")
    without = frame.drop(columns=["n4", "c4", "day", "label"])
    pd.testing.assert_frame_equal(fitted.transform(without), fitted.transform(frame.drop(columns="label")))


def test_the_target_comes_out_where_it_goes_in(frame, fitted):
    made = fitted.transform(frame)
    pd.testing.assert_series_equal(made["label"], frame["label"])
    assert "label" not in fitted.names
    pd.testing.assert_frame_equal(made.drop(columns="label"), fitted.transform(frame.drop(columns="label")))


def test_the_order_of_columns_and_further_ones_change_nothing(frame, fitted):
    other = frame[list(reversed(frame.columns))].assign(new=1)
    made = fitted.transform(other)
    assert made.attrs["clary"] == ["The recipe was fitted without 'new': left out."]
    assert made.attrs["clary"] == list(fitted.notes(other))
    made.attrs = {}
    pd.testing.assert_frame_equal(made, fitted.transform(frame))


def test_arrow_tables_scans_and_batches_give_the_same(frame, fitted):
    expected = fitted.transform(frame)
    pd.testing.assert_frame_equal(fitted.transform(table_of(frame)), expected)
    cut = CutScan(table_of(frame), 7)
    pd.testing.assert_frame_equal(fitted.transform(cut), expected)
    batches = list(fitted.transform_batches(cut))
    assert len(batches) > 50
    assert sum(batch.rows for batch in batches) == len(frame)


def test_the_index_is_kept(frame, fitted):
    named = frame.set_index(pd.Index([f"row {number}" for number in range(len(frame))], name="who"))
    assert fitted.transform(named).index.equals(named.index)


def test_training_leaves_rows_out_and_inference_never_does(frame):
    recipe = Recipe([{"filter": {"expression": "whole > 1"}}, {"drop": {"columns": "day"}}], target="label")
    trained = recipe.fit_transform(frame)
    kept = frame[frame["whole"] > 1]
    assert trained.index.equals(kept.index)
    pd.testing.assert_series_equal(trained["whole"], kept["whole"])
    assert len(recipe.fit(frame).transform(frame)) == len(frame)


def test_an_empty_table_has_the_features_too(frame, fitted):
    made = fitted.transform(frame.iloc[:0])
    assert [name for name in made.columns if name != "label"] == list(fitted.names)
    assert len(made) == 0


def test_a_recipe_without_steps_hands_its_columns_through(frame):
    fitted = Recipe([], target="label").fit(frame)
    assert fitted.names == tuple(frame.columns.drop("label"))
    pd.testing.assert_frame_equal(fitted.transform(frame[["n0", *fitted.names[1:]]])[["n0"]], frame[["n0"]])


def test_each_step_reports_what_it_did(frame):
    fitted = Recipe([Centre(columns=("n0",)), {"scale": {"columns": "n1"}}]).fit(frame)
    assert fitted.step_notes == {"1 (centre)": ("1 columns lost their mean.",)}
    assert fitted.labels == ("1 (centre)", "2 (scale)")


# ---- what does not go ----


def test_a_column_that_lacks_is_reported(frame, fitted):
    with pytest.raises(DataError, match="the table lacks 'n1', 'c0', which the recipe was fitted with; it has: 'n0'"):
        fitted.transform(frame.drop(columns=["n1", "c0"]))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("n0", "12", "column 'n0' holds text; the recipe was fitted with number. .* step `cast`"),
        ("c0", 3, "column 'c0' holds number; the recipe was fitted with text"),
        ("flag", 2, "column 'flag' holds number; the recipe was fitted with boolean"),
        ("n0", pd.Timestamp("2024-01-01"), "column 'n0' holds time; the recipe was fitted with number"),
    ],
)
def test_a_column_of_another_kind_is_reported(frame, fitted, column, values, message):
    with pytest.raises(DataError, match=message):
        fitted.transform(frame.assign(**{column: values}))


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("flag", lambda values: values.astype(np.int64)),
        ("flag", lambda values: values.astype(np.float64)),
        ("whole", lambda values: values.astype(np.float32)),
        ("c0", lambda values: values.astype("category")),
        ("c0", lambda values: values.astype(object)),
    ],
)
def test_a_column_may_come_in_another_form_where_nothing_is_lost(frame, fitted, column, change):
    made = fitted.transform(frame.assign(**{column: change(frame[column])}))
    pd.testing.assert_frame_equal(made, fitted.transform(frame))


@pytest.mark.parametrize("nothing", [None, np.nan])
def test_a_column_without_values_goes_for_any_kind(frame, fitted, nothing):
    some = frame.head(5)
    made = fitted.transform(some.assign(c0=nothing, n0=nothing))
    assert made["n0"].nunique() == 1
    assert (made.filter(like="c0_").sum(axis=1) == 0).all()


def test_true_and_false_go_for_numbers(frame):
    fitted = Recipe([{"scale": {"columns": "whole"}}]).fit(frame)
    made = fitted.transform(frame.assign(whole=frame["whole"] == 1))
    expected = fitted.transform(frame.assign(whole=(frame["whole"] == 1).astype(float)))
    pd.testing.assert_frame_equal(made, expected)


def test_a_target_that_is_not_there_is_reported(frame):
    with pytest.raises(DataError, match="no column 'survived', the target"):
        Recipe([], target="survived").fit(frame)
    fitted = Recipe([], target="label").fit(frame)
    with pytest.raises(DataError, match="lacks 'label'"):
        fitted.transform(frame.drop(columns="label"), training=True)


@pytest.mark.parametrize("data", [None, 3, "table.csv", [1, 2], {"a": [1]}, np.zeros(3)])
def test_what_is_no_table_is_reported(fitted, data):
    with pytest.raises(DataError, match="is not a table"):
        fitted.transform(data)
    with pytest.raises(DataError, match="is not a table"):
        Recipe([]).fit(data)


def test_a_step_that_fails_on_a_batch_is_named(frame):
    fitted = Recipe([Centre(), {"ordinal": {"columns": "c0", "unknown": "error"}}]).fit(frame)
    with pytest.raises(StepError) as caught:
        fitted.transform(frame.assign(c0="new"))
    assert caught.value.step == "2 (ordinal)"
    assert caught.value.column == "c0"


def test_a_step_that_fails_while_a_later_one_is_fitted_is_named(frame):
    one_row = {"log": {"columns": "whole"}}
    with pytest.raises(StepError) as caught:
        Recipe([one_row, {"scale": {"columns": "whole"}}]).fit(frame)
    assert caught.value.step == "1 (log)"


def test_a_feature_made_of_the_target_is_there_in_training_alone_and_reported(frame):
    leak = FromCode(columns=("label",), made=("leak",), write=None)
    fitted = Recipe([leak, Centre(columns=("n0", "leak"))], target="label").fit(frame.assign(label=frame["label"] + 1))
    assert "leak" not in fitted.names
    assert "n0" in fitted.names
    assert fitted.step_notes["target"] == ("'leak' is computed from the target, so it is left out at inference.",)
    assert "leak" in fitted.transform(frame.assign(label=1), training=True)
    assert "leak" not in fitted.transform(frame.drop(columns="label"))


def test_a_step_that_needs_at_inference_what_training_made_is_reported(frame):
    steps = [{"split": {}}, {"one_hot": {"columns": ["split"]}}]
    with pytest.raises(StepError, match=r"step 2 \(one_hot\), column 'split': the column exists only while"):
        Recipe(steps, target="label").fit(frame)


def test_later_steps_learn_from_the_rows_for_training(frame):
    recipe = Recipe([{"split": {}}, Centre(columns=("whole",))], target="label")
    fitted = recipe.fit(frame)
    trained = fitted.transform(frame, training=True)
    part = frame["whole"][trained["split"].astype(str) == "train"]
    assert 0 < len(part) < len(frame)
    np.testing.assert_allclose(trained["whole"], frame["whole"] - part.mean(), atol=1e-12)
    assert "split" not in fitted.transform(frame)


# ---- whatever the columns are called ----


def test_odd_names_are_only_names():
    names = ["__import__('os')", "a b", "", "v0", "k0", "row", "größe", "x" * 300, "class", "a\nb", '"']
    frame = pd.DataFrame({name: [float(place), 1.0, 2.0] for place, name in enumerate(names)})
    fitted = Recipe([Centre()]).fit(frame)
    made = fitted.transform(frame)
    assert list(made.columns) == names
    row = fitted.transform_row(dict.fromkeys(names, 1.0))
    assert row == tuple(made.iloc[1])
    assert made.iloc[1].tolist() == [1.0 - (place + 3.0) / 3.0 for place in range(len(names))]


def test_names_that_are_there_twice_are_distinguished():
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 6.0]], columns=["a", "a"])
    fitted = Recipe([Centre()]).fit(frame)
    assert fitted.names == ("a", "a.1")
    assert fitted.transform(frame).to_numpy().tolist() == [[-1.0, -2.0], [1.0, 2.0]]


# ---- streaming, progress, pickle ----


def test_it_writes_files_batch_by_batch(frame, fitted, tmp_path):
    seen: list[tuple[str, int, int]] = []
    written = fitted.write(
        CutScan(table_of(frame), 50), tmp_path / "features.parquet", progress=lambda *progress: seen.append(progress)
    )
    assert written == [str(tmp_path / "features.parquet")]
    made = pd.read_parquet(written[0])
    expected = fitted.transform(frame)
    assert list(made.columns) == list(expected.columns)
    np.testing.assert_array_equal(made.to_numpy(np.float64), expected.to_numpy(np.float64))
    assert seen[-1] == ("transforming", len(frame), len(frame))


def test_fitting_reports_how_far_it_is(frame):
    seen: list[tuple[str, int, int]] = []
    Recipe([Centre()]).fit(CutScan(table_of(frame), 50), progress=lambda *progress: seen.append(progress))
    assert [done for _, done, _ in seen] == [*range(50, len(frame) + 1, 50)]
    assert {task for task, _, _ in seen} == {"fitting, pass 1"}


def test_a_fitted_recipe_is_pickled(frame, fitted):
    fitted.transform_row(frame.iloc[0].to_dict())
    loaded = pickle.loads(pickle.dumps(fitted))
    assert loaded.recipe == fitted.recipe
    pd.testing.assert_frame_equal(loaded.transform(frame), fitted.transform(frame))
    assert repr(loaded) == repr(fitted) == "<FittedRecipe: 14 columns to 30 features>"


def test_schemas_report_columns_and_kinds(fitted):
    assert fitted.schema_in["day"].kind is Kind.TIME
    assert fitted.schema_in["label"].kind is Kind.NUMBER
    assert fitted.schema_out.names == fitted.names
    assert fitted.schema_out["flag"].kind is Kind.BOOLEAN


def test_a_column_that_is_made_and_then_dropped_is_not_worked_out(frame):
    """The step would raise for these values."""
    fitted = Recipe([{"log": {"columns": ["n0", "whole"], "errors": "missing"}}, {"drop": {"columns": "whole"}}]).fit(
        frame
    )
    plan = fitted.plan(target=False, training=False)
    assert [step.inputs for step in plan.steps] == [("n0",)]
    assert isinstance(scan_of(frame).arrow_schema, pa.Schema)
    assert "whole" not in fitted.needed


def test_steps_of_another_kind_of_column_fit(frame):
    fitted = Recipe([FromCode(columns=("n0",), made=("m",), write=_inverse)]).fit(frame)
    np.testing.assert_array_equal(fitted.transform(frame)["m"], 1.0 / frame["n0"])


def _inverse(step: Coded, code: object) -> None:
    raise AssertionError("no row is worked out here")


# ---- on a terminal ----


def test_long_work_shows_a_bar_on_a_terminal(frame, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_AFTER_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Recipe([Centre()]).fit(CutScan(table_of(frame), 50))
    assert "fitting, pass 1" in capsys.readouterr().err


def test_short_work_and_files_show_none(frame, monkeypatch, capsys):
    Recipe([Centre()]).fit(frame)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_AFTER_S", 3600.0)
    Recipe([Centre()]).fit(frame)
    assert capsys.readouterr().err == ""


def test_importing_recipes_is_quick():
    """Neither pandas nor scikit-learn nor scipy before they are used."""
    code = "import sys, clary.data.recipe, clary.data.recipe.steps as s; s.all_steps(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "sklearn", "scipy", "matplotlib", "onnx", "PIL"} & set(loaded)
