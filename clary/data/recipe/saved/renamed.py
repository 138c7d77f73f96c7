"""The modules of steps that files saved by earlier versions name, where they are called otherwise today.

A file names the class of each fitted step by module and class; a pickle in it names those of a recipe's steps. A module
that moves gets a line in MODULES, so that files saved before still load.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

from clary.data.recipe import steps

# Up to version 0.1 → today, below clary.data.recipe.steps.
MODULES: Mapping[str, str] = {
    "audio": "audio.filters",
    "audio_features": "audio.features",
    "chosen_features": "selection.fitted",
    "foreign": "user_code",
    "image_features": "image.features",
    "image_statistics": "image.statistics",
    "images": "image.transforms",
    "selection": "selection.unsupervised",
    "selection_model": "selection.model",
    "selection_univariate": "selection.univariate",
}


def module_today(module: str) -> str:
    """A module of steps, below the package of steps, as it is called today."""
    return MODULES.get(module, module)


class Unpickler(pickle.Unpickler):
    """Finds the classes of steps where they are today."""

    def find_class(self, module: str, name: str) -> Any:
        package, _, inner = module.partition(f"{steps.__name__}.")
        if not package and inner:
            module = f"{steps.__name__}.{module_today(inner)}"
        return super().find_class(module, name)
