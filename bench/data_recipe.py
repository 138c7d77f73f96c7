"""A recipe of 73 columns, fitted and applied, against Polars and scikit-learn; and one row at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.data import tables
from bench.data.recipe import PLAN
from bench.data.run import run
from bench.data_profile import at_most, memory
from bench.figures import Figure

ABOUT = "a recipe: fit and transform to 73 columns, and one row at a time"

MEMORY_MIB = 400


def measure(quick: bool) -> Iterator[Figure]:
    rows, times = (1_000_000, 1) if quick else (10_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as made:
        folder = Path(made)
        yield from _large(folder, rows, times)
        yield from _against_scikit_learn(folder, 1_000_000, times)
        yield from _one_row(1 if quick else 5)


def _large(folder: Path, rows: int, times: int) -> Iterator[Figure]:
    plan = json.dumps(PLAN)
    table = tables.write(folder, rows)
    for output, own_file, peer_file in (
        ("", "", ""),
        (", written as Feather", folder / "own.arrow", folder / "peer.arrow"),
    ):
        own, polars = [], []
        for _ in range(times):
            own.append(run("clary_recipe", table, own_file, plan))
            polars.append(run("polars_recipe", table, peer_file, plan, environment="peers"))
        yield at_most(f"CPU, {rows:,} rows of Parquet{output}", own, "Polars by hand", polars, 1 / 2)
        yield memory(own, f"peak memory, {rows:,} rows of Parquet{output}", "Polars by hand", polars, MEMORY_MIB)
    text = tables.write(folder, rows, as_csv=True)
    from_text = run("clary_recipe", text, "", plan)
    yield Figure(f"CPU, {rows:,} rows of CSV ({text.stat().st_size / 1e9:.1f} GB)", "s", [from_text.cpu_s])
    yield Figure("peak memory, CSV", "MiB", [from_text.peak_mib], below=MEMORY_MIB)
    for path in (table, text, folder / "own.arrow", folder / "peer.arrow"):
        path.unlink()


def _against_scikit_learn(folder: Path, rows: int, times: int) -> Iterator[Figure]:
    plan = json.dumps(PLAN)
    table = tables.write(folder, rows)
    own, peer = [], []
    for _ in range(times):
        own.append(run("clary_recipe", table, "", plan))
        peer.append(run("sklearn_recipe", table, "", plan, environment="peers"))
    yield at_most(f"CPU, {rows:,} rows of Parquet", own, "scikit-learn on pandas", peer, 1 / 5)
    own_file, peer_file = folder / "own.arrow", folder / "peer.arrow"
    run("clary_recipe", table, own_file, plan)
    run("sklearn_recipe", table, peer_file, plan, environment="peers")
    difference = json.loads(run("same_cells", own_file, peer_file).last_line)["difference"]
    yield Figure("greatest difference of a cell to scikit-learn's", "", [difference], below=1e-9)


def _one_row(times: int) -> Iterator[Figure]:
    own, peer = [], []
    for _ in range(times):
        own.append(float(run("clary_row").last_line))
        peer.append(float(run("sklearn_row").last_line))
    yield Figure("one row, 5 numbers and 5 categories", "us", own, "scikit-learn, DataFrame of one row", peer, below=10)
