"""The greatest difference of any cell between two Feather files with the same columns, in whatever order."""

import json
import sys

import numpy as np
from pyarrow import feather

mine, theirs = (feather.read_table(path, memory_map=True) for path in sys.argv[1:3])
missing = set(theirs.column_names) ^ set(mine.column_names)
if missing or mine.num_rows != theirs.num_rows:
    raise SystemExit(f"not the same table: {mine.num_rows} and {theirs.num_rows} rows, columns {sorted(missing)}")
worst = 0.0
for name in mine.column_names:
    one, other = (table.column(name).to_numpy().astype(np.float64) for table in (mine, theirs))
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        raise SystemExit(f"{name}: other cells are missing")
    worst = max(worst, float(np.nanmax(np.abs(one - other), initial=0.0)))
print(json.dumps({"difference": worst, "columns": mine.num_columns}))
