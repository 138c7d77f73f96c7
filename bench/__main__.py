"""`python -m bench`: measure, show tables, keep the figures as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import figures, machine

# name -> the module; in the order in which they are measured.
MEASUREMENTS = {
    "start_training": "start_training",
    "train_xgboost": "train_xgboost",
    "endpoint": "endpoint",
    "gateway": "gateway",
    "records": "records",
    "idle": "idle",
    "cli": "commands",
    "s3": "s3",
    "data_profile": "data_profile",
    "data_recipe": "data_recipe",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What Clary costs, beside its peers.")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="fewer repeats, smaller data: about a minute and a half")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    parser.add_argument(
        "--before", type=Path, metavar="FILE", help="figures of another run, by --json, to compare with"
    )
    given = parser.parse_args()
    before = json.loads(given.before.read_text(encoding="utf-8"))["figures"] if given.before else []
    console = Console(width=None if Console().is_terminal else 160)
    about = machine.describe()
    console.print("  ".join(f"{name} [bold]{value}[/]" for name, value in about.items()), highlight=False)
    console.print()
    measurements: list[dict[str, Any]] = []
    broken: list[str] = []
    began = time.monotonic()
    for name in given.only or MEASUREMENTS:
        try:
            measurements += measured(console, name, given.quick)
        except Exception:
            console.print_exception()
            broken.append(name)
    seconds = round(time.monotonic() - began)
    if before:
        figures.compare(console, before, measurements)
    sum_up(console, measurements, broken, seconds)
    if given.json:
        whole = {"machine": about, "load_average_after": machine.load(), "quick": given.quick, "seconds": seconds}
        given.json.write_text(json.dumps({**whole, "figures": measurements}, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if broken else 0)


def measured(console: Console, name: str, quick: bool) -> list[dict[str, Any]]:
    """One measurement, shown; its figures."""
    module = importlib.import_module(f"bench.{MEASUREMENTS[name]}")
    began, load = time.monotonic(), machine.load()
    with console.status(f"{name}: {module.ABOUT}"):
        found = list(module.measure(quick))
    figures.show(console, name, module.ABOUT, found)
    about = {"measurement": name, "load_average": load, "seconds": round(time.monotonic() - began, 1)}
    return [{**about, **figure.to_dict()} for figure in found]


def sum_up(console: Console, measurements: list[dict[str, Any]], broken: list[str], seconds: int) -> None:
    """An aim that is not met is no error: a busy machine misses them."""
    aims = [figure for figure in measurements if figure["met"] is not None]
    missed = [f"{figure['measurement']}: {figure['what']}" for figure in aims if not figure["met"]]
    console.print(
        f"{len(aims) - len(missed)} of {len(aims)} aims met, in {seconds} s; load average now {machine.load()}"
    )
    for figure_name in missed:
        console.print(f"[red]not met[/]  {figure_name}")
    for name in broken:
        console.print(f"[red]broke off[/]  {name}")


if __name__ == "__main__":
    main()
