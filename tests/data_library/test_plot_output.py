"""Pictures as files and in web pages, and what a step does to a column."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from clary.data import plot
from clary.data.batch import Field, Kind
from clary.data.errors import DataError
from clary.data.plot import style
from clary.data.recipe import Recipe
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.step import FittedStep, PerColumn, Step
from clary.data.scans import scan_of
from clary.data.statistics.moments import Moments

HOSTILE = '人口 \N{GRINNING FACE} $x^2 & <b>"quoted"</b> ไทย \'\t\n'


@dataclass(frozen=True)
class Centred(PerColumn):
    means: tuple[float, ...]

    def apply(self, place, column):
        return column - self.means[place]


@dataclass(frozen=True, kw_only=True)
class Centre(Step):
    name = "centre"

    def fitting(self, schema):
        names = self.chosen(schema)
        found = yield [Moments(name) for name in names]
        return Centred(names, tuple(mean.mean for mean in found))


@dataclass(frozen=True)
class Split(FittedStep):
    column: str

    @property
    def inputs(self):
        return (self.column,)

    @property
    def made(self):
        return (Field(f"{self.column}_a", Kind.NUMBER),)

    @property
    def removed(self):
        return (self.column,)

    def transform(self, batch):
        return batch.replaced(self.removed, {f"{self.column}_a": np.array([1.0, 0.0, 1.0])})


def test_a_png_renders_whatever_the_names_are():
    from PIL import Image

    table = pd.DataFrame({HOSTILE: [1.0, 2.0, 5.0], "y": [2.0, 1.0, 0.0], "g": ["平", "$$", None]})
    figure = plot.scatter(table, HOSTILE, "y", by="g")
    with Image.open(io.BytesIO(plot.png(figure))) as image:
        assert image.size == (704, 528)
        assert "\N{GRINNING FACE}" in image.text["Description"]


def test_an_svg_is_well_formed_and_has_a_description():
    table = pd.DataFrame({HOSTILE: [1.0, 2.0, 5.0]})
    root = ElementTree.fromstring(plot.svg(plot.hist(table, HOSTILE)))
    assert root.get("role") == "img"
    assert root.get("aria-label").startswith(f"Histogram of {HOSTILE.strip()[:4]}")
    assert "median 2" in root.get("aria-label")


def test_two_svgs_stand_in_one_page():
    table = pd.DataFrame({"x": [1.0, 2.0, 5.0], "y": [1.0, 2.0, 3.0]})
    first, second = (ElementTree.fromstring(plot.svg(plot.hist(table, name))) for name in "xy")
    ids = [node.get("id") for root in (first, second) for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    for root in (first, second):
        own = {node.get("id") for node in root.iter()}
        for node in root.iter():
            target = node.get("{http://www.w3.org/1999/xlink}href", "")
            assert not target.startswith("#") or target[1:] in own


def test_an_image_element_has_its_text_escaped():
    figure = plot.hist(pd.DataFrame({"x": [1.0, 2.0]}), "x")
    element = ElementTree.fromstring(plot.image(figure, alt='a "b" <c>').replace('">', '"/>'))
    assert element.get("alt") == 'a "b" <c>'
    assert element.get("src").startswith("data:image/png;base64,")


def test_a_notebook_shows_the_figure_by_itself():
    figure = plot.hist(pd.DataFrame({"x": [1.0, 2.0]}), "x")
    assert figure._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")


def test_characters_that_no_font_has_are_written_out(monkeypatch):
    monkeypatch.setattr(style, "_wide_fonts", lambda: ())
    assert style.shown_text("a\U0001f9f6é") == r"a\U0001f9f6é"
    assert style.shown_text("long " * 20) == style.shown_text("long " * 20)[:32]
    assert style.shown_text("$5\nand $6") == r"\$5 and \$6"


def test_before_and_after_a_step_show_both_columns():
    table = pd.DataFrame({"x": [1.0, 2.0, 6.0, np.nan], "y": [0, 1, 2, 3]})
    figure = plot.before_after(Centre(columns=("x",)), table, "x")
    left, right = figure.axes
    assert left.patches[0].get_x() == 1
    assert right.patches[0].get_x() == -2
    assert sum(bar.get_height() for bar in right.patches) == 3
    assert "4 rows, 1 missing" in left.get_title()
    assert figure.get_suptitle() == "x before and after centre"


def test_before_and_after_take_recipes_and_what_is_fitted():
    table = pd.DataFrame({"x": [1.0, 2.0, 6.0]})
    (step,) = fit_steps([Centre()], scan_of(table))
    recipe = Recipe([{"scale": {"columns": ["x"], "method": "min_max"}}], name="mine")
    assert plot.before_after(step, table, "x").axes[1].patches[0].get_x() == -2
    for given in (recipe, recipe.fit(table)):
        figure = plot.before_after(given, table, "x")
        assert figure.axes[1].patches[0].get_x() == 0
        assert figure.get_suptitle() == "x before and after mine"


def test_one_hot_columns_are_drawn_by_how_many_rows_each_has():
    table = pd.DataFrame({"x": ["a", "b", "a", None]})
    right = plot.before_after(Recipe([{"one_hot": {}}]), table, "x").axes[1]
    bars = {
        label.get_text(): bar.get_width() for label, bar in zip(right.get_yticklabels(), right.patches, strict=True)
    }
    assert bars == {"x_a": 2, "x_b": 1}


def test_a_step_that_drops_rows_shows_fewer():
    table = pd.DataFrame({"x": [1.0, None, 3.0]})
    left, right = plot.before_after(Recipe([{"drop_missing": {}}]), table, "x").axes
    assert left.get_title() == "before: 3 rows, 1 missing"
    assert right.get_title() == "after: 2 rows"


def test_columns_that_came_instead_are_drawn():
    table = pd.DataFrame({"x": ["a", "b", "a"]})
    left, right = plot.before_after(Split("x"), table, "x").axes
    assert [bar.get_width() for bar in left.patches] == [2, 1]
    assert right.get_title() == "after: column x_a"


@pytest.mark.parametrize("step", [None, 3, object()])
def test_what_is_not_a_step_is_refused(step):
    with pytest.raises(DataError, match="give a step or a recipe"):
        plot.before_after(step, pd.DataFrame({"x": [1.0]}), "x")
    with pytest.raises(DataError, match="no column 'y'"):
        plot.before_after(Centre(), pd.DataFrame({"x": [1.0]}), "y")
