"""The table whose rows are transformed one at a time: 5 numbers and 5 categories, some missing."""

import numpy as np
import pandas as pd

NUMBERS = [f"number {index}" for index in range(5)]
CATEGORIES = [f"category {index}" for index in range(5)]


def table(rows: int = 5_000) -> pd.DataFrame:
    draw = np.random.default_rng(3)
    columns: dict[str, object] = {}
    for name in NUMBERS:
        values = draw.normal(50, 20, rows)
        values[draw.random(rows) < 0.1] = np.nan
        columns[name] = values
    for index, name in enumerate(CATEGORIES):
        values = draw.choice([f"level {number}" for number in range(5 + 3 * index)], rows).astype(object)
        values[draw.random(rows) < 0.1] = np.nan
        columns[name] = values
    return pd.DataFrame(columns)
