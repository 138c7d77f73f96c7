"""skrub's TableReport of a Parquet file."""

import sys

import pandas as pd
from skrub import TableReport

frame = pd.read_parquet(sys.argv[1])
TableReport(frame, plot_distributions=True, compute_associations=True, verbose=0).write_html(sys.argv[2])
print("{}")
