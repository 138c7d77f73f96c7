"""The figures of a profile by DuckDB: one query for all columns, more for outliers and for the most frequent values."""

import json
import sys

import duckdb

path, threads = sys.argv[1], sys.argv[2]
base = duckdb.connect(config={"threads": threads})
base.execute(f"create view t as select * from read_parquet('{path}')")
columns = base.execute("select column_name, column_type from (describe t)").fetchall()
numbers = [name for name, kind in columns if kind in ("DOUBLE", "BIGINT")]
texts = [name for name, kind in columns if kind == "VARCHAR"]
q = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]

wanted = ["count(*)"]
for name, kind in columns:
    wanted += [f"count({name})", f"approx_count_distinct({name})"]
    if kind != "BOOLEAN":
        wanted += [f"min({name})", f"max({name})"]
for name in numbers:
    wanted += [f"avg({name})", f"stddev_samp({name})", f"skewness({name})", f"kurtosis({name})"]
    wanted += [f"quantile_cont({name}, {q})", f"count_if({name} = 0)"]
for name in texts:
    wanted += [f"avg(length({name}))", f"min(length({name}))", f"max(length({name}))"]
for index, name in enumerate(numbers):
    wanted += [f"corr({name}, {other})" for other in numbers[:index]]
first = base.execute(f"select {', '.join(wanted)} from t").fetchone()

where = wanted.index
limits = []
for name in numbers:
    found = first[where(f"quantile_cont({name}, {q})")]
    spread = 1.5 * (found[4] - found[2])
    limits.append(f"count_if({name} < {found[2] - spread} or {name} > {found[4] + spread})")
base.execute(f"select {', '.join(limits)} from t").fetchone()
for name, kind in columns:
    if kind in ("VARCHAR", "BOOLEAN"):
        base.execute(f"select {name}, count(*) n from t group by 1 order by n desc limit 10").fetchall()
patterns = ", ".join(f"{name} is null" for name, _ in columns)
base.execute(f"select {patterns}, count(*) n from t group by all order by n desc limit 10").fetchall()
base.execute("select count(*) - approx_count_distinct(hash(t)) from t").fetchone()
print(json.dumps({"rows": first[0], "figures": len(first)}))
