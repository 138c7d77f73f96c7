"""What holds for all tests."""

import pytest
from hypothesis import settings

# Contract suites are part of the package, and imported by many: their assertions explain themselves too.
pytest.register_assert_rewrite("clary.testing.backend", "clary.testing.objects", "clary.testing.store")

# How long an example takes says something of the machine, not of the code.
settings.register_profile("clary", deadline=None)
settings.load_profile("clary")
