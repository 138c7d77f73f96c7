"""docs/data/guide.md and docs/data/reading.md are true: their programs run, their recipes are recipes, their links lead on.

A page's programs run in order, in one Python, in an empty folder.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clary.data import Recipe
from clary.data.recipe.steps import every
from clary.data.sources.formats import FORMATS

DOCS = Path(__file__).parents[3] / "docs" / "data"
PAGES = ("guide.md", "reading.md")


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _page(page), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_programs_run(page, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("\n".join(_blocks(page, "python")), encoding="utf-8")
    folder = tmp_path / "empty"
    folder.mkdir()
    words = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


YAML = [(page, place, text) for page in PAGES for place, text in enumerate(_blocks(page, "yaml"))]


@pytest.mark.parametrize(("page", "place", "text"), YAML, ids=[f"{page} {place}" for page, place, _ in YAML])
def test_a_recipe_that_is_shown_is_one(page, place, text):
    assert Recipe.parse(text).steps


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_to_sections(page):
    for link in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", _page(page)):
        target = DOCS / (link[0] or page)
        assert target.is_file(), link[0]
        if link[1]:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert link[1][1:] in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_every_format_is_told_of_with_its_endings_and_its_options():
    for one in FORMATS:
        row = re.search(rf"^\| `{one.name}` \| (.*?) \| (.*?) \| .*\|$", _page("reading.md"), re.MULTILINE)
        assert row is not None, one.name
        assert row[1].split() == list(one.endings), one.name
        assert set(re.findall(r"`(\w+)`", row[2])) == one.options, one.name


def test_every_step_that_the_guide_names_in_a_link_is_there():
    named = set(re.findall(r"steps\.md#(\w+)", _page("guide.md")))
    assert named
    assert named <= set(every())
