"""AWS's patterns: written for Java, matched on the whole value, with a limit of time.

Java's \\d, \\w and \\s match ASCII only, its dot stops at more line ends than Python's, and it writes characters beyond
U+FFFF as pairs of \\u escapes.
"""

from __future__ import annotations

from functools import lru_cache

import regex

# Some values make some patterns backtrack for ever.
TIMEOUT_S = 1.0

_JAVA_DOT = r"[^\n\r\x85\u2028\u2029]"


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> regex.Pattern[str]:
    """The pattern, ready for `fullmatch`. Raises regex.error for a malformed one."""
    # With the ASCII flag \p{L} too would match ASCII only; \p{Alnum} is a POSIX class and means ASCII in Java as well.
    flags = regex.UNICODE if r"\p{" in pattern.replace(r"\p{Alnum}", "") else regex.ASCII
    return regex.compile(_translated(pattern), flags | regex.VERSION0)


def matches(pattern: str, value: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the whole value matches. Raises TimeoutError where that is not decided in time."""
    return compiled(pattern).fullmatch(value, timeout=timeout_s) is not None


def _translated(pattern: str) -> str:
    out: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        if pattern.startswith("\\u", at):
            code, at = _code_point(pattern, at)
            out.append(f"\\U{code:08x}")
            continue
        step = 2 if pattern[at] == "\\" else 1
        piece = pattern[at : at + step]
        if piece == "[":
            in_class = True
        elif piece == "]":
            in_class = False
        out.append(_JAVA_DOT if piece == "." and not in_class else piece)
        at += step
    return "".join(out)


def _code_point(pattern: str, at: int) -> tuple[int, int]:
    """The character that a \\uXXXX, or a surrogate pair of them, stands for, and where the next piece starts."""
    high, at = int(pattern[at + 2 : at + 6], 16), at + 6
    if 0xD800 <= high < 0xDC00 and pattern.startswith("\\u", at):
        low = int(pattern[at + 2 : at + 6], 16)
        return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), at + 6
    return high, at
