"""The artefact: a file `xgboost-model`, as XGBoost itself writes it (UBJSON)."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

from clary.tasks.algorithm import artifacts
from clary.tasks.algorithm.artifacts import ModelError
from clary.tasks.xgboost.library import reason, xgboost

NAME = "xgboost-model"
CHECKPOINT = "xgboost-checkpoint"


def save(booster: Any, file: Path) -> None:
    """Whole or not at all."""
    artifacts.write(file, bytes(booster.save_raw(raw_format="ubj")))


def load(file: Path) -> Any:
    """A Booster, from what this algorithm writes, XGBoost's own formats, or a pickle that AWS's older images wrote."""
    data = file.read_bytes()
    if data[:1] == b"\x80":
        return _unpickle(data, file)
    if data[:4] == b"binf":
        raise ModelError(
            f"{file.name} is in XGBoost's old binary format, which XGBoost no longer reads since version 3.1. "
            f'Load it with XGBoost 1.0 to 3.0 and save it again: Booster.save_model("{NAME}.json").'
        )
    if data[:1] != b"{" or len(data) < 2:  # XGBoost aborts the process over an empty file
        raise ModelError(f"{file.name} is not a model of XGBoost: it begins with {data[:8]!r}.")
    library = xgboost()
    booster = library.Booster()
    try:
        booster.load_model(bytearray(data))
    except library.core.XGBoostError as error:
        raise ModelError(f"{file.name} is not a model of XGBoost: {reason(error)[:300]}") from None
    return booster


def files(folder: Path, ensemble: bool = True) -> list[Path]:
    """The models in a folder: `xgboost-model`, or several of them (`xgboost-model-0`, …), else any other files.

    Hidden files are left out. Without `ensemble` only the first is taken.
    """
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    named = [path for path in found if path.name.startswith(NAME)]
    return (named or found)[: None if ensemble else 1]


class _BoosterUnpickler(pickle.Unpickler):
    """A pickle can run any code that it names; here it may name only the parts of a Booster."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("xgboost.core", "Booster"):
            return xgboost().Booster
        if name == "bytearray" and module in ("builtins", "__builtin__"):
            return bytearray
        raise ModelError(
            f"This pickle holds {module}.{name}. Only a pickled xgboost.Booster is loaded, since a pickle can run any "
            f'code. Save the model by Booster.save_model("{NAME}"), or bring an inference script with a model_fn.'
        )


def _unpickle(data: bytes, file: Path) -> Any:
    library = xgboost()
    try:
        booster = _BoosterUnpickler(BytesIO(data)).load()
    except ModelError:
        raise
    except library.core.XGBoostError as error:
        raise ModelError(
            f"{file.name} is a pickle of another version of XGBoost, which {library.__version__} cannot read: "
            f"{reason(error)[:300]} Load it with that version and save it by Booster.save_model."
        ) from None
    except Exception as error:  # a broken pickle raises anything
        raise ModelError(f"{file.name} is a broken pickle: {type(error).__name__}: {error}") from None
    if not isinstance(booster, library.Booster):
        raise ModelError(f"{file.name} is a pickle of a {type(booster).__name__}, not of an xgboost.Booster.")
    return booster
