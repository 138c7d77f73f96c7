"""Clary's report of a Parquet file as HTML."""

import sys

from clary.data import profile, scan

with scan(sys.argv[1]) as table:
    profile(table).save_html(sys.argv[2])
print("{}")
