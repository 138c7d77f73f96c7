"""docs/states.md shows the statuses and transitions of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from clary.core.decisions import ERASED
from clary.resources import FAMILIES

DOCS = Path(__file__).parents[2] / "docs"


def _load():
    spec = importlib.util.spec_from_file_location("make_states", DOCS / "make_states.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_states = _load()
WITH_STATUS = [family for family in FAMILIES if family.transitions]


def test_the_page_is_up_to_date():
    assert (DOCS / "states.md").read_text() == make_states.page(), "run python docs/make_states.py"


@pytest.mark.parametrize("family", WITH_STATUS, ids=lambda family: family.kind)
def test_from_every_status_that_is_reached_a_record_can_come_to_its_end(family):
    reached = make_states._reachable(family)
    ends = {status for status in reached if ERASED in family.transitions[status]}
    for _ in reached:
        ends |= {status for status in reached if ends & set(family.transitions[status])}
    assert ends == set(reached)


@pytest.mark.parametrize("family", WITH_STATUS, ids=lambda family: family.kind)
def test_only_what_is_not_terminal_moves_by_itself(family):
    """Out of a terminal status lead Deleting and the end alone, and only a caller asks for them."""
    for status in family.terminal:
        assert set(family.transitions[status]) <= {"Deleting", ERASED}
