"""Writes docs/data/steps.md, the reference of a recipe's steps, from their docstrings.

python docs/make_steps.py
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

from clary.data.recipe.step import Step
from clary.data.recipe.steps import every

PAGE = Path(__file__).with_name("data") / "steps.md"

GROUPS = {
    "Rows and columns": (
        *("drop_missing", "deduplicate", "filter", "sample", "balance", "split"),
        *("keep", "drop", "rename", "cast", "parse_dates"),
    ),
    "Missing values": ("impute", "missing_indicator"),
    "Outliers": ("clip", "winsorize", "outliers"),
    "Numbers": (
        *("log", "log1p", "sqrt", "cbrt", "box_cox", "yeo_johnson", "quantile", "bin", "polynomial", "expression"),
    ),
    "Scaling": ("scale", "normalize"),
    "Categories": ("ordinal", "one_hot", "rare", "hash", "target_encode", "similarity_encode"),
    "Dates": ("date_parts", "cyclic", "elapsed"),
    "Text": (
        *("clean_text", "tokenize", "stop_words", "popular_words", "n_grams", "tf_idf", "hash_text", "text_length"),
    ),
    "Images": (
        *("image_resize", "image_crop", "image_grey", "image_convert", "image_filter"),
        *("image_flatten", "image_hog", "image_statistics"),
    ),
    "Audio": ("audio_resample", "audio_band", "audio_spectrogram", "audio_mfcc"),
    "Extraction": ("pca", "truncated_svd", "lda", "kmeans_distance", "tsne", "umap"),
    "Selection": (
        *("select_variance", "select_missing", "select_correlation", "select_univariate", "select_model"),
        "select_recursive",
    ),
    "Your own": ("sklearn", "function"),
}
_SHARED = {one.name for one in dataclasses.fields(Step)}
_PARAMETER = re.compile(r"^(\w+(?:, \w+)*)  +(.*)$")

HEAD = """# The steps of a recipe
Written by `docs/make_steps.py` from the code. How a recipe is put together stands in [the guide](guide.md).

Every step takes `columns` (names, patterns such as `pixel_*`, or one of the words `numbers`, `booleans`, `text`,
`times`, `all`; left out: every column the step is for, but the target) and `leave` (names or patterns it leaves alone).
"""


def page() -> str:
    """The whole page. Raises ValueError where a step has no place in it."""
    known = every()
    placed = {name for names in GROUPS.values() for name in names}
    if placed != set(known):
        raise ValueError(f"not in a group: {sorted(set(known) - placed)}; no such step: {sorted(placed - set(known))}")
    return "\n".join([HEAD, *(line for title, names in GROUPS.items() for line in _group(title, names))])


def _group(title: str, names: tuple[str, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    for name in names:
        yield f"### {name}\n"
        yield from _told(every()[name])


def _told(kind: type[Step]) -> Iterator[str]:
    defaults = {one.name: one.default for one in dataclasses.fields(kind) if one.name not in _SHARED}
    for paragraph in inspect.cleandoc(kind.__doc__ or "").split("\n\n"):
        if _PARAMETER.match(paragraph.splitlines()[0]):
            yield from _table(paragraph, defaults)
        else:
            yield paragraph + "\n"


def _table(paragraph: str, defaults: dict[str, object]) -> Iterator[str]:
    yield "| parameter | default | |"
    yield "|---|---|---|"
    rows: list[list[str]] = []
    rest: list[str] = []
    for line in paragraph.splitlines():
        if rest or not (line.startswith(" ") or _PARAMETER.match(line)):
            rest.append(line)
        elif found := _PARAMETER.match(line):
            rows.append([found[1], found[2]])
        else:
            rows[-1][1] += " " + line.strip()
    for names, text in rows:
        every = names.split(", ")
        shown = ", ".join(f"`{_default(defaults[one])}`" for one in every if one in defaults)
        said = ", ".join(f"`{one}`" for one in every)
        yield f"| {said} | {shown} | {text.replace('|', chr(92) + '|')} |"
    yield ""
    if rest:
        yield "\n".join(rest) + "\n"


def _default(value: object) -> str:
    """As a recipe's file has it."""
    if value is dataclasses.MISSING:
        return "needed"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
