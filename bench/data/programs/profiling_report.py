"""fg-data-profiling's (once ydata-profiling's) report of a Parquet file."""

import sys

import pandas as pd
from data_profiling import ProfileReport

ProfileReport(pd.read_parquet(sys.argv[1]), progress_bar=False).to_file(sys.argv[2])
print("{}")
