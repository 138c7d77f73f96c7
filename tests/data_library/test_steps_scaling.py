"""scale and normalize, beside scikit-learn's scalers."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from clary.data.batch import Batch, Block
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.combining import Normalize
from clary.data.recipe.steps.scaling import Scale
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made, scan_of

# Thousandths: nearly constant columns, on which rounding alone decides, are not what is compared here.
thousandths = st.integers(-(10**9), 10**9).map(lambda value: value / 1000)
values = st.one_of(st.just(np.nan), st.sampled_from([0.0, 1.0, -1.0]), thousandths)
columns = st.lists(st.tuples(values, values), min_size=1, max_size=25).filter(
    lambda rows: not np.isnan(np.array(rows)).all(axis=0).any()
)

PAIRS = [
    (Scale(), StandardScaler()),
    (Scale(with_mean=False), StandardScaler(with_mean=False)),
    (Scale(with_std=False), StandardScaler(with_std=False)),
    (Scale(method="min_max"), MinMaxScaler()),
    (Scale(method="min_max", feature_range=(-2.0, 3.0), clip=True), MinMaxScaler(feature_range=(-2, 3), clip=True)),
    (Scale(method="max_abs"), MaxAbsScaler()),
    (Scale(method="robust"), RobustScaler()),
    (Scale(method="robust", with_centering=False), RobustScaler(with_centering=False)),
    (Scale(method="robust", with_scaling=False), RobustScaler(with_scaling=False)),
    (
        Scale(method="robust", quantile_range=(10.0, 80.0), unit_variance=True),
        RobustScaler(quantile_range=(10, 80), unit_variance=True),
    ),
]


@pytest.mark.parametrize(("step", "theirs"), PAIRS, ids=lambda frame: str(frame)[:60])
@settings(max_examples=25)
@given(rows=columns)
def test_it_equals_scikit_learn(step, theirs, rows):
    frame = pd.DataFrame(rows, columns=["a", "b"])
    mine = fitted(step, frame)
    expected = theirs.fit_transform(frame)
    np.testing.assert_allclose(made(mine, frame).to_numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mine.sklearn().transform(frame), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", [step for step, _ in PAIRS], ids=lambda frame: str(frame)[:60])
@settings(max_examples=25)
@given(rows=columns)
def test_a_row_alone_has_the_same_bits(step, rows):
    frame = pd.DataFrame(rows, columns=["a", "b"])
    assert_rows_equal_batch(fitted(step, frame), frame)


def test_new_values_beyond_those_seen_are_clipped_where_that_is_asked():
    step = fitted(Scale(method="min_max", clip=True), pd.DataFrame({"a": [0.0, 10.0]}))
    new = pd.DataFrame({"a": [-5.0, 5.0, 20.0, np.nan]})
    np.testing.assert_array_equal(made(step, new)["a"], [0.0, 0.5, 1.0, np.nan])
    assert_rows_equal_batch(step, new)


@pytest.mark.parametrize("method", ["standard", "min_max", "max_abs", "robust"])
def test_a_column_without_any_value_is_an_error_that_names_it(method):
    frame = pd.DataFrame({"a": [1.0, 2.0], "empty": [np.nan, np.nan]})
    with pytest.raises(StepError, match=r"'empty'.*no value"):
        fitted(Scale(method=method), frame)
    with pytest.raises(StepError, match="no value"):
        fitted(Scale(method=method), frame.iloc[:0])


@pytest.mark.parametrize("method", ["standard", "min_max", "max_abs", "robust"])
def test_infinite_values_are_an_error_that_names_the_column(method):
    with pytest.raises(StepError, match=r"'a'.*infinite"):
        fitted(Scale(method=method), pd.DataFrame({"a": [1.0, np.inf, np.inf, np.inf]}))


def test_whole_numbers_are_scaled_though_some_batches_have_missing_ones():
    frame = pd.DataFrame({"a": pd.array([1, 2, 3, None, 5, 6, 7], dtype="Int64")})
    step = fitted(Scale(), frame)
    expected = StandardScaler().fit_transform(frame.astype(float))
    np.testing.assert_allclose(made(step, frame).to_numpy(), expected, atol=1e-12)


def test_a_column_without_variance_is_reported():
    notes = fitted(Scale(), pd.DataFrame({"a": [3.0, 3.0], "b": [1.0, 2.0]})).notes()
    assert len(notes) == 1
    assert "'a'" in notes[0]


def test_a_table_larger_than_the_sample_has_exact_statistics():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.lognormal(size=150_000), "b": random.integers(0, 9, 150_000)})
    for step, theirs in ((Scale(), StandardScaler()), (Scale(method="robust"), RobustScaler())):
        steps = fit_steps([step], scan_of(frame))
        result = in_one_batch(transformed(steps, scan_of(frame))).to_pandas()
        np.testing.assert_allclose(result.to_numpy(), theirs.fit_transform(frame), atol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "middling"}, "method"),
        ({"method": "min_max", "feature_range": (1.0, 0.0)}, "feature_range"),
        ({"method": "robust", "quantile_range": (80.0, 20.0)}, "quantile_range"),
        ({"method": "robust", "quantile_range": (0.0, 100.0), "unit_variance": True}, "unit_variance"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(RecipeError, match=message):
        Scale(**parameters)


# ---- blocks ----


def a_block(sparsely: bool) -> Batch:
    matrix = sparse.random(40, 5, 0.3, format="csr", random_state=1)
    block = Block(tuple("vwxyz"), matrix if sparsely else matrix.toarray())
    return Batch({"block": block, "a": np.arange(40.0)}, 40)


def fitted_to_batch(step: Scale, batch: Batch):
    """A block comes of a step, not of a table: the generator is fed by hand."""
    asking = step.fitting(batch.schema)
    try:
        asked = next(asking)
        while True:
            halves = batch.take(np.arange(batch.rows) < 17), batch.take(np.arange(batch.rows) >= 17)
            asked = asking.send(
                [statistic.result(statistic.merge(*map(statistic.compute, halves))) for statistic in asked]
            )
    except StopIteration as finished:
        return finished.value


@pytest.mark.parametrize("sparsely", [True, False])
@pytest.mark.parametrize(
    ("step", "theirs"),
    [(Scale(method="max_abs"), MaxAbsScaler()), (Scale(with_mean=False), StandardScaler(with_mean=False))],
)
def test_blocks_equal_scikit_learn_and_stay_sparse(sparsely, step, theirs):
    batch = a_block(sparsely)
    result = fitted_to_batch(step, batch).transform(batch)
    assert result["block"].sparse == sparsely
    expected = theirs.fit_transform(batch["block"].matrix)
    np.testing.assert_allclose(
        result["block"].dense(), expected.toarray() if sparse.issparse(expected) else expected, atol=1e-12
    )


@pytest.mark.parametrize(("step", "theirs"), [(Scale(), StandardScaler()), (Scale(method="min_max"), MinMaxScaler())])
def test_dense_blocks_are_moved_and_sparse_ones_are_not(step, theirs):
    batch = a_block(sparsely=False)
    result = fitted_to_batch(step, batch).transform(batch)["block"].dense()
    np.testing.assert_allclose(result, theirs.fit_transform(batch["block"].matrix), atol=1e-12)
    with pytest.raises(StepError, match="sparse"):
        fitted_to_batch(step, a_block(sparsely=True)).transform(a_block(sparsely=True))


# ---- normalize ----


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@settings(max_examples=25)
@given(rows=st.lists(st.tuples(thousandths, thousandths, thousandths), min_size=1, max_size=20))
def test_rows_of_one_length_equal_scikit_learn(norm, rows):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    step = fitted(Normalize(norm=norm), frame)
    expected = Normalizer(norm=norm).fit_transform(frame)
    np.testing.assert_allclose(made(step, frame).to_numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(step.sklearn().transform(frame), expected, atol=1e-12)
    assert_rows_equal_batch(step, frame)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_rows_that_have_no_length_are_an_error(norm, wrong):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, wrong]})
    with pytest.raises(StepError, match=r"'b'.*missing, infinite"):
        made(fitted(Normalize(norm=norm), frame), frame)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_blocks_count_with_all_their_columns(norm):
    for sparsely in (True, False):
        batch = a_block(sparsely)
        step = fitted_to_batch(Normalize(norm=norm), batch)
        expected = Normalizer(norm=norm).fit_transform(a_block(sparsely=False).matrix())
        result = step.transform(batch)
        assert result["block"].sparse == sparsely
        found = result.matrix()
        np.testing.assert_allclose(found.toarray() if sparsely else found, expected, atol=1e-12)


def test_fitted_steps_pickle():
    step = fitted(Scale(), pd.DataFrame({"a": [1.0, 2.0]}))
    assert pickle.loads(pickle.dumps(step)) == step
