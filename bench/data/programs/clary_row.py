"""Microseconds of CPU for one row through a fitted recipe."""

import time

import numpy as np
from rows import CATEGORIES, NUMBERS, table

from clary.data import Recipe

frame = table()
fitted = Recipe(
    [
        {"impute": {"columns": NUMBERS, "strategy": "median"}},
        {"scale": {"columns": NUMBERS, "method": "standard"}},
        {"impute": {"columns": CATEGORIES, "strategy": "most_frequent"}},
        {"one_hot": {"columns": CATEGORIES, "unknown": "ignore"}},
    ]
).fit(frame)
rows = frame.head(1_000).astype(object).where(frame.head(1_000).notna(), None).to_dict("records")
row = fitted.row_function()
whole = fitted.transform(frame.head(1_000)).to_numpy(dtype=np.float64)
assert np.array_equal(whole, np.array([row(values) for values in rows], dtype=np.float64)), "not the same numbers"
began = time.process_time()
for _ in range(100):
    for values in rows:
        row(values)
print((time.process_time() - began) / (100 * len(rows)) * 1e6)
