"""A check of generated code before it runs: fitted steps may come from a file of unknown origin.

Steps bind what they know as constants. Should one ever write a field of its own into its code, the code still cannot
reach anything: it has no names but those that RowCode gives, a few functions of plain values, and fewer methods.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from clary.data.errors import DataError

_NAMES = re.compile(r"[vk][0-9]+")
_FUNCTIONS = frozenset(
    {"abs", "bool", "dict", "float", "int", "isinstance", "len", "max", "min", "round", "str", "tuple"}
)
_ATTRIBUTES = frozenset({"append", "as_py", "get", "item"})
_STATEMENTS = (
    ast.Assign,
    ast.AugAssign,
    ast.Expr,
    ast.If,
    ast.For,
    ast.Break,
    ast.Continue,
    ast.Pass,
    ast.Try,
    ast.ExceptHandler,
    ast.Module,
)
_ERRORS = frozenset({"ArithmeticError", "LookupError", "KeyError", "IndexError", "ValueError", "TypeError"})


def check_source(lines: Sequence[str]) -> None:
    """Raises DataError for code with names or statements that no step needs."""
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise DataError(f"a step's code for one row cannot be parsed: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            allowed = bool(_NAMES.fullmatch(node.id)) or node.id in _FUNCTIONS or node.id in _ERRORS
        elif isinstance(node, ast.Attribute):
            allowed = node.attr in _ATTRIBUTES
        elif isinstance(node, ast.stmt):
            allowed = isinstance(node, _STATEMENTS)
        else:
            allowed = not isinstance(node, ast.Lambda | ast.Await | ast.Yield | ast.YieldFrom)
        if not allowed:
            raise DataError(f"a step's code for one row has a part that is not allowed: {ast.unparse(node)[:80]}")
