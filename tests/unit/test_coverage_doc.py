"""docs/coverage.md agrees with the code, and its members without effect are members of the service models."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from clary.resources import OPERATIONS, UNBUILT
from clary.wire.shapes import SERVICES, Services

DOCS = Path(__file__).parents[2] / "docs"


def _load():
    spec = importlib.util.spec_from_file_location("make_coverage", DOCS / "make_coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_coverage = _load()
CASES = [(operation, member) for operation, members in make_coverage.WITHOUT_EFFECT.items() for member in members]


def test_the_page_is_up_to_date():
    assert (DOCS / "coverage.md").read_text() == make_coverage.page(), "run python docs/make_coverage.py"


def test_every_service_has_a_title():
    assert set(make_coverage.TITLES) == set(SERVICES)


@pytest.mark.parametrize(("operation", "member"), CASES, ids=[" ".join(case) for case in CASES])
def test_what_is_without_effect_is_a_member_that_is_not_refused(operation, member):
    (service,) = (Services().named(service) for service, name in OPERATIONS if name == operation)
    shape = service.shapes[service.operations[operation].input]
    for step in member.split("."):
        shape = service.shapes[shape["members"][step.removesuffix("[]")]["shape"]]
        if step.endswith("[]"):
            shape = service.shapes[shape["member"]["shape"]]
    assert member not in UNBUILT.get(operation, {})


def test_only_operations_that_are_built_are_listed():
    built = {name for _, name in OPERATIONS}
    assert set(UNBUILT) | set(make_coverage.WITHOUT_EFFECT) <= built
