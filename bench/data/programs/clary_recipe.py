"""The recipe of bench/data/recipe.py by Clary: fit, then transform, both streaming.

The features are written to a Feather file, or, where none is named, let go batch by batch.
"""

import json
import sys

from clary.data import Recipe, scan

source, target, recipe = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
used = recipe["columns"]
steps = [
    {"impute": {"columns": recipe["impute"], "strategy": "median"}},
    {"impute": {"columns": recipe["most_frequent"], "strategy": "most_frequent"}},
    {"log1p": {"columns": recipe["log1p"]}},
    {"scale": {"columns": recipe["robust"], "method": "robust"}},
    {"scale": {"columns": recipe["min_max"], "method": "min_max"}},
    {"bin": {"columns": recipe["bin"], "n_bins": recipe["bins"], "strategy": "equal_frequency"}},
    {"one_hot": {"columns": recipe["one_hot"]}},
    {"ordinal": {"columns": recipe["ordinal"]}},
]
with scan(source, columns=used) as table:
    fitted = Recipe(steps).fit(table)
    if target:
        fitted.write(table, target, format="feather", training=True)
    else:
        rows = sum(batch.rows for batch in fitted.transform_batches(table, training=True))
print(json.dumps({"columns": len(fitted.names)}))
