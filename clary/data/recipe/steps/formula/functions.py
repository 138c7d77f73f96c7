"""The operators, comparisons and functions that formulas may use, in a batch and in a row."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc


@dataclass(frozen=True)
class Function:
    """A function of numbers.

    python  the same as an operator of Python floats where that is the same bit for bit, with {} for what it is of
    """

    ufunc: Callable[..., Any]
    python: str = ""
    arguments: tuple[int, int] = (1, 1)


FUNCTIONS: dict[str, Function] = {
    "abs": Function(np.abs, "abs({})"),
    "ceil": Function(np.ceil),
    "exp": Function(np.exp),
    "floor": Function(np.floor),
    "log": Function(np.log),
    "log1p": Function(np.log1p),
    "max": Function(np.maximum, arguments=(2, 20)),
    "min": Function(np.minimum, arguments=(2, 20)),
    "round": Function(np.rint),
    "sqrt": Function(np.sqrt),
}
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
OPERATORS: dict[str, tuple[Function, ...]] = {  # by the number of operands, less one
    "+": (Function(np.positive), Function(np.add, "({} + {})")),
    "-": (Function(np.negative, "(-{})"), Function(np.subtract, "({} - {})")),
    "*": (Function(np.multiply), Function(np.multiply, "({} * {})")),
    "/": (Function(np.divide), Function(np.divide, "({} / {})")),
    "//": (Function(np.floor_divide), Function(np.floor_divide)),
    "%": (Function(np.mod), Function(np.mod)),
    "**": (Function(np.power), Function(np.power)),
}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
COMPARE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {  # of numbers and times, and of texts
    "<": (np.less, pc.less),
    "<=": (np.less_equal, pc.less_equal),
    ">": (np.greater, pc.greater),
    ">=": (np.greater_equal, pc.greater_equal),
    "==": (np.equal, pc.equal),
    "!=": (np.not_equal, pc.not_equal),
}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
