"""What holds for all tests."""

import os
from collections.abc import Set

import pytest
from hypothesis import settings

# Contract suites are part of the package, and imported by many: their assertions explain themselves too.
pytest.register_assert_rewrite(
    "clary.testing.backend", "clary.testing.metrics", "clary.testing.objects", "clary.testing.store"
)

# How long an example takes depends on the machine, not only on the code.
# Where a change is judged the same examples are tried each time: what new ones find is no fault of the change. By hand
# each run tries others.
settings.register_profile("clary", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("clary")


def pytest_make_parametrize_id(config, val, argname):
    """Bytes that are no short text stand in no id: files hold the time they were made at, and workers that import a
    test at different times would collect different ones. pytest numbers cases of the same id."""
    if isinstance(val, bytes | bytearray) and not (len(val) <= 64 and val.isascii()):
        return argname
    return None


def pytest_generate_tests(metafunc):
    """Sets have no order: two workers would collect their members in different ones."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if len(mark.args) > 1 and isinstance(mark.args[1], Set):
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid} is parametrized by a set: sort it, so that every run has the same order"
            )
