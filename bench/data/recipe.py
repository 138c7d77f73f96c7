"""The recipe that is measured, in plain words, which each program puts into its own: 73 columns come out."""

from __future__ import annotations

from typing import Any

PLAN: dict[str, Any] = {
    "impute": ["age", "income", "rating", "temperature"],
    "most_frequent": ["plan", "city"],
    "log1p": ["income", "price", "quantity"],
    "robust": ["income", "price", "temperature", "score"],
    "min_max": ["age", "quantity", "rating"],
    "bin": ["latitude", "longitude"],
    "bins": 8,
    "one_hot": ["region", "plan", "country"],
    "ordinal": ["product", "city"],
    "keep": ["active"],
}
KEYS = ("robust", "min_max", "bin", "one_hot", "ordinal", "keep")
PLAN["columns"] = [name for key in KEYS for name in PLAN[key]]
