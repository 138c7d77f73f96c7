"""The steps there are: modules of this package define them, and register them when they are imported.

None of them imports a heavy library before it is used, so that looking all of them up is quick.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Mapping

from clary.data.batch import some
from clary.data.errors import RecipeError
from clary.data.recipe.step import STEPS, Step

# module -> the steps it registers: a recipe of a few steps imports a few modules.
MODULES: Mapping[str, tuple[str, ...]] = {
    "audio.filters": ("audio_resample", "audio_band"),
    "audio.features": ("audio_spectrogram", "audio_mfcc"),
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
    "image.features": ("image_flatten", "image_hog"),
    "image.statistics": ("image_statistics",),
    "image.transforms": ("image_resize", "image_crop", "image_grey", "image_convert", "image_filter"),
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
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


@functools.cache
def _load() -> None:
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}")


def every() -> Mapping[str, type[Step]]:
    """All steps by the names that recipes call them."""
    _load()
    return STEPS


def named(name: str) -> type[Step]:
    """The step of this name. Raises RecipeError, with the nearest name there is."""
    if name in _MODULE_OF:
        importlib.import_module(f"{__name__}.{_MODULE_OF[name]}")
    if name not in STEPS:
        raise RecipeError(f"there is no step {name!r}; {nearest(name, every())}")
    return STEPS[name]


def nearest(name: object, known: Mapping[str, object] | list[str]) -> str:
    """What somebody may have meant, for a message."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f"is it {close[0]!r}?" if close else f"there are: {some(sorted(known), 60)}"
