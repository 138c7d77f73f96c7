"""Some of these run programs."""

import pytest


@pytest.fixture
def no_processes():
    """They may."""
