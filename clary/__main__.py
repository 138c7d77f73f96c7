"""`python -m clary` is `clary`."""

from clary.cli import main

main()
