"""The docs agree with the code about settings and commands."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from clary.cli import VERBS
from clary.core.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
FIELDS = dataclasses.fields(Settings)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_each_setting_is_documented_with_its_default(field):
    row = re.search(rf"^\| `{field.name}` \| `([^`]*)` \|", (DOCS / "settings.md").read_text(), re.MULTILINE)
    assert row is not None
    if field.name != "home":
        default = row[1].strip('"')
        assert default == (f"{field.default:g}" if isinstance(field.default, float) else str(field.default))


def test_no_setting_is_documented_that_does_not_exist():
    documented = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert documented == {field.name for field in FIELDS}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_in_the_readme(verb):
    assert f"clary {verb}" in (DOCS.parent / "README.md").read_text()
