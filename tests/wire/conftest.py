"""What holds for tests of the wire."""

from tests.no_processes import no_processes  # noqa: F401 - a fixture of every test here
