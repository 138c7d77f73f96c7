"""expression and filter: the language, its values beside pandas, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError, RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.expressions import Expression, Filter
from clary.data.recipe.steps.formula.parse import parsed
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made, rows, scan_of


def a_table(length: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": random.normal(0, 3, length).round(1),
            "b": random.lognormal(size=length),
            "n": random.integers(-3, 4, length),
            "flag": pd.array(random.choice([True, False], length), dtype="boolean"),
            "t": pd.Series(random.choice(["x", "y", "ä"], length), dtype="str"),
            "u": pd.Series(random.choice(["x", "y"], length), dtype="str"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, length), unit="D"),
            "odd name": random.normal(size=length),
        }
    )
    gaps = random.random(frame.shape) < 0.15
    for place, name in enumerate(frame):
        if name != "n":
            frame[name] = frame[name].mask(gaps[:, place])
    return frame


NUMBERS = {
    "a + b * 2 - 1": lambda f: f.a + f.b * 2 - 1,
    "-a / b": lambda f: -f.a / f.b,
    "a ** 2 + b ** 3": lambda f: f.a**2 + f.b**3,
    "b ** 0.5 + b ** -1.7": lambda f: f.b**0.5 + f.b**-1.7,
    "a // 2 + a % 2": lambda f: f.a // 2 + f.a % 2,
    "n / 2 + n // 2": lambda f: f.n / 2 + f.n // 2,
    "log(b) + log1p(b) + exp(a) + sqrt(b) + abs(a)": lambda f: (
        np.log(f.b) + np.log1p(f.b) + np.exp(f.a) + np.sqrt(f.b) + f.a.abs()
    ),
    "round(a) + floor(b) + ceil(b)": lambda f: f.a.round() + np.floor(f.b) + np.ceil(f.b),
    "min(a, b, 0) + max(a, b)": lambda f: np.minimum(np.minimum(f.a, f.b), 0) + np.maximum(f.a, f.b),
    "where(a > 0, a, -b)": lambda f: pd.Series(np.where(f.a > 0, f.a, -f.b)),
    "a if t == 'x' else b": lambda f: pd.Series(np.where((f.t == "x").fillna(False), f.a, f.b)),
    "(a > 0) * 2 + flag": lambda f: (f.a > 0) * 2 + f.flag.astype("float"),
    "col('odd name') * 2": lambda f: f["odd name"] * 2,
    "log(a) + n / 0": lambda f: np.log(f.a) + f.n / 0,
}
CONDITIONS = {
    "a > 0": lambda f: f.a > 0,
    "a != 0.1": lambda f: f.a != 0.1,
    "-1 <= a < 1": lambda f: (f.a >= -1) & (f.a < 1),
    "a > 0 and not (b > 1 or n == 2)": lambda f: (f.a > 0) & ~((f.b > 1) | (f.n == 2)),
    "flag": lambda f: f.flag.fillna(False).astype(bool),
    "not flag": lambda f: ~f.flag.fillna(False).astype(bool),
    "flag or a > 2": lambda f: f.flag.fillna(False).astype(bool) | (f.a > 2),
    "t == 'x'": lambda f: (f.t == "x").fillna(False),
    "'x' != t": lambda f: (f.t != "x").fillna(True),
    "t == u": lambda f: ((f.t == f.u) & f.t.notna() & f.u.notna()).fillna(False),
    "t != u": lambda f: ~((f.t == f.u) & f.t.notna() & f.u.notna()).fillna(False),
    "t >= 'y'": lambda f: (f.t >= "y").fillna(False),
    "t in ['x', 'ä', 'nowhere']": lambda f: f.t.isin(["x", "ä"]),
    "t not in ['x']": lambda f: ~f.t.isin(["x"]),
    "n in [1, -2.0]": lambda f: f.n.isin([1, -2]),
    "isnull(a) or isnull(t) or isnull(day) or isnull(flag)": lambda f: (
        f.a.isna() | f.t.isna() | f.day.isna() | f.flag.isna()
    ),
    "day >= '2021-03-04' and '2022-01-01T00:00' > day": lambda f: (f.day >= "2021-03-04") & (f.day < "2022-01-01"),
    "True and a > 0": lambda f: f.a > 0,
}


@pytest.mark.parametrize("expression", NUMBERS)
def test_numbers_equal_pandas(expression):
    frame = a_table()
    step = fitted(Expression(into="new", expression=expression), frame)
    with np.errstate(all="ignore"):
        expected = NUMBERS[expression](frame).to_numpy(dtype=float, na_value=np.nan)
    np.testing.assert_allclose(made(step, frame)["new"], expected, rtol=1e-12)
    assert_rows_equal_batch(step, frame) if "/ 0" not in expression else None


@pytest.mark.parametrize("expression", CONDITIONS)
def test_conditions_equal_pandas(expression):
    frame = a_table()
    step = fitted(Expression(into="new", expression=expression), frame)
    result = made(step, frame)["new"]
    expected = CONDITIONS[expression](frame).to_numpy(dtype=bool)
    if expression != "flag":  # a column alone keeps its missing values
        assert result.dtype == bool
        np.testing.assert_array_equal(result, expected)
    assert_rows_equal_batch(step, frame)
    steps = fit_steps([Filter(expression=expression)], scan_of(frame, 7))
    kept = in_one_batch(transformed(steps, scan_of(frame), training=True))
    assert kept.row_numbers.tolist() == np.flatnonzero(expected).tolist()


def test_a_division_by_zero_leaves_a_row_to_the_batch():
    frame = pd.DataFrame({"a": [1.0]})
    step = fitted(Expression(into="new", expression="1 / (a - 1)"), frame)
    assert made(step, frame)["new"].tolist() == [np.inf]
    with pytest.raises(ArithmeticError):
        list(rows(step, frame))


def test_an_expression_may_replace_its_own_column_and_steps_behind_see_that():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    steps = fit_steps(
        [Expression(into="a", expression="a + b"), Expression(into="c", expression="a * 10")], scan_of(frame)
    )
    assert in_one_batch(transformed(steps, scan_of(frame))).to_pandas()["c"].tolist() == [40.0, 60.0]


@pytest.mark.parametrize(
    "expression",
    [
        "a.real",
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "a[0]",
        "[one for one in a]",
        "lambda: a",
        "a := 3",
        "f'{a}'",
        "a if b",
        "open('x')",
        "log(a, base=2)",
        "log(*a)",
        "max(a)",
        "where(a > 1)",
        "a is b",
        "a == None",
        "a & b",
        "~a",
        "a @ b",
        "a in b",
        "a in []",
        "a in ['x', 1]",
        "a in [b]",
        "a < b in [1]",
        "col(a)",
        "col('a', 'b')",
        "[a, b]",
        "1 + 1",
        "",
        "a +",
        "a \x00",
        "a; b",
        "await a",
        "1j * a",
        "a + 9" + "9" * 400,
        "a" + " + a" * 2_000,
        "-" * 3_000 + "a",
        "(" * 150 + "a" + ")" * 150 + "+ b" * 2_000,
        "not " * 500 + "a > 1",
        "a" * 5_000,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_formula_is_refused_before_any_data(expression):
    with pytest.raises(RecipeError, match="expression"):
        Expression(into="new", expression=expression)


@settings(max_examples=200)
@given(st.text(alphabet="ab +-*/%<>=!()[]'\",.01:andotifelsewhrcl\\", max_size=40))
@example("a" + "(" * 90)
def test_any_text_is_a_formula_or_a_clear_error(text):
    try:
        formula = parsed(text)
        formula.bound(tuple("number" for _ in formula.columns))
    except DataError:
        return
    assert formula.columns


@pytest.mark.parametrize(
    "expression",
    [
        "t + 1",
        "t and a > 1",
        "a and b > 1",
        "t > 3",
        "a == 'x'",
        "t in [1]",
        "day in [1]",
        "day > 'soon'",
        "day > t",
        "-t",
    ],
)
def test_operations_of_the_wrong_kind_are_errors_of_the_step(expression):
    with pytest.raises(StepError):
        fitted(Expression(into="new", expression=expression), a_table())


def test_columns_that_are_not_there_are_named():
    with pytest.raises(StepError, match="'missing'"):
        fitted(Expression(into="new", expression="a + missing"), a_table())


def test_a_column_cannot_be_a_text_and_rows_are_not_filtered_by_a_number():
    with pytest.raises(StepError, match="text"):
        fitted(Expression(into="new", expression="t"), a_table())
    with pytest.raises(StepError, match="condition"):
        fitted(Filter(expression="a + 1"), a_table())
    with pytest.raises(RecipeError, match="columns"):
        Filter(expression="a > 1", columns=("a",))
    with pytest.raises(RecipeError, match="into"):
        Expression(expression="a", into="")


def test_hostile_names_stay_names():
    name = "__import__('os').system('false')"
    frame = pd.DataFrame({name: [1.0, 2.0], 'it\'s \\ "odd"': [1.0, 2.0]})
    step = fitted(Expression(into="new", expression=f"col({name!r}) + col({frame.columns[1]!r})"), frame)
    assert made(step, frame)["new"].tolist() == [2.0, 4.0]
    assert_rows_equal_batch(step, frame)
