"""Each fault of a table is found, told with its figure, and mended by the step that is named."""

import numpy as np
import pandas as pd
import pytest

from clary.data.profiling import Severity, profile

N = 2_000
RANDOM = np.random.default_rng(1)
NORMAL = RANDOM.normal(size=N)


def found(frame, column="a", target=None):
    """code -> finding of that column."""
    return {one.code: one for one in profile(pd.DataFrame(frame), target).findings if one.column == column}


def gaps(values, share):
    return np.where(RANDOM.random(N) < share, None, values)


CASES = {
    "missing": (gaps(NORMAL, 0.2).astype(float), "impute", {"strategy": "median"}),
    "mostly_missing": (gaps(NORMAL, 0.8).astype(float), "drop", {}),
    "all_missing": (np.full(N, np.nan), "drop", {}),
    "constant": (np.full(N, 3), "drop", {}),
    "nearly_constant": (np.where(np.arange(N) < 3, 1, 0), "drop", {}),
    "id_like": (RANDOM.permutation(N), "drop", {}),
    "outliers": (np.where(np.arange(N) < 40, NORMAL * 9 + 40 * np.sign(NORMAL), NORMAL), "winsorize", {}),
    "skewed": (RANDOM.lognormal(size=N) ** 2, "log1p", {}),
    "infinite": (np.append(NORMAL[5:], [np.inf] * 5), "clip", {"lower": min(NORMAL[5:]), "upper": max(NORMAL[5:])}),
    "numbers_as_text": (RANDOM.integers(0, 99, N).astype(str), "cast", {"to": "number"}),
    "times_as_text": ((np.datetime64("2020-01-01") + RANDOM.integers(0, 900, N)).astype(str), "parse_dates", {}),
    "blanks": (RANDOM.choice(["x", " x", "y"], N), "clean_text", {}),
    "free_text": ([f"these are the words of row {i}" for i in range(N)], "tf_idf", {}),
    "many_levels": ([f"c{i % 1500}" for i in range(N)], "hash", {}),
    "rare_levels": ([f"c{int(i)}" for i in RANDOM.exponential(20, N)], "rare", {}),
    "category": (RANDOM.choice(["x", "y"], N), "one_hot", {}),
    "time": (np.datetime64("2020-01-01", "us") + RANDOM.integers(0, 10**12, N), "date_parts", {}),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_a_fault_is_found_with_the_step_that_mends_it(code):
    values, step, parameters = CASES[code]
    one = found({"a": values})[code]
    assert one.step[step].items() >= {"columns": ["a"], **parameters}.items()
    assert one.text[-1] == "."


@pytest.mark.parametrize("code", CASES)
def test_a_column_without_faults_has_no_finding(code):
    assert code not in found({"a": np.clip(NORMAL, -2.5, 2.5)})


DAYS = pd.Series(pd.date_range("2019-01-01", periods=N, freq="7h"))
EARLY = DAYS[DAYS.dt.day <= 12].reset_index(drop=True)


@pytest.mark.parametrize(
    ("texts", "dayfirst", "told"),
    [
        (DAYS.dt.strftime("%d.%m.%Y"), True, "the day first"),
        (DAYS.dt.strftime("%d/%m/%Y %H:%M"), True, "the day first"),
        (DAYS.dt.strftime("%m/%d/%Y"), None, "the month first"),
        (EARLY.dt.strftime("%d.%m.%Y"), None, "say which"),
        (DAYS.dt.strftime("%Y-%m-%d"), None, "reads as one."),
        (DAYS.dt.strftime("%Y/%m/%d"), None, "reads as one."),
    ],
)
def test_dates_are_found_with_the_order_of_day_and_month(texts, dayfirst, told):
    one = found({"a": texts})
    assert set(one) == {"times_as_text"}
    assert one["times_as_text"].step["parse_dates"].get("dayfirst") is dayfirst
    assert told in one["times_as_text"].text


@pytest.mark.parametrize("texts", [["31.02.2020", "01.02.2020"], ["13.13.2020"] * 2, ["1.2.2020", "soon"], ["", " "]])
def test_what_is_on_no_calendar_is_no_date(texts):
    assert "times_as_text" not in found({"a": texts * 20})


def test_dates_with_the_day_first_are_parsed_as_they_were_written():
    from clary.data import Recipe

    texts = DAYS.dt.strftime("%d.%m.%Y")
    step = found({"a": texts})["times_as_text"].step
    parsed = Recipe.from_dict({"version": 1, "steps": [step]}).fit(pd.DataFrame({"a": texts}))
    made = parsed.transform(pd.DataFrame({"a": texts}))["a"]
    assert (made.dt.normalize() == DAYS.dt.normalize()).all()


def test_a_skewed_column_with_negative_values_is_not_put_through_a_logarithm():
    assert "yeo_johnson" in found({"a": -(RANDOM.lognormal(size=N) ** 2)})["skewed"].step


def test_the_figure_stands_in_the_sentence():
    frame = {"a": [1.0, None, 3.0, None]}
    assert found(frame)["missing"].text == "2 of 4 rows (50.0%) have no value."


def test_duplicate_rows_are_found():
    one = found({"a": [1, 1, 2, 2, 1]}, "")["duplicate_rows"]
    assert one.text == "3 of 5 rows (60.0%) equal a row before them."
    assert one.step == {"deduplicate": {}}


def test_equal_columns_are_found_and_told_once():
    every = found({"a": NORMAL, "b": NORMAL, "c": NORMAL.copy()}, "b")
    assert every["duplicate_column"].text == "It holds in every row what 'a' holds."
    assert "correlated" not in every


def test_columns_that_say_nearly_the_same_are_found():
    one = found({"a": NORMAL, "b": NORMAL + RANDOM.normal(size=N) * 0.01}, "b")["correlated"]
    assert one.step == {"select_correlation": {"columns": ["a", "b"], "threshold": 0.95}}


def test_an_empty_table_is_told_of():
    assert profile(pd.DataFrame({"a": []})).findings[0].code == "empty"


def test_the_gravest_findings_come_first():
    frame = {"t": RANDOM.choice(["x", "y"], N), "a": np.where(np.arange(N) < 5, np.inf, NORMAL), "k": np.ones(N)}
    severities = [one.severity for one in profile(pd.DataFrame(frame)).findings]
    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.ERROR


# ---- the recipe ----


def a_faulty_frame():
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "age": gaps(RANDOM.integers(18, 90, N), 0.1).astype(float),
            "income": gaps(RANDOM.lognormal(10, 1.2, N), 0.1).astype(float),
            "city": gaps(RANDOM.choice(["Graz", "Linz", "Wien"], N), 0.05),
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 10**7, N), "s"),
            "constant": 1,
            "copy": 0,
            "y": RANDOM.integers(0, 2, N),
        }
    ).assign(copy=lambda frame: frame["age"])


