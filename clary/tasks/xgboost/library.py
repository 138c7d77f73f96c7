"""Imports XGBoost, quickly."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

# XGBoost imports these for its other interfaces, where they are installed: three quarters of its import time.
NOT_NEEDED = ("sklearn", "pandas")


def xgboost() -> Any:
    """The library."""
    if "xgboost" in sys.modules:
        return sys.modules["xgboost"]
    hidden: list[str] = [name for name in NOT_NEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import xgboost as library
    finally:
        for name in hidden:
            del sys.modules[name]
    module: ModuleType = library
    return module


def reason(error: Exception) -> str:
    """An XGBoostError's message, without its place in the source and the stack."""
    text = str(error).split("\nStack trace:", 1)[0].strip()
    first, *others = text.split("\n")
    # "[10:21:05] /workspace/src/objective/multiclass_obj.cu:120: SoftmaxMultiClassObj: label must be …"
    if first.startswith("[") and ": " in first:
        first = first.partition(": ")[2]
    return " ".join(line.strip() for line in (first, *others) if line.strip())
