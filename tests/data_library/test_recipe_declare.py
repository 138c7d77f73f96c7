"""Recipes as files: what is read, what is refused and with which error, and that nothing is lost on the way."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from dataclasses import MISSING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError, RecipeError
from clary.data.recipe import Recipe, steps
from clary.data.recipe.declare import same
from clary.data.recipe.parameters import converted, default_of, parameters, types_of
from clary.data.recipe.step import STEPS
from clary.data.recipe.steps import all_steps
from clary.data.recipe.text import MOST_CHARACTERS
from tests.data_library.recipe_support import ALL, Demanding, Forms, register

TITANIC = """
version: 1
name: titanic
target: survived
steps:
  - impute: {columns: [age, fare], strategy: median}
  - scale: {method: robust}
  - one_hot: {columns: text, unknown: ignore}
"""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    all_steps()
    register(monkeypatch)


def forms(**values: object) -> Forms:
    """The step that a recipe of one step has."""
    made = Recipe([{"forms_of_parameters": values}]).steps[0]
    assert isinstance(made, Forms)
    return made


def refused(steps: object, **more: object) -> str:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"steps": steps, **more})
    return str(caught.value)


# ---- what is read ----


def test_a_yaml_recipe_has_the_steps_it_lists():
    recipe = Recipe.parse(TITANIC)
    assert [step.name for step in recipe.steps] == ["impute", "scale", "one_hot"]
    assert (recipe.name, recipe.target, recipe.version) == ("titanic", "survived", 1)
    assert recipe.steps[0].columns == ("age", "fare")
    assert recipe.steps[2].columns == "text"
    assert all(step.target == "survived" for step in recipe.steps)


def test_json_yaml_dict_and_python_give_the_same():
    recipe = Recipe.parse(TITANIC)
    recipes = [Recipe.parse(recipe.to_json()), Recipe.parse(recipe.to_yaml()), Recipe.from_dict(recipe.to_dict())]
    recipes.append(Recipe(recipe.steps, target="survived", name="titanic"))
    assert all(recipe_ == recipe and recipe_.hash == recipe.hash for recipe_ in recipes)


def test_a_step_without_parameters_may_be_its_name_alone():
    steps = [["scale"], [{"scale": {}}], [{"scale": None}]]
    assert len({Recipe(step_).hash for step_ in steps}) == 1


def test_a_word_means_a_kind_and_a_list_means_names():
    assert forms(columns="text").columns == "text"
    assert forms(columns=["text"]).columns == ("text",)
    assert forms(columns="age").columns == ("age",)
    assert forms(columns="pixel_*").columns == ("pixel_*",)


def test_the_hash_is_of_the_meaning():
    short = Recipe([{"scale": {"columns": "age"}}])
    assert short.hash == Recipe([{"scale": {"columns": ["age"], "method": "standard"}}], name="a", description="b").hash
    assert short.hash != Recipe([{"scale": {"columns": ["age"], "method": "robust"}}]).hash
    assert short.hash != Recipe([{"scale": {"columns": "age"}}], target="fare").hash
    assert len(short.hash) == 64


def test_numbers_and_words_are_read_by_yaml_1_2():
    text = "steps:\n- forms_of_parameters: {columns: [no, on, 12:30:00, 2024-01-01], number: 1e-3, text: 'null'}"
    step = Recipe.parse(text).steps[0]
    assert isinstance(step, Forms)
    assert step.columns == ("no", "on", "12:30:00", "2024-01-01")
    assert (step.number, step.text) == (0.001, "null")


def test_a_recipe_is_saved_and_loaded(tmp_path):
    recipe = Recipe.parse(TITANIC)
    for name in ("recipe.yaml", "recipe.json"):
        recipe.save(tmp_path / name)
        assert Recipe.load(tmp_path / name) == recipe
    assert (tmp_path / "recipe.json").read_text().startswith("{")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.json", "recipe.yaml"]


def test_a_recipe_that_cannot_be_saved_is_reported(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        Recipe.parse(TITANIC).save(tmp_path / "no" / "such" / "recipe.yaml")


# ---- types ----


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("number", 3, 3.0),
        ("maybe", None, None),
        ("maybe", 2, 2.0),
        ("either", 2, 2),
        ("either", "2", "2"),
        ("choice", 3, 3),
        ("several", ["a", "b"], ("a", "b")),
        ("several", "a", ("a",)),
        ("pair", [1, 2.5], (1.0, 2.5)),
        ("nested", [[1, "a"]], ((1, "a"),)),
        ("table", {"a": 1}, {"a": 1.0}),
        ("anything", [1, [2]], (1, (2,))),
    ],
)
def test_values_become_the_type_that_the_step_declares(name, value, expected):
    found = getattr(forms(**{name: value}), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("text", 3, "text: 3 is not text; put it in quotes"),
        ("text", True, "text: True is not text; put it in quotes"),
        ("number", "3", "number: '3' is not a number"),
        ("number", True, "number: True is not a number"),
        ("number", 10**400, "is not a number that a float can hold"),
        ("whole", 3.0, "whole: 3.0 is not a whole number"),
        ("whole", False, "whole: False is not a whole number"),
        ("whole", -1, "whole: no negative number"),
        ("flag", 1, "flag: 1 is not true or false"),
        ("flag", "yes", "flag: 'yes' is not true or false"),
        ("maybe", "x", "maybe: 'x' is not a number or null"),
        ("choice", "up", "choice: 'up' is not one of 'left', 'right', 3"),
        ("choice", True, "choice: True is not one of"),
        ("several", 3, "several: 3 is not a list of texts"),
        ("several", ["a", 3], "not text; put it in quotes (item 2)"),
        ("pair", [1], "pair: [1] is not a list of 2"),
        ("table", [1], "table: [1] is not a mapping"),
        ("table", {"a": "b"}, "not a number (of 'a')"),
        ("function", "os:system", "is not a Python function, which only Python can give or null"),
    ],
)
def test_a_value_of_another_type_is_reported(name, value, message):
    error = refused([{"forms_of_parameters": {name: value}}])
    assert error.startswith("step 1 (forms_of_parameters): ")
    assert message in error


def test_every_fault_of_a_recipe_is_reported_at_once():
    message = refused(
        [
            "imputte",
            {"scale": {"methd": "robust"}},
            {"forms_of_parameters": {"whole": -1, "text": 3}},
            {"forms_of_parameters": {"whole": -1}},
            {"scale": {}, "impute": {}},
            7,
            {"scale": [1]},
            "demanding",
        ]
    )
    assert "step 1: there is no step 'imputte'; is it 'impute'?" in message
    assert "step 2 (scale): there is no parameter 'methd'; is it 'method'?" in message
    assert "step 3 (forms_of_parameters): text: 3 is not text" in message
    assert "step 4 (forms_of_parameters): whole: no negative number" in message
    assert "step 5: a step is its name" in message
    assert "step 6: a step is its name" in message
    assert "step 7 (scale): its parameters are a mapping" in message
    assert "step 8 (demanding): wanted: it has to be given (text)" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": [], "targt": "y"}, "there is no key 'targt'; is it 'target'?"),
        ({"steps": [], "version": 2}, "version: 2 is not a version of recipes that this Clary knows"),
        ({"steps": [], "version": True}, "version: True is not a version"),
        ({"steps": [], "target": 3}, "target: 3 is not text"),
        ({"steps": {"scale": {}}}, "steps: a list of steps is wanted"),
        ({"steps": "scale"}, "steps: a list of steps is wanted"),
        ({}, "the key is not there"),
        ([], "a recipe is a mapping with the keys"),
        ({"steps": ["scale"] * 1001}, "1,001 are too many"),
    ],
)
def test_a_recipe_of_another_form_is_reported(given, message):
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict(given)
    assert message in str(error.value)


def test_steps_from_python_are_checked_like_those_of_files():
    made = Recipe([Forms(several=["a"], number=2)]).steps[0]  # type: ignore[arg-type]
    assert isinstance(made, Forms)
    assert made.several == ("a",)
    assert type(made.number) is float
    with pytest.raises(RecipeError, match=r"step 1 .demanding.: wanted: 3 is not text"):
        Recipe([Demanding(wanted=3)])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="a list of steps"):
        Recipe("scale")


def test_a_function_cannot_be_written_into_a_file():
    recipe = Recipe([Forms(function=len)])
    with pytest.raises(
        RecipeError, match=r"step 1 .forms_of_parameters.: function: a .* cannot be written into a file"
    ):
        recipe.to_yaml()


# ---- hostile files ----


@pytest.mark.parametrize(
    "text",
    [
        "steps: &a [*a]",
        "a: &x [1, 2]\nsteps: *x",
        "steps: " + "[" * 200 + "]" * 200,
        '{"steps": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"steps": ' + "[" * 40 + "]" * 40 + "}",
        "steps: !!python/object/apply:os.system [ls]",
        "steps: !!python/name:os.system",
        "steps: [1\n",
        '{"steps": [',
        "steps: []\nsteps: []",
        '{"steps": [], "steps": []}',
        "? [1]\n: 2",
        "steps: " + "9" * 5000,
        "\x00",
        "steps: []\n---\nsteps: []",
        "",
        "3",
        "x" * (MOST_CHARACTERS + 1),
    ],
)
def test_a_hostile_text_is_a_recipe_error(text):
    with pytest.raises(RecipeError):
        Recipe.parse(text)


def test_files_that_are_no_recipes_are_reported(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "wrong.yaml").write_text("steps: [nothing]")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path)
    with pytest.raises(RecipeError, match="not UTF-8 text"):
        Recipe.load(tmp_path / "binary.yaml")
    with pytest.raises(RecipeError, match=r"wrong\.yaml: step 1: there is no step 'nothing'"):
        Recipe.load(tmp_path / "wrong.yaml")


# ---- every step there is ----


def test_every_default_is_of_the_type_that_its_step_declares():
    for kind in all_steps().values():
        for name, field in parameters(kind).items():
            default = default_of(field)
            if default is not MISSING:
                assert same(converted(default, types_of(kind)[name]), default), (kind, name)


def test_steps_have_docstrings_and_one_name_each():
    for name, kind in STEPS.items():
        assert kind.name == name
        assert kind.__doc__ or name in ALL


# ---- any recipe ----

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\x85\u2028\u2029"), max_size=12)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
WORDS = st.sampled_from(
    ["no", "yes", "null", "~", "1e-3", "0x1", "010", "12:30", "2024-01-01", "=", "<<", "a: b", "- x", ""]
)
FORMS = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.one_of(TEXT | WORDS, st.lists(TEXT | WORDS, max_size=3)),
        "text": TEXT | WORDS,
        "number": FLOATS,
        "whole": st.integers(0, 10**20),
        "flag": st.booleans(),
        "maybe": st.none() | FLOATS,
        "either": st.integers() | TEXT | WORDS,
        "several": st.lists(TEXT | WORDS, max_size=3),
        "pair": st.tuples(FLOATS, FLOATS),
        "nested": st.lists(st.tuples(st.integers(), TEXT), max_size=2),
        "table": st.dictionaries(TEXT | WORDS, FLOATS, max_size=3),
        "anything": st.recursive(
            st.none() | st.booleans() | st.integers() | FLOATS | TEXT | WORDS,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | WORDS, inner, max_size=3),
            max_leaves=6,
        ),
    },
)


@pytest.fixture(scope="module")
def steps_for_all() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        yield


@settings(max_examples=150, deadline=None)
@given(parameters=st.lists(FORMS, max_size=3), target=TEXT, name=TEXT | WORDS)
def test_what_is_written_is_read_back_the_same(steps_for_all, parameters, target, name):
    recipe = Recipe([{"forms_of_parameters": parameter} for parameter in parameters], target=target, name=name)
    for text in (recipe.to_yaml(), recipe.to_json()):
        parsed = Recipe.parse(text)
        assert parsed.hash == recipe.hash
        assert (parsed.name, parsed.target) == (recipe.name, recipe.target)
        assert parsed.to_dict() == recipe.to_dict() or "nan" in text.lower()


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60) | st.text("[]{}:-,&*!?|>'\"# \n\tastep", max_size=40))
def test_any_text_is_a_recipe_or_a_recipe_error(text):
    try:
        Recipe.parse(text)
    except RecipeError:
        return


def test_not_a_number_is_itself():
    assert Recipe([{"forms_of_parameters": {"number": math.nan}}]).hash == (
        Recipe.parse("steps: [forms_of_parameters: {number: .nan}]").hash
    )


def test_each_step_is_in_the_module_that_is_listed_for_it():
    prefix = f"{steps.__name__}."
    for module in pkgutil.walk_packages(steps.__path__, prefix):
        importlib.import_module(module.name)
    registered: dict[str, set[str]] = {}
    for name, kind in STEPS.items():
        if kind.__module__.startswith(prefix):
            registered.setdefault(kind.__module__.removeprefix(prefix), set()).add(name)
    listed = {module: set(names) for module, names in steps.MODULES.items()}
    for name, entries in steps.installed().items():
        if entries[0].module.startswith(prefix):
            listed.setdefault(entries[0].module.removeprefix(prefix), set()).add(name)
    assert registered == listed
