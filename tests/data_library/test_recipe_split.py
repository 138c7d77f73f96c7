"""Behind a split, steps learn from the rows for training, and steps that change rows change those alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clary.data import Recipe
from clary.data.scans import FrameScan

SPLIT = {"split": {"train": 0.6, "validation": 0.2, "test": 0.2, "method": "stratified", "seed": 3}}
CHANGES = [
    {"balance": {"strategy": "down"}},
    {"balance": {"strategy": "up"}},
    {"sample": {"share": 0.5}},
    {"filter": {"expression": "x > 0"}},
    {"drop_missing": {"columns": ["gaps"]}},
    {"outliers": {"columns": ["x"], "method": "iqr", "action": "drop_rows", "factor": 0.5}},
    {"deduplicate": {"columns": ["few"]}},
]


def table(rows: int = 2_000) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    gaps = draw.normal(size=rows)
    gaps[draw.random(rows) < 0.3] = np.nan
    return pd.DataFrame(
        {
            "place": np.arange(rows),
            "x": draw.normal(size=rows),
            "gaps": gaps,
            "few": draw.integers(0, 300, rows),
            "y": (draw.random(rows) < 0.2).astype(int),
        }
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_validation_and_test_keep_their_rows(change):
    frame = table()
    divided = Recipe([SPLIT], target="y").fit_transform(frame).set_index("place")["split"]
    found = Recipe([SPLIT, change], target="y").fit_transform(frame)
    for share in ("validation", "test"):
        kept = found.loc[found["split"] == share, "place"]
        assert list(kept) == list(divided.index[divided == share])
    train = found.loc[found["split"] == "train", "place"]
    assert list(train) != list(divided.index[divided == "train"])
    assert train.is_monotonic_increasing


def test_classes_are_balanced_in_training_alone():
    found = Recipe([SPLIT, {"balance": {"strategy": "up"}}], target="y").fit_transform(table())
    shares = found.groupby("split", observed=True)["y"].mean()
    assert shares["train"] == pytest.approx(0.5, abs=0.01)
    assert shares["test"] == pytest.approx(0.2, abs=0.03)


def test_it_is_the_same_however_the_table_is_cut():
    frame = table(100_000)
    recipe = Recipe([SPLIT, {"filter": {"expression": "x > 0"}}, {"scale": {"columns": ["x"]}}], target="y")
    whole = FrameScan(pa.Table.from_pandas(frame, preserve_index=False))
    fitted = recipe.fit(whole)
    made = [batch.to_pandas() for batch in fitted.transform_batches(whole, training=True)]
    assert len(made) > 1
    at_once = fitted.transform(frame, training=True)
    pd.testing.assert_frame_equal(pd.concat(made, ignore_index=True), at_once.reset_index(drop=True))
    train = frame.loc[at_once.query("split == 'train'")["place"], "x"]
    assert (train > 0).all()
    scaled = fitted.transform(frame)["x"]
    np.testing.assert_allclose(scaled, (frame["x"] - train.mean()) / train.std(ddof=0))


def test_an_error_in_what_is_merged_names_its_step():
    many = pd.DataFrame({"s": [f"level {number}" for number in range(120_000)]})
    with pytest.raises(ValueError, match=r"step 1 \(one_hot\), column 's': there are more than 100,000 distinct"):
        Recipe([{"one_hot": {"columns": ["s"]}}]).fit(many)
