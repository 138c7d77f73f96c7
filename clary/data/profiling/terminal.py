"""A profile as a page of text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from clary.data.profiling.formatting import gist, number, share, shown
from clary.data.profiling.summaries import Severity, Target

if TYPE_CHECKING:
    from rich.console import Console

    from clary.data.profiling.profile_data import ProfileData

_WIDTH = 120
_MOST = 60  # columns listed; of a wider table the report tells more
_MOST_FINDINGS = 40
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def summary(profile: ProfileData, width: int = _WIDTH) -> str:
    """Without colours."""
    from rich.console import Console

    text = io.StringIO()
    print_summary(profile, Console(file=text, width=width, color_system=None, force_terminal=False, highlight=False))
    return text.getvalue().rstrip()


def print_summary(profile: ProfileData, console: Console) -> None:
    from rich.text import Text

    rows, width = profile.shape
    about = "" if profile.duplicates_exact else "about "
    cells = share(profile.missing_cells, rows * width)
    console.print(Text(f"{rows:,} rows × {width:,} columns", style="bold"))
    text = f"{cells} of the cells missing · {about}{profile.duplicates:,} duplicate rows"
    console.print(Text(f"{text} · index: {shown(profile.index, 200)}"))
    console.print()
    if width:
        console.print(_columns(profile))
    if width > _MOST:
        console.print(Text(f"… and {width - _MOST:,} columns more"))
    if profile.target is not None:
        console.print()
        _print_target(profile.target, console)
    if profile.findings:
        console.print()
        console.print(_findings(profile))
    if len(profile.findings) > _MOST_FINDINGS:
        console.print(Text(f"… and {len(profile.findings) - _MOST_FINDINGS:,} findings more"))
    for line in (*(note.message for note in profile.notes[:10]), *profile.told):
        console.print(Text(shown(line, 500), style="dim"))


def _table(*headers: str, **options: Any) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, **options)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _columns(profile: ProfileData) -> Any:
    from rich.text import Text

    table = _table("column", "type", "missing", "distinct", "values")
    table.columns[2].justify = table.columns[3].justify = "right"
    for column in profile.columns[:_MOST]:
        distinct = f"{column.distinct:,}" if column.distinct_exact else f"≈{column.distinct:,}"
        cells = (shown(column.name), shown(column.type, 24), share(column.missing, column.rows), distinct, gist(column))
        table.add_row(*map(Text, cells))
    return table


def _findings(profile: ProfileData) -> Any:
    from rich.text import Text

    table = _table("", "column", "finding", "step")
    for finding in profile.findings[:_MOST_FINDINGS]:
        step = ", ".join(finding.step or ()) or "–"
        mark = Text(finding.severity.value, style=_STYLES[finding.severity])
        table.add_row(mark, Text(shown(finding.column)), Text(shown(finding.text, 400)), Text(step))
    return table


def _print_target(target: Target, console: Console) -> None:
    from rich.text import Text

    text = f"target {shown(target.column)}: {target.task}, quick model's {target.metric} {number(target.score)} "
    text += f"(always the same answer: {number(target.baseline)}), on a sample of {target.rows:,} rows"
    console.print(Text(text, style="bold"))
    if target.importances:
        best = ", ".join(
            f"{shown(importance.column)} {number(importance.drop)}" for importance in target.importances[:8]
        )
        console.print(Text(f"what it would lose without: {best}"))
    for line in target.told:
        console.print(Text(shown(line, 400), style="dim"))
