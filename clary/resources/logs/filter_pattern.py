"""Filter patterns of CloudWatch Logs, as far as they are terms: which events FilterLogEvents returns.

    ERROR disk        both terms stand in the event
    "no space left"   a phrase
    ?ERROR ?WARN      at least one of them
    -INFO             not this one
Reference: CloudWatch Logs User Guide, "Filter pattern syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clary.core.errors import InvalidParameterException

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"{}\[\]%]+))(?=\s|$)')


@dataclass(frozen=True, slots=True)
class FilterPattern:
    """Terms, case and all."""

    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    def matches(self, text: str) -> bool:
        return (
            all(term in text for term in self.all)
            and (not self.any or any(term in text for term in self.any))
            and not any(term in text for term in self.none)
        )


def parse(pattern: str) -> FilterPattern:
    """Raises InvalidParameterException for what is not built of terms."""
    found: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at, text = 0, pattern.strip()
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None:
            raise InvalidParameterException(
                f"filterPattern = {pattern[:256]!r} is not understood from character {at + 1} on. Clary knows terms "
                '(ERROR), phrases ("no space"), ?either ?or, -without; no JSON, space-delimited or %regex% patterns.'
            )
        found[term[1]].append(term[3] or re.sub(r"\\(.)", r"\1", term[2]))
        at = term.end()
    if found["?"] and found[""]:
        raise InvalidParameterException(
            f"filterPattern = {pattern[:256]!r} mixes ?terms with terms that must be there."
        )
    return FilterPattern(tuple(found[""]), tuple(found["?"]), tuple(found["-"]))
