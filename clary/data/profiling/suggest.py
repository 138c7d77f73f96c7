"""A recipe of the steps that findings name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clary.data.profiling.summaries import Finding

# In which order steps make sense; encodings, which make columns of other names, come last.
_ORDER = (
    "drop_missing", "deduplicate", "drop", "cast", "parse_dates", "clean_text", "clip", "impute", "winsorize", "log1p",
    "yeo_johnson", "select_correlation", "date_parts", "rare", "hash", "tf_idf", "one_hot",
)  # fmt: skip
_LEFT_OUT = ("balance",)  # which rows to learn from is for a person to say


def suggested_recipe(found: Sequence[Finding], target: str) -> dict[str, Any]:
    """A recipe of the findings' steps, as `Recipe.from_dict` takes it: each step once for all columns it would mend."""
    merged: dict[str, tuple[str, dict[str, Any]]] = {}
    dropped = {name for finding in found for name in _columns(finding, "drop")}
    cast = {name for finding in found for name in (*_columns(finding, "cast"), *_columns(finding, "parse_dates"))}
    for finding in found:
        for step, given in (finding.step or {}).items():
            if step in _LEFT_OUT:
                continue
            columns = [
                name for name in given.get("columns", ()) if name not in dropped or step in ("drop", "drop_missing")
            ]
            if step == "impute" and set(columns) & cast:
                continue  # what to impute is known once the column is of its type
            if "columns" in given and not columns:
                continue
            others = {key: value for key, value in given.items() if key != "columns"}
            _, kept = merged.setdefault(f"{step} {others}", (step, {**({"columns": []} if columns else {}), **others}))
            kept.setdefault("columns", []).extend(name for name in columns if name not in kept["columns"])
    steps = sorted(merged.values(), key=lambda step: _ORDER.index(step[0]))
    declared = [{step: {key: value for key, value in given.items() if value != []}} for step, given in steps]
    recipe: dict[str, Any] = {"version": 1}
    if target:
        recipe["target"] = target
    return {**recipe, "steps": declared}


def _columns(finding: Finding, step: str) -> Sequence[str]:
    return tuple((finding.step or {}).get(step, {}).get("columns", ()))
