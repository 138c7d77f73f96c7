"""Writes docs/data/steps.md, the reference of a recipe's steps, from their docstrings.

A parameter that a step's docstring does not describe gets the description of the class that it is inherited from.

python docs/make_steps.py
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from clary.data.recipe.parameters import default_of, parameters
from clary.data.recipe.step import Step
from clary.data.recipe.steps import all_steps

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
_SHARED = {field.name for field in dataclasses.fields(Step)}
_PARAMETER = re.compile(r"^(\w+(?:, \w+)*)  +(.*)$")

HEAD = """# The steps of a recipe
Written by `docs/make_steps.py` from the code. Recipes themselves are described in [the guide](guide.md).

Every step takes `columns` (names, patterns such as `pixel_*`, or one of the keywords `numbers`, `booleans`, `text`,
`times`, `all`; left out: every column the step is for, but the target) and `leave` (names or patterns it leaves alone).
"""


def page() -> str:
    """The whole page. Raises ValueError where a step has no place in it."""
    known = all_steps()
    placed = {name for names in GROUPS.values() for name in names}
    if placed != set(known):
        raise ValueError(f"not in a group: {sorted(set(known) - placed)}; no such step: {sorted(placed - set(known))}")
    return "\n".join([HEAD, *(line for title, names in GROUPS.items() for line in _group(title, names))])


def _group(title: str, names: tuple[str, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    for name in names:
        yield f"### {name}\n"
        yield from _described(all_steps()[name])


def _described(kind: type[Step]) -> Iterator[str]:
    defaults = _defaults(kind)
    parts = [_parts(paragraph, defaults) for paragraph in _paragraphs(kind)]
    missing = _not_named(kind, defaults)
    for place, (before, rows, behind) in enumerate(parts):
        last = rows and not any(more for _, more, _ in parts[place + 1 :])
        yield from _prose(before)
        yield from _table([*rows, *(missing if last else [])], defaults)
        yield from _prose(behind)
        missing = [] if last else missing
    yield from _table(missing, defaults)


def _paragraphs(kind: type) -> Iterator[str]:
    """Of the class's own docstring, not of one that it inherits."""
    own = kind.__dict__.get("__doc__") or ""
    # Without one a dataclass is given its signature.
    yield from () if own.startswith(f"{kind.__name__}(") else inspect.cleandoc(own).split("\n\n")


def _defaults(kind: type[Step]) -> dict[str, object]:
    return {name: default_of(field) for name, field in parameters(kind).items() if name not in _SHARED}


def _parts(paragraph: str, known: Collection[str]) -> tuple[list[str], list[list[str]], list[str]]:
    """(lines before, the parameters that a paragraph describes, each with its text, lines behind)."""
    before: list[str] = []
    rows: list[list[str]] = []
    behind: list[str] = []
    for line in paragraph.splitlines():
        found = _PARAMETER.match(line.strip())
        if not behind and found and set(found[1].split(", ")) <= {*known, *_SHARED}:
            rows.append([found[1], found[2]])
        elif rows and not behind and line.startswith(" "):
            rows[-1][1] += " " + line.strip()
        else:
            (behind if rows else before).append(line)
    return before, rows, behind


def _not_named(kind: type[Step], defaults: Collection[str]) -> list[list[str]]:
    """The parameters that the step's docstring has no line for, with the description of the class they come from."""
    named = {name for row in _all_rows(kind, defaults) for name in row[0].split(", ")}
    inherited = {
        name: row[1]
        for base in reversed(kind.__mro__[1:])
        for row in _all_rows(base, defaults)
        for name in row[0].split(", ")
    }
    mentioned = set(re.findall(r"\w+", kind.__doc__ or ""))
    return [
        [name, inherited.get(name, "see above" if name in mentioned else "")] for name in defaults if name not in named
    ]


def _all_rows(kind: type, known: Collection[str]) -> Iterator[list[str]]:
    for paragraph in _paragraphs(kind):
        yield from _parts(paragraph, known)[1]


def _table(rows: Sequence[Sequence[str]], defaults: Mapping[str, object]) -> Iterator[str]:
    if not rows:
        return
    yield "| parameter | default | |"
    yield "|---|---|---|"
    for names, text in rows:
        listed = names.split(", ")
        shown = ", ".join(_default(defaults[name]) for name in listed if name in defaults)
        quoted = ", ".join(f"`{name}`" for name in listed)
        yield f"| {quoted} | {shown} | {text.replace('|', chr(92) + '|')} |"
    yield ""


def _prose(lines: Sequence[str]) -> Iterator[str]:
    """Text as it is; `Reference  …` with a colon, `Raises   …` with one blank."""
    if lines:
        yield "\n".join(re.sub(r"^(Reference:|\w+)  +", r"\1 ", _cited(line.strip())) for line in lines) + "\n"


def _cited(line: str) -> str:
    return re.sub(r"^Reference(?=  )", "Reference:", line)


def _default(value: object) -> str:
    """As a recipe's file has it."""
    return "needed" if value is dataclasses.MISSING else f"`{json.dumps(value, ensure_ascii=False)}`"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
