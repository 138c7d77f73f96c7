"""docs/data/guide.md and docs/data/reading.md are true: programs run, recipes are recipes, links lead on.

A page's programs run in order, in one Python, in an empty folder.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clary.data import Recipe
from clary.data.profiling import findings
from clary.data.recipe.steps import all_steps
from clary.data.sources.cells import MISSING
from clary.data.sources.formats import FORMATS

DOCS = Path(__file__).parents[2] / "docs" / "data"
PAGES = ("guide.md", "reading.md")


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def _run(words: list[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def _run_python(blocks: list[str], folder: Path) -> None:
    _run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], folder)


@pytest.mark.parametrize("name", PAGES)
def test_the_programs_run_and_the_commands_do_what_the_page_shows(name, tmp_path):
    _run_python(_blocks(_page(name), "python"), tmp_path)
    for command in "\n".join(_blocks(_page(name), "sh")).splitlines():
        if command.startswith("clary profile"):
            _run([sys.executable, "-m", *command.split()], tmp_path)
            assert (tmp_path / "customers.html").stat().st_size > 10_000
        if command.startswith("clary process"):
            _run([sys.executable, "-m", *command.split(), "--here"], tmp_path)
            made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
            shares = {f"features/{share}/part.csv" for share in ("train", "test")}
            assert made == {*shares, "recipe.clary", "model.tar.gz", "told.json"}


def test_the_program_of_the_readme_runs(tmp_path):
    (program,) = _blocks((DOCS.parents[1] / "README.md").read_text(encoding="utf-8"), "py")
    _run_python([program], tmp_path)
    assert (tmp_path / "features.csv").read_text().startswith("0,")


YAML = [(page, place, text) for page in PAGES for place, text in enumerate(_blocks(_page(page), "yaml"))]


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


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_every_format_is_documented_with_its_endings_and_its_options(format_):
    (row,) = (line for line in _page("reading.md").splitlines() if line.startswith(f"| `{format_.name}` |"))
    _, _, endings, options, _, _ = row.split("|")
    assert endings.split() == list(format_.endings)
    assert set(re.findall(r"`(\w+)`", options)) == format_.options


def test_every_marker_of_missing_values_is_listed():
    listed = _page("reading.md").partition("Missing are, ")[2].partition("A note for each")[0]
    assert set(re.findall(r"`(\S+)`", listed)) - {"missing"} == set(MISSING) - {""}


def test_every_finding_is_documented_with_the_step_that_it_proposes():
    source = inspect.getsource(findings)
    made = set(re.findall(r'Finding\(\s*[\w.]+, "(\w+)"', source))
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| .* \| (.*?) ?\|$", _page("guide.md"), re.MULTILINE)
    documented = {
        code: re.findall(r"`(\w+)`", steps) for codes, steps in rows for code in re.findall(r"`(\w+)`", codes)
    }
    assert made <= set(documented)
    assert all(set(documented[code]) <= set(all_steps()) for code in made)


def test_every_step_that_the_guide_names_in_a_link_is_there():
    named = set(re.findall(r"steps\.md#(\w+)", _page("guide.md")))
    assert named
    assert named <= set(all_steps())
