"""Whatever the table, a step has a result or says what is wrong: never another error, never a warning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.binning import Bin
from clary.data.recipe.steps.casting import Cast, ParseDates
from clary.data.recipe.steps.combining import Normalize, Polynomial
from clary.data.recipe.steps.missing import Impute, MissingIndicator
from clary.data.recipe.steps.numeric import Cbrt, Log, Log1p, Sqrt
from clary.data.recipe.steps.outliers import Clip, Outliers, Winsorize
from clary.data.recipe.steps.power import BoxCox, Quantile, YeoJohnson
from clary.data.recipe.steps.rows import Deduplicate, DropMissing
from clary.data.recipe.steps.sampling import Balance, Sample
from clary.data.recipe.steps.scaling import Scale
from clary.data.recipe.steps.split import Split
from tests.data_library.steps_support import scan_of

COLUMNS = {
    "number": st.one_of(
        st.floats(), st.sampled_from([np.nan, np.inf, 0.0, 1.0]), st.sampled_from([1e308, -1e308, 5e-324])
    ),
    "whole": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1])),
    "small": st.integers(-128, 127),
    "flag": st.one_of(st.none(), st.booleans()),
    "text": st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["1", "2020-01-01", "yes"])),
    "time": st.one_of(st.none(), st.datetimes()),
}
DTYPES = {"number": "float64", "whole": "Int64", "small": "int8", "flag": "boolean", "text": "str"}


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 12))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    names = draw(st.lists(st.text(max_size=3), min_size=len(kinds), max_size=len(kinds)))
    made = []
    for kind in kinds:
        values = draw(st.lists(COLUMNS[kind], min_size=rows, max_size=rows))
        values = [None] * rows if draw(st.booleans()) and kind != "small" and not draw(st.integers(0, 4)) else values
        made.append(pd.Series(values, dtype=DTYPES.get(kind, "datetime64[us]")))
    frame = pd.concat(made, axis=1)
    frame.columns = names
    return frame


STEPS = [
    *[Impute(strategy=strategy) for strategy in ("mean", "median", "most_frequent", "knn", "forward_fill")],
    *[Impute(strategy="constant", value=value) for value in (1.5, True, "x")],
    MissingIndicator(),
    MissingIndicator(features="missing-only"),
    *[Scale(method=method) for method in ("standard", "min_max", "max_abs", "robust")],
    *[Normalize(norm=norm) for norm in ("l1", "l2", "max")],
    Clip(lower=0.0),
    Winsorize(),
    Outliers(),
    Outliers(method="robust_z", action="missing"),
    Outliers(action="drop_rows"),
    *[function(errors=errors) for function in (Log, Log1p, Sqrt, Cbrt) for errors in ("raise", "missing")],
    YeoJohnson(),
    BoxCox(),
    Quantile(n_quantiles=5),
    Quantile(output_distribution="normal"),
    *[Bin(strategy=strategy, n_bins=3) for strategy in ("equal_width", "equal_frequency", "kmeans")],
    Bin(edges=(0.0, 1.0), encode="one_hot"),
    Polynomial(),
    DropMissing(),
    DropMissing(axis="columns"),
    Deduplicate(),
    Sample(n=3),
    Split(),
    *[Cast(columns="all", to=to, errors="missing") for to in ("number", "text", "boolean", "time")],
    ParseDates(columns="text", errors="missing"),
]


@pytest.mark.parametrize("step", STEPS, ids=repr)
@settings(max_examples=20)
@given(frame=tables())
def test_any_table_has_a_result_or_a_clear_error(step, frame):
    scan = scan_of(frame, 4)
    try:
        steps = fit_steps([step], scan)
        result = in_one_batch(transformed(steps, scan, training=True))
    except DataError:
        return
    result.to_arrow()
    for sentence in steps[0].notes():
        assert sentence.endswith(".")


@settings(max_examples=40)
@given(frame=tables())
def test_any_column_may_hold_the_classes_or_the_parts(frame):
    scan = scan_of(frame, 4)
    for name in scan.arrow_schema.names:
        if not name:
            continue
        for step in (
            Balance(column=name),
            *(Split(method=method, by=name) for method in ("stratified", "group", "time")),
        ):
            try:
                result = in_one_batch(transformed(fit_steps([step], scan), scan, training=True))
            except DataError:
                continue
            if isinstance(step, Split):
                assert result.rows == len(frame)