def test_the_recipe_mends_each_column_once_in_an_order_that_makes_sense():
    recipe = profile(a_faulty_frame(), "y").suggested_recipe()
    assert recipe["target"] == "y"
    steps = [(name, given) for step in recipe["steps"] for name, given in step.items()]
    names = [name for name, _ in steps]
    assert names.index("drop") < names.index("impute") < names.index("log1p") < names.index("one_hot")
    assert set(dict(steps)["drop"]["columns"]) == {"id", "constant", "copy"}
    for name, given in steps:
        if name != "drop":
            assert not set(given.get("columns", ())) & {"id", "constant", "copy", "y"}


def test_the_recipe_is_one_that_recipes_take_and_gives_numbers_only():
    from clary.data.recipe.recipe import Recipe

    frame = a_faulty_frame()
    made = Recipe.from_dict(profile(frame, "y").suggested_recipe()).fit(frame).transform(frame)
    assert made.notna().all().all()
    assert all(kind.kind in "fiub" for kind in made.dtypes)
    assert {"city_Graz", "city_Linz", "city_Wien"} <= set(made.columns)


def test_a_column_that_is_cast_is_not_encoded_as_text():
    recipe = profile(
        pd.DataFrame({"a": gaps(RANDOM.permutation(N).astype(str), 0.1), "b": np.clip(NORMAL, -2, 2)})
    ).suggested_recipe()
    steps = [name for step in recipe["steps"] for name, given in step.items() if "a" in given.get("columns", ())]
    assert steps == ["cast"]


def test_names_with_leading_zeros_are_no_numbers():
    numbers = [number // 2 for number in range(N)]
    table = pd.DataFrame({"plain": [f"{one}" for one in numbers], "name": [f"{one:06}" for one in numbers]})
    found = {one.column for one in profile(table).findings if one.code == "numbers_as_text"}
    assert found == {"plain"}
