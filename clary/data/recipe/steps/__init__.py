"""The steps there are: modules of this package define them, and register them when they are imported.

None of them imports a heavy library before it is used, so that listing all of them is quick. Installed packages add
steps by entry points of the group `clary.recipe_steps`, as Clary adds its own for images and sound:

    [project.entry-points."clary.recipe_steps"]
    my_step = "my_package.steps:MyStep"     # a Step whose name is "my_step", in one module with its FittedStep
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from clary.data.batch import some
from clary.data.errors import RecipeError
from clary.data.recipe.step import STEPS, Step

# module -> the steps it registers: a recipe of a few steps imports a few modules.
MODULES: Mapping[str, tuple[str, ...]] = {
    "binning": ("bin",),
    "casting": ("cast", "parse_dates"),
    "combining": ("polynomial", "normalize"),
    "components": ("pca", "truncated_svd"),
    "custom": ("sklearn", "function"),
    "cyclic": ("cyclic",),
    "dates": ("date_parts",),
    "discriminant": ("lda",),
    "elapsed": ("elapsed",),
    "expressions": ("expression", "filter"),
    "extraction": ("kmeans_distance", "tsne", "umap"),
    "hash_text": ("hash_text",),
    "hashing": ("hash",),
    "missing": ("impute", "missing_indicator"),
    "numeric": ("log", "log1p", "sqrt", "cbrt"),
    "one_hot": ("one_hot",),
    "ordinal": ("ordinal",),
    "outliers": ("clip", "winsorize", "outliers"),
    "popular_words": ("popular_words",),
    "power": ("box_cox", "yeo_johnson", "quantile"),
    "rare": ("rare",),
    "rows": ("drop_missing", "deduplicate", "drop", "keep", "rename"),
    "sampling": ("sample", "balance"),
    "scaling": ("scale",),
    "selection.unsupervised": ("select_variance", "select_missing", "select_correlation"),
    "selection.model": ("select_model", "select_recursive"),
    "selection.univariate": ("select_univariate",),
    "similarity": ("similarity_encode",),
    "split": ("split",),
    "target_encoding": ("target_encode",),
    "text": ("clean_text",),
    "text_length": ("text_length",),
    "tf_idf": ("tf_idf",),
    "tokens": ("tokenize", "stop_words", "n_grams"),
}
_MODULE_BY_STEP = {name: module for module, names in MODULES.items() for name in names}
GROUP = "clary.recipe_steps"


@functools.cache
def _load() -> None:
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}")
    for name in installed():
        with contextlib.suppress(RecipeError):  # a package that is broken breaks only the recipes that use its step
            _load_installed(name)


@functools.cache
def installed() -> Mapping[str, tuple[EntryPoint, ...]]:
    """The entry points of installed packages by the step's name: one, unless packages are at odds."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=GROUP):
        if entry.name not in _MODULE_BY_STEP:
            found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def _load_installed(name: str) -> None:
    """Register the step of an entry point. Raises RecipeError where there is none, or several differ."""
    values = sorted({entry.value for entry in installed()[name]})
    if len(values) > 1:
        raise RecipeError(f"several installed packages have a step {name!r}: {some(values)}; uninstall all but one")
    entry = installed()[name][0]
    try:
        kind = entry.load()
    except Exception as error:  # whatever the import of another's module raises
        raise RecipeError(f"step {name!r}: {entry.value} cannot be imported: {type(error).__name__}: {error}") from None
    if not (isinstance(kind, type) and issubclass(kind, Step) and getattr(kind, "name", None) == name):
        raise RecipeError(f"step {name!r}: {entry.value} is not a Step of that name")
    if STEPS.setdefault(name, kind) is not kind:
        raise RecipeError(f"two steps are called {name!r}")


def all_steps() -> Mapping[str, type[Step]]:
    """All steps by the names that recipes call them."""
    _load()
    return STEPS


def step_named(name: str) -> type[Step]:
    """The step of this name. Raises RecipeError, with the nearest name there is."""
    if name in _MODULE_BY_STEP:
        importlib.import_module(f"{__name__}.{_MODULE_BY_STEP[name]}")
    elif name in installed():
        _load_installed(name)
    if name not in STEPS:
        raise RecipeError(f"there is no step {name!r}; {nearest(name, all_steps())}")
    return STEPS[name]


def nearest(name: object, known: Mapping[str, object] | list[str]) -> str:
    """The nearest known name, for a message."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f"is it {close[0]!r}?" if close else f"there are: {some(sorted(known), 60)}"
