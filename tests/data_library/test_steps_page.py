"""docs/data/steps.md is what the code declares, and leaves no step and no parameter out."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from clary.data.recipe.parameters import parameters
from clary.data.recipe.step import Step
from clary.data.recipe.steps import all_steps

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "data" / "steps.md").read_text(encoding="utf-8")
SHARED = set(parameters(Step))


def _load():
    spec = importlib.util.spec_from_file_location("make_steps", DOCS / "make_steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_steps = _load()


def _section(name: str) -> str:
    return re.split(r"^#+ ", PAGE.partition(f"\n### {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_page_is_up_to_date():
    assert make_steps.page() == PAGE, "run python docs/make_steps.py"


@pytest.mark.parametrize("name", all_steps())
def test_each_parameter_has_a_line_with_its_default(name):
    listed = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.+?) \| .*\|$", _section(name), re.MULTILINE)
    named = [parameter.strip("`") for names, _ in listed for parameter in names.split(", ")]
    assert sorted(named) == sorted(set(named))
    assert set(parameters(all_steps()[name])) - SHARED <= set(named)
    assert set(named) <= set(parameters(all_steps()[name]))


def test_a_reference_is_no_parameter():
    assert "`Reference`" not in PAGE
    assert "Reference: Fisher (1936)" in PAGE


def test_a_parameter_without_a_line_of_its_own_has_the_description_of_its_class():
    assert "the default finds those of two letters or more" in _section("hash_text")


def test_a_parameter_whose_default_is_made_anew_is_not_called_needed():
    assert "| `params` | `{}` |" in _section("sklearn")
    assert "| `transformer` | needed |" in _section("sklearn")


def test_a_step_in_no_group_is_an_error(monkeypatch):
    monkeypatch.setitem(make_steps.GROUPS, "Scaling", ("scale",))
    with pytest.raises(ValueError, match="not in a group: \\['normalize'\\]"):
        make_steps.page()
