"""A profile's figures and its report, against DuckDB, Polars, skrub and fg-data-profiling: CPU seconds, and memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.data import tables
from bench.data.run import Cost, run
from bench.figures import Figure

ABOUT = "a profile: all statistics, and the report"

MEMORY_MIB = 300


def measure(quick: bool) -> Iterator[Figure]:
    rows, times = (1_000_000, 1) if quick else (10_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as made:
        folder = Path(made)
        table = tables.write(folder, rows)
        own, duckdb, polars = [], [], []
        for _ in range(times):
            own.append(run("clary_profile", table))
            duckdb.append(run("duckdb_profile", table, "2", environment="peers"))
            polars.append(run("polars_profile", table, environment="peers"))
        name = f"all figures, {rows:,} rows of Parquet"
        yield at_most("CPU, " + name, own, "DuckDB, the same figures", duckdb, 1 / 4)
        yield at_most("CPU, " + name, own, "Polars streaming, no quantiles", polars, 2)
        yield memory(own, f"peak memory, {rows:,} rows", "DuckDB", duckdb, MEMORY_MIB)
        yield from _reports(folder, 100_000 if quick else 1_000_000, quick)


def _reports(folder: Path, rows: int, quick: bool) -> Iterator[Figure]:
    table = tables.write(folder, rows)
    own = [run("clary_report", table, folder / "own.html") for _ in range(1 if quick else 3)]
    skrub = [run("skrub_report", table, folder / "skrub.html", environment="peers")]
    name = f"HTML report, {rows:,} rows"
    yield wall(name, own, "skrub TableReport", skrub, 1 / 9)
    few = 20_000 if quick else rows
    table = tables.write(folder, few)
    own = [run("clary_report", table, folder / "own.html") for _ in range(1 if quick else 3)]
    theirs = [run("profiling_report", table, folder / "profiling.html", environment="profiling")]
    yield wall(f"HTML report, {few:,} rows", own, "fg-data-profiling", theirs, 1 / 40)


def at_most(name: str, own: list[Cost], peer: str, theirs: list[Cost], share: float) -> Figure:
    """CPU seconds; the aim is a share of the peer's median."""
    spent = sorted(cost.cpu_s for cost in theirs)
    aim = share * spent[len(spent) // 2]
    return Figure(name, "s", [cost.cpu_s for cost in own], peer, spent, below=aim)


def wall(name: str, own: list[Cost], peer: str, theirs: list[Cost], share: float) -> Figure:
    """Seconds from start to end; the aim is a share of the peer's."""
    taken = sorted(cost.wall_s for cost in theirs)
    aim = share * taken[len(taken) // 2]
    return Figure(name, "s", [cost.wall_s for cost in own], peer, taken, below=aim)


def memory(own: list[Cost], name: str, peer: str, theirs: list[Cost], below: float) -> Figure:
    """Peak resident memory."""
    spent = [cost.peak_mib for cost in theirs]
    return Figure(name, "MiB", [cost.peak_mib for cost in own], peer, spent, below=below)
