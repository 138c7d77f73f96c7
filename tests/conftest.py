"""What holds for all tests."""

import os

import pytest
from hypothesis import settings

# Contract suites are part of the package, and imported by many: their assertions explain themselves too.
pytest.register_assert_rewrite("clary.testing.backend", "clary.testing.objects", "clary.testing.store")

# How long an example takes says something of the machine, not of the code.
# Where a change is judged the same examples are tried each time: what new ones find is no fault of the change. By hand
# each run tries others.
settings.register_profile("clary", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("clary")
