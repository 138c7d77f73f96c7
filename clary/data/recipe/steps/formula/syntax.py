"""The syntax of formulas: Python's, of which little is allowed."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Iterator

from clary.data.errors import RecipeError
from clary.data.recipe.steps.formula.functions import ARITHMETIC, COMPARISONS, FUNCTIONS

MOST_CHARACTERS = 4_000
MOST_NODES = 1_000
MOST_DEPTH = 100

_ALLOWED = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.Call,
    ast.IfExp, ast.List, ast.Tuple, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
# How many arguments each takes, at least and at most.
_FUNCTIONS = {"isnull": (1, 1), "where": (3, 3), **{name: function.arguments for name, function in FUNCTIONS.items()}}
_NAMES = ", ".join(sorted(["col", *_FUNCTIONS]))


def tree_of(text: str) -> ast.expr:
    """Python's syntax tree, not too large, of allowed nodes alone. Raises RecipeError."""
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        raise RecipeError(f"an expression is a text of at most {MOST_CHARACTERS:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise RecipeError(f"the expression {text!r} cannot be read: {error.msg} (character {error.offset})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise RecipeError(f"the expression cannot be read: {error or 'it is nested too deeply'}") from None
    _check_size(tree)
    return tree.body


def _check_size(tree: ast.AST) -> None:
    """Walk by hand: a hostile tree is too deep for recursion."""
    waiting, seen = [(tree, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > MOST_NODES or depth > MOST_DEPTH:
            raise RecipeError("the expression is too long or nested too deeply; make columns of its parts first")
        if not isinstance(node, _ALLOWED):
            raise RecipeError(
                f"{source_of(node)} is not allowed in an expression; there are columns, numbers, texts, "
                f"+ - * / // % **, comparisons, in [...], and, or, not, if else, and {_NAMES}"
            )
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]


def source_of(node: ast.AST) -> str:
    """As it was written, for a message."""
    try:
        return repr(ast.unparse(node)[:60])
    except (ValueError, RecursionError):
        return type(node).__name__


def columns_of(node: ast.AST) -> Iterator[str]:
    """The columns named, as often as they are. Raises RecipeError for what is wrong whatever the columns hold."""
    match node:
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str(name))], keywords=[]):
            yield name
        case ast.Call(func=ast.Name(id="col")):
            raise RecipeError('col takes the name of one column: col("name")')
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            _check_arguments(name, args)
            for argument in args:
                yield from columns_of(argument)
        case ast.Call():
            raise RecipeError(f"{source_of(node)} is not one of the functions {_NAMES}")
        case ast.Name(id=name):
            yield name
        case ast.Constant(value=value) if type(value) not in (int, float, str, bool):
            raise RecipeError(f"{source_of(node)} is not a number, a text, True or False")
        case ast.Constant(value=int() | float() as value):
            _finite(value)
        case ast.BinOp(op=op) if type(op) not in ARITHMETIC:
            raise RecipeError(f"{source_of(node)}: there is no such operation; use + - * / // % ** and, or, not")
        case ast.UnaryOp(op=ast.Invert()):
            raise RecipeError(f"{source_of(node)}: write not")
        case ast.Compare(ops=ops, comparators=sides):
            yield from _columns_compared(node, ops, sides)
        case ast.List() | ast.Tuple():
            raise RecipeError(f"{source_of(node)}: a list stands only behind in")
        case _:
            for child in ast.iter_child_nodes(node):
                yield from columns_of(child)


def _check_arguments(name: str, args: list[ast.expr]) -> None:
    few, most = _FUNCTIONS[name]
    if not few <= len(args) <= most:
        raise RecipeError(f"{name} takes {few if few == most else f'{few} to {most}'} argument(s), not {len(args)}")


def _columns_compared(node: ast.Compare, ops: list[ast.cmpop], sides: list[ast.expr]) -> Iterator[str]:
    yield from columns_of(node.left)
    for op, side in zip(ops, sides, strict=True):
        if isinstance(op, ast.In | ast.NotIn):
            members_of(side)
            if len(ops) > 1:
                raise RecipeError(f"{source_of(node)}: put the part with in into brackets of its own")
        elif type(op) in COMPARISONS:
            yield from columns_of(side)
        else:
            raise RecipeError(f"{source_of(node)}: write == or !=; isnull(column) is true where a value is missing")


def members_of(side: ast.expr) -> list[str | float | bool]:
    """The values of a list behind `in`."""
    if not isinstance(side, ast.List | ast.Tuple) or not side.elts:
        raise RecipeError(f'{source_of(side)}: behind in stands a list of values: in ["a", "b"]')
    found = [literal_of(element) for element in side.elts]
    if len({isinstance(member, str) for member in found}) > 1:
        raise RecipeError(f"{source_of(side)}: the list mixes texts and numbers")
    return found


def literal_of(node: ast.expr) -> str | float | bool:
    """The value written there; numbers are floats."""
    match node:
        case ast.Constant(value=bool() | str() as value):
            return value
        case ast.Constant(value=int() | float() as value):
            return _finite(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -_finite(value)
    raise RecipeError(f"{source_of(node)} is not a number or a text")


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RecipeError(f"a number in the expression is too large: {str(value)[:30]}")
    return number
