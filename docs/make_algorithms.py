"""Writes the tables of hyperparameters and metrics in docs/algorithms/<name>.md, from the algorithms' manifests.

python docs/make_algorithms.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from clary.algorithms.domains import Domain, MetricList, ObjectiveMetric
from clary.algorithms.manifest import Algorithm, Hyperparameter
from clary.algorithms.registry import ALGORITHMS

FOLDER = Path(__file__).with_name("algorithms")
# What stands between two of these is written here.
BEGIN, END = "<!-- {table}: written by `python docs/make_algorithms.py` -->", "<!-- end -->"


def pages() -> dict[Path, str]:
    """Every page, with its tables as the manifest has them."""
    return {file: page(ALGORITHMS[file.stem], file.read_text()) for file in sorted(FOLDER.glob("*.md"))}


def page(algorithm: Algorithm, text: str) -> str:
    tables = {"hyperparameters": hyperparameters(algorithm), "metrics": metrics(algorithm)}
    for name, lines in tables.items():
        begin = BEGIN.format(table=name)
        between = re.compile(f"{re.escape(begin)}.*?{re.escape(END)}", re.DOTALL)
        text = between.sub(lambda _, begin=begin, lines=lines: "\n".join([begin, *lines, END]), text)
    return text


def hyperparameters(algorithm: Algorithm) -> Iterator[str]:
    yield "| name | allowed | default | tuning | description |"
    yield "|---|---|---|---|---|"
    for item in algorithm.hyperparameters:
        if not item.without_effect:
            cells = (_name(item), _allowed(item.domain), _default(item), _tuning(item), item.description)
            yield f"| {' | '.join(cells)} |"
    if idle := [f"`{item.name}`" for item in algorithm.hyperparameters if item.without_effect]:
        yield ""
        yield f"Accepted and without effect, which the log says: {', '.join(idle)}."


def metrics(algorithm: Algorithm) -> Iterator[str]:
    for direction in ("Maximize", "Minimize"):
        names = (metric.name.partition(":")[2] for metric in algorithm.metrics if metric.direction == direction)
        yield f"- {direction}: {', '.join(f'`{name}`' for name in dict.fromkeys(names))}"


def _name(item: Hyperparameter) -> str:
    return f"`{item.name}`" + "".join(f" (`{alias}`)" for alias in item.aliases)


def _allowed(domain: Domain) -> str:
    if isinstance(domain, MetricList):
        return "a list, separated by commas, of metrics (below)"
    if isinstance(domain, ObjectiveMetric):
        return " or ".join(f"`{channel}:<metric>`" for channel in domain.channels)
    text = str(domain)
    for value in sorted(getattr(domain, "values", ()), key=len, reverse=True):
        text = re.sub(rf"(?<![\w:`]){re.escape(value)}(?![\w:`])", f"`{value}`", text)
    return text


def _default(item: Hyperparameter) -> str:
    return "required" if item.required else f"`{item.default}`" if item.default else "–"


def _tuning(item: Hyperparameter) -> str:
    if item.recommended is None:
        return "yes" if item.tunable else ""
    recommended = item.recommended
    return f"{recommended.low:g} to {recommended.high:g}, {recommended.scaling_type.lower()}"


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text)
