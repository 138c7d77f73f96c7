"""A figure: what was measured, how often, beside which peer, and whether it meets its aim."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """Medians are reported; samples and peer's samples are of the same run, taken in turns where that is possible.

    peer   what is measured without Clary, as text; "" where there is nothing to compare with
    below  what we aim at; with `over` it is about the difference to the peer, not about the figure itself
    part   of the figure before it
    """

    name: str
    unit: str
    samples: Sequence[float]
    peer: str = ""
    peer_samples: Sequence[float] = ()
    below: float | None = None
    over: bool = False
    part: bool = False

    @property
    def value(self) -> float:
        return statistics.median(self.samples)

    @property
    def peer_value(self) -> float | None:
        return statistics.median(self.peer_samples) if self.peer_samples else None

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def aimed(self) -> float:
        """What the aim is about."""
        return self.value - (self.peer_value or 0.0) if self.over else self.value

    @property
    def met(self) -> bool | None:
        return None if self.below is None else self.aimed < self.below

    @property
    def aim(self) -> str:
        if self.below is None:
            return ""
        return f"< {shown(self.below)} {self.unit}" + (f" over: {shown(self.aimed)}" if self.over else "")

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": self.name,
            "unit": self.unit,
            "median": self.value,
            "low": min(self.samples),
            "high": max(self.samples),
            "times": len(self.samples),
            "peer": self.peer,
            "peer_median": self.peer_value,
            "ratio": self.ratio,
            "aim": self.aim,
            "met": self.met,
        }


def percentile(samples: Iterable[float], share: float) -> float:
    """The sample that `share` of them do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def shown(value: float) -> str:
    """Three digits that mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if abs(value) >= 0.001 else f"{value:.1e}"


def show(console: Console, name: str, about: str, figures: Sequence[Figure]) -> None:
    """One measurement as a table."""
    table = Table(title=f"[bold]{name}[/]: {about}", title_justify="left", title_style="", expand=False)
    table.add_column("")
    for heading in ("Clary", "range", "peer", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("the peer is")
    table.add_column("aim", no_wrap=True)
    for figure in figures:
        table.add_row(*_row(figure))
    console.print(table)
    console.print()


def _row(figure: Figure) -> list[str]:
    low, high = min(figure.samples), max(figure.samples)
    verdict = {None: "", True: "[green]met[/]", False: "[red]not met[/]"}[figure.met]
    return [
        f"[dim]  {figure.name}[/]" if figure.part else figure.name,
        f"{shown(figure.value)} {figure.unit}",
        f"{shown(low)}-{shown(high)}" if len(figure.samples) > 1 else "",
        f"{shown(figure.peer_value)} {figure.unit}" if figure.peer_value is not None else "",
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        figure.peer,
        f"{figure.aim} {verdict}" if figure.aim else "",
    ]


def compare(console: Console, before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> None:
    """The medians of two runs, side by side. A figure that stands in a run several times is matched in its order."""
    table = Table(title="[bold]beside the run before[/]", title_justify="left", title_style="", expand=False)
    for heading, justify in (("", "left"), ("before", "right"), ("now", "right"), ("ratio", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    earlier = dict(_numbered(before))
    for key, figure in _numbered(now):
        if (old := earlier.get(key)) is None:
            continue
        ratio = f"{figure['median'] / old['median']:.2f}" if old["median"] else ""
        unit = figure["unit"]
        name = f"{figure['measurement']}: {figure['what']}"
        table.add_row(name, f"{shown(old['median'])} {unit}", f"{shown(figure['median'])} {unit}", ratio)
    console.print(table)
    console.print()


def _numbered(figures: Sequence[dict[str, Any]]) -> Iterable[tuple[tuple[str, str, int], dict[str, Any]]]:
    seen: Counter[tuple[str, str]] = Counter()
    for figure in figures:
        name = (figure["measurement"], figure["what"])
        yield (*name, seen[name]), figure
        seen[name] += 1
