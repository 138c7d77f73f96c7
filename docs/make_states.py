"""Writes docs/states.md: the statuses of each family of resources, and which leads to which, as diagrams.

python docs/make_states.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clary.core.decisions import ERASED, Family
from clary.resources import FAMILIES

PAGE = Path(__file__).with_name("states.md")


def page() -> str:
    """The whole page."""
    return "\n".join([*_head(), *(line for family in FAMILIES for line in _family(family))]) + "\n"


def _head() -> Iterator[str]:
    yield "# Statuses of resources"
    yield ""
    yield "<!-- Written by `python docs/make_states.py` from the code. -->"
    yield ""
    yield "The statuses are AWS's. A resource begins at the first dot; at the last dot it no longer exists."
    yield "A *terminal* status stays until a caller changes it."


def _family(family: Family) -> Iterator[str]:
    yield ""
    yield f"## {family.kind}"
    if not family.transitions:
        yield "No status: it exists, or it does not."
        return
    used = _reachable(family)
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {next(iter(family.transitions))}"
    for status in used:
        for target in family.transitions[status]:
            yield f"    {status} --> {'[*]' if target == ERASED else target}"
    yield "```"
    if terminal := [status for status in used if status in family.terminal]:
        yield f"Terminal: {', '.join(terminal)}."
    if unused := [status for status in family.status if status not in used]:
        yield f"AWS has {', '.join(unused)} too; Clary never gives {'them' if len(unused) > 1 else 'it'}."


def _reachable(family: Family) -> list[str]:
    """The statuses that a record can come into, in the order of `transitions`."""
    found, to_visit = set[str](), [next(iter(family.transitions))]
    while to_visit:
        status = to_visit.pop()
        if status not in found and status != ERASED:
            found.add(status)
            to_visit += family.transitions[status]
    return [status for status in family.transitions if status in found]


if __name__ == "__main__":
    PAGE.write_text(page())
