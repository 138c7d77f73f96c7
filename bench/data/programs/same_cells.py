"""The greatest difference of any cell between two Feather files with the same columns, in whatever order."""

import json
import sys

import numpy as np
from pyarrow import feather

clary, peer = (feather.read_table(path, memory_map=True) for path in sys.argv[1:3])
missing = set(peer.column_names) ^ set(clary.column_names)
if missing or clary.num_rows != peer.num_rows:
    raise SystemExit(f"not the same table: {clary.num_rows} and {peer.num_rows} rows, columns {sorted(missing)}")
worst = 0.0
for name in clary.column_names:
    values, peer_values = (table.column(name).to_numpy().astype(np.float64) for table in (clary, peer))
    if not np.array_equal(np.isnan(values), np.isnan(peer_values)):
        raise SystemExit(f"{name}: other cells are missing")
    worst = max(worst, float(np.nanmax(np.abs(values - peer_values), initial=0.0)))
print(json.dumps({"difference": worst, "columns": clary.num_columns}))
