"""The recipe of bench/data/recipe.py in Polars, as one would write it by hand: fit, then transform, both streaming.

The features are written to a Feather file, or, where none is named, let go batch by batch.

Statistics that need others first (the quartiles of a logarithm of an imputed column) are collected one after the other.
"""

import json
import sys

import polars as pl

source, target, recipe = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
frame = pl.scan_parquet(source).select(recipe["columns"])


def collected(frame: pl.LazyFrame, **wanted: pl.Expr) -> dict:
    return frame.select(**wanted).collect(engine="streaming").row(0, named=True)


medians = collected(frame, **{name: pl.col(name).median() for name in recipe["impute"]})
modes = {}
for name in recipe["most_frequent"]:
    found = frame.group_by(name).len().drop_nulls().sort(["len", name], descending=[True, False]).head(1)
    modes[name] = found.collect(engine="streaming")[name][0]
frame = frame.with_columns(
    *(pl.col(name).fill_null(value) for name, value in medians.items()),
    *(pl.col(name).fill_null(value) for name, value in modes.items()),
)
frame = frame.with_columns(*(pl.col(name).log1p() for name in recipe["log1p"]))
quartiles = collected(
    frame,
    **{
        f"{name} {q}": pl.col(name).quantile(q, interpolation="linear")
        for name in recipe["robust"]
        for q in (0.25, 0.5, 0.75)
    },
    **{
        f"{name} {number}": pl.col(name).quantile(number / recipe["bins"], interpolation="linear")
        for name in recipe["bin"]
        for number in range(1, recipe["bins"])
    },
)
frame = frame.with_columns(
    (pl.col(name) - quartiles[f"{name} 0.5"]) / (quartiles[f"{name} 0.75"] - quartiles[f"{name} 0.25"])
    for name in recipe["robust"]
)
ends = collected(
    frame,
    **{f"{name} low": pl.col(name).min() for name in recipe["min_max"]},
    **{f"{name} high": pl.col(name).max() for name in recipe["min_max"]},
)
levels = {
    name: sorted(frame.select(pl.col(name).unique()).collect(engine="streaming")[name].drop_nulls().to_list())
    for name in recipe["one_hot"] + recipe["ordinal"]
}
made = [
    *(pl.col(name) for name in recipe["robust"] + recipe["keep"]),
    *(
        (pl.col(name) - ends[f"{name} low"]) / (ends[f"{name} high"] - ends[f"{name} low"])
        for name in recipe["min_max"]
    ),
    *(
        pl.col(name)
        .cut([quartiles[f"{name} {number}"] for number in range(1, recipe["bins"])], left_closed=True)
        .to_physical()
        .cast(pl.Float64)
        for name in recipe["bin"]
    ),
    *(
        (pl.col(name) == level).cast(pl.UInt8).alias(f"{name}_{level}")
        for name in recipe["one_hot"]
        for level in levels[name]
    ),
    *(
        pl.col(name).replace_strict(
            {level: float(code) for code, level in enumerate(levels[name])}, return_dtype=pl.Float64
        )
        for name in recipe["ordinal"]
    ),
]
made_frame = frame.select(made)
if target:
    made_frame.sink_ipc(target, compression="lz4", engine="streaming")
else:
    rows = sum(batch.height for batch in made_frame.collect_batches(engine="streaming"))
print(json.dumps({"columns": len(made)}))
