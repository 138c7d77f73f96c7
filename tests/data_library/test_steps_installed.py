"""Steps that installed packages add by entry points: used like any other, saved and loaded without pickles."""

import sys

import pandas as pd
import pytest

from clary.data import FittedRecipe, Recipe
from clary.data.errors import DataError, RecipeError
from clary.data.recipe import steps
from clary.data.recipe.step import STEPS

MODULE = """
from dataclasses import dataclass

from clary.data.recipe.step import PerColumn, Step


@dataclass(frozen=True, kw_only=True)
class Doubled(Step):
    name = "doubled"

    def fitting(self, schema):
        yield []
        return FittedDoubled(self.chosen(schema))


@dataclass(frozen=True)
class FittedDoubled(PerColumn):
    def apply(self, place, column):
        return column * 2


class NoStep:
    name = "no_step"
"""
ENTRIES = """[clary.recipe_steps]
doubled = some_steps:Doubled
no_step = some_steps:NoStep
broken = some_steps.missing:Missing
scale = some_steps:Doubled
"""
TABLE = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed distribution with steps; removed after the test."""
    (tmp_path / "some_steps.py").write_text(MODULE)
    info = tmp_path / "some_steps-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-steps\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    steps.installed.cache_clear()
    yield info
    monkeypatch.undo()
    steps.installed.cache_clear()
    STEPS.pop("doubled", None)
    sys.modules.pop("some_steps", None)


def test_a_step_of_an_installed_package_is_used_and_saved(package, tmp_path):
    recipe = Recipe.parse("steps: [doubled: {columns: [a]}]")
    fitted = recipe.fit(TABLE)
    expected = pd.DataFrame({"a": [2.0, 4.0], "b": [3.0, 4.0]})
    pd.testing.assert_frame_equal(fitted.transform(TABLE), expected)
    fitted.save(tmp_path / "recipe.clary")
    loaded = FittedRecipe.load(tmp_path / "recipe.clary", allow_pickle=False)
    pd.testing.assert_frame_equal(loaded.transform(TABLE), expected)
    assert "doubled" in steps.all_steps()


def test_a_file_with_a_step_that_is_not_installed_any_more_is_an_error(package, tmp_path):
    Recipe.parse("steps: [doubled: {columns: [a]}]").fit(TABLE).save(tmp_path / "recipe.clary")
    (package / "entry_points.txt").write_text("")
    steps.installed.cache_clear()
    with pytest.raises(DataError, match="no step 'some_steps:FittedDoubled'"):
        FittedRecipe.load(tmp_path / "recipe.clary")


def test_a_built_in_step_is_not_replaced(package):
    assert steps.step_named("scale").__module__ == "clary.data.recipe.steps.scaling"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_step", "some_steps:NoStep is not a Step of that name"),
        ("broken", "some_steps.missing:Missing cannot be imp"),
    ],
)
def test_an_entry_point_that_is_wrong_is_an_error_of_the_recipe_that_uses_it(package, name, reason):
    with pytest.raises(RecipeError, match=reason):
        Recipe.parse(f"steps: [{name}]")
    assert name not in steps.all_steps()


def test_two_packages_with_a_step_of_one_name(package, tmp_path):
    other = tmp_path / "others-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[clary.recipe_steps]\ndoubled = others:Doubled\n")
    steps.installed.cache_clear()
    with pytest.raises(RecipeError, match="several installed packages have a step 'doubled'"):
        Recipe.parse("steps: [doubled]")


def test_steps_for_images_and_sound_come_by_entry_points_too():
    media = {name for name in steps.installed() if name.startswith(("image_", "audio_"))}
    assert len(media) == 12
    assert all(steps.step_named(name).name == name for name in media)
