"""sample, balance and split: rows chosen at random, the same ones however the table is cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.missing import Impute
from clary.data.recipe.steps.rows import DropMissing, Keep
from clary.data.recipe.steps.sampling import Balance, Sample
from clary.data.recipe.steps.scaling import Scale
from clary.data.recipe.steps.split import Split
from tests.data_library.steps_support import scan_of


def trained(frame, *steps, size=0):
    fitted_steps = fit_steps(steps, scan_of(frame, size))
    return in_one_batch(transformed(fitted_steps, scan_of(frame, size), training=True)).to_pandas()


def a_table(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "place": np.arange(rows),
            "class": random.choice(["a", "b", "c"], rows, p=[0.7, 0.2, 0.1]),
            "group": random.integers(0, 40, rows),
            "time": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.permutation(rows), unit="min"),
        }
    )


STEPS = [
    Sample(n=30),
    Sample(share=0.4),
    Balance(column="class"),
    Balance(column="class", strategy="up"),
    Split(),
    Split(method="stratified", by="class"),
    Split(method="group", by="group"),
    Split(method="time", by="time"),
]


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_the_same_rows_are_chosen_however_the_table_is_cut(step):
    frame = a_table(150)
    expected = trained(frame, step)
    for size in (1, 7, 149):
        pd.testing.assert_frame_equal(trained(frame, step, size=size), expected)
    places = expected["place"].to_numpy()
    assert (np.diff(places) >= 0).all()


@settings(max_examples=20)
@given(rows=st.integers(0, 60), n=st.integers(1, 70), share=st.floats(0.01, 1), seed=st.integers(0, 2**40))
def test_samples_have_exactly_the_size_asked(rows, n, share, seed):
    frame = pd.DataFrame({"place": np.arange(rows)})
    assert len(trained(frame, Sample(n=n, seed=seed), size=7)) == min(n, rows)
    assert len(trained(frame, Sample(share=share, seed=seed), size=7)) == round(share * rows)


def test_large_tables_are_sampled_exactly_too():
    frame = a_table(200_000)
    assert len(trained(frame, Sample(n=77_777))) == 77_777
    counts = trained(frame, Balance(column="class"))["class"].value_counts()
    assert set(counts) == {frame["class"].value_counts().min()}
    parts = trained(frame, Split(train=0.6, validation=0.3, test=0.1))["split"].value_counts()
    assert parts.to_dict() == {"train": 120_000, "validation": 60_000, "test": 20_000}


def test_another_seed_chooses_other_rows_and_every_row_alike():
    frame = a_table(2_000)
    first, two = (set(trained(frame, Sample(share=0.5, seed=seed))["place"]) for seed in (0, 1))
    assert 400 < len(first & two) < 600
    assert 400 < len([place for place in first if place < 1_000]) < 600


# ---- balance ----


@settings(max_examples=20)
@given(
    classes=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=40),
    strategy=st.sampled_from(["up", "down"]),
)
def test_classes_become_equally_frequent(classes, strategy):
    frame = pd.DataFrame({"class": classes, "place": range(len(classes))})
    result = trained(frame, Balance(target="class", strategy=strategy), size=7)
    counts = frame["class"].value_counts()
    size = counts.max() if strategy == "up" else counts.min()
    assert result["class"].value_counts().to_dict() == dict.fromkeys(counts.index, size)
    if strategy == "up":
        assert set(result["place"]) == set(frame["place"])
    else:
        assert result["place"].is_unique


@pytest.mark.parametrize("values", [[True, True, False], [1, 1, 2], [1.0, 1.0, 2.0]])
def test_classes_may_be_booleans_and_numbers(values):
    assert len(trained(pd.DataFrame({"class": values}), Balance(column="class"))) == 2


def test_rows_without_a_class_cannot_be_balanced():
    frame = pd.DataFrame({"class": ["a", None]})
    with pytest.raises(StepError, match=r"'class'.*drop_missing"):
        trained(frame, Balance(column="class"))
    assert len(trained(frame, DropMissing(), Balance(column="class"))) == 1


# ---- split ----


@settings(max_examples=20)
@given(rows=st.integers(0, 60), train=st.integers(1, 10), validation=st.integers(0, 10), seed=st.integers(0, 99))
def test_shares_are_exact(rows, train, validation, seed):
    validation = min(validation, 10 - train)
    shares = {"train": train / 10, "validation": validation / 10, "test": (10 - train - validation) / 10}
    result = trained(pd.DataFrame({"a": np.arange(rows)}), Split(**shares, seed=seed), size=7)["split"]
    ends = [0, round(rows * shares["train"]), round(rows * (shares["train"] + shares["validation"])), rows]
    assert [(result == part).sum() for part in ("train", "validation", "test")] == np.diff(ends).tolist()


def test_every_class_has_the_shares_where_that_is_asked():
    frame = a_table(1_000)
    result = trained(frame, Split(method="stratified", target="class"))
    for _, rows in result.groupby("class"):
        assert (rows["split"] == "train").sum() == round(0.8 * len(rows))


def test_groups_stay_together():
    result = trained(a_table(1_000), Split(train=0.5, validation=0.25, test=0.25, method="group", by="group"))
    parts = result.groupby("group")["split"].agg(["nunique", "first"])
    assert (parts["nunique"] == 1).all()
    assert parts["first"].value_counts().to_dict() == {"train": 20, "validation": 10, "test": 10}


def test_the_latest_rows_are_tested_with():
    result = trained(a_table(1_000), Split(train=0.7, validation=0.1, test=0.2, method="time", by="time"))
    assert result["split"].value_counts().to_dict() == {"train": 700, "validation": 100, "test": 200}
    ends = result.groupby("split")["time"].agg(["min", "max"])
    assert ends.loc["train", "max"] < ends.loc["validation", "min"]
    assert ends.loc["validation", "max"] < ends.loc["test", "min"]


def test_later_steps_learn_from_train_and_are_applied_to_all():
    frame = pd.DataFrame({"a": np.arange(100.0)})
    frame.loc[3, "a"] = np.nan
    split, imputed, scaled = fit_steps([Split(), Impute(), Scale()], scan_of(frame, 7))
    result = in_one_batch(transformed([split, imputed, scaled], scan_of(frame), training=True)).to_pandas()
    train = result["split"] == "train"
    assert train.sum() == 80
    assert abs(result["a"][train].mean()) < 1e-12
    assert abs(result["a"][~train].mean()) > 1e-12


def test_no_pattern_chooses_the_column_of_the_split_and_inference_has_none():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", None]})
    steps = fit_steps([Split(), Impute(columns="text", strategy="most_frequent"), Keep(columns=("b",))], scan_of(frame))
    assert steps[1].inputs == ("b",)
    assert list(in_one_batch(transformed(steps, scan_of(frame), training=True))) == ["b", "split"]
    assert list(in_one_batch(transformed(steps, scan_of(frame)))) == ["b"]


def test_what_cannot_be_divided_is_an_error_that_gives_the_reason():
    frame = pd.DataFrame({"g": ["a", None], "t": pd.to_datetime(["2020-01-01", None]), "split": ["x", "y"]})
    bare = frame[["g", "t"]]
    with pytest.raises(StepError, match=r"'split'.*rename"):
        trained(frame, Split())
    with pytest.raises(StepError, match=r"'g'.*missing"):
        trained(bare, Split(method="group", by="g"))
    with pytest.raises(StepError, match=r"'t'.*missing"):
        trained(bare, Split(method="time", by="t"))
    with pytest.raises(StepError, match=r"'g'.*text"):
        trained(bare, Split(method="time", by="g"))


@pytest.mark.parametrize(
    "wrong",
    [
        Sample,
        lambda: Sample(n=1, share=0.5),
        lambda: Sample(share=1.5),
        Balance,
        lambda: Balance(column="a", strategy="sideways"),
        lambda: Split(train=0.5),
        lambda: Split(train=0.0, test=1.0),
        lambda: Split(method="group"),
        lambda: Split(by="a"),
        lambda: Split(method="stratified"),
    ],
)
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(RecipeError):
        wrong()
