"""A fitted recipe as one file: a zip archive of what it knows, which can be read without running any of it.

recipe.json     what the recipe says, the columns it was fitted on, and each fitted step: its class and its fields
arrays/*        the numpy and Arrow arrays among them
estimators.pkl  only where a step keeps a scikit-learn estimator or somebody's function: whoever reads this runs it
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from clary.data.errors import DataError
from clary.data.recipe.fitted import FittedRecipe
from clary.data.recipe.recipe import Recipe
from clary.data.recipe.saved_values import Reader, Writer
from clary.data.recipe.step import FittedStep
from clary.data.recipe.text import put_file

VERSION = 1
MOST_BYTES = 1 << 30  # of all files of an archive, unpacked
MOST_FILES = 100_000
_RECIPE, _PICKLED = "recipe.json", "estimators.pkl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same recipe gives the same bytes


def save(fitted: FittedRecipe, path: str | os.PathLike[str]) -> None:
    """Write the file; it is whole or not there. Raises DataError where it cannot be written."""
    writer = Writer()
    said = {
        "clary": "fitted recipe",
        "version": VERSION,
        "recipe": _recipe(fitted.recipe, writer),
        "columns": [[one.name, writer.said(one.type)] for one in fitted.columns],
        "rows": fitted.rows,
        "steps": [writer.said(one) for one in fitted.steps],
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        _put(archive, _RECIPE, json.dumps(said).encode())
        for name, data in writer.files.items():
            _put(archive, name, data)
        if writer.opaque:
            _put(archive, _PICKLED, _pickled(writer.opaque))
    put_file(Path(path), made.getvalue())


def _recipe(recipe: Recipe, writer: Writer) -> Any:
    try:
        return recipe.to_dict()
    except DataError:  # a step is somebody's Python function
        return writer.said(recipe)


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _pickled(opaque: Sequence[Any]) -> bytes:
    try:
        return pickle.dumps(list(opaque))
    except Exception as error:
        raise DataError(
            f"the fitted recipe cannot be saved: {error}; a function has to be one of a module's, no lambda"
        ) from None


# ---- and back ----


def load(path: str | os.PathLike[str], *, allow_pickle: bool = False) -> FittedRecipe:
    """What `save` wrote. Raises DataError for anything else, whatever is in the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _loaded(archive, allow_pickle)
    except DataError as error:
        raise DataError(f"{str(path)!r}: {error}") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile, zlib, json, numpy and Arrow have their own ways to say that bytes are damaged
        raise DataError(
            f"{str(path)!r} is no fitted recipe, or a damaged one: {type(error).__name__}: {error}"
        ) from None


def _loaded(archive: zipfile.ZipFile, allow_pickle: bool) -> FittedRecipe:
    infos = {one.filename: one for one in archive.infolist()}
    if len(infos) > MOST_FILES or sum(one.file_size for one in infos.values()) > MOST_BYTES:
        raise DataError(f"it unpacks to more than {MOST_BYTES >> 20:,} MiB, or {MOST_FILES:,} files; no recipe does")

    def file(name: Any) -> bytes:
        if name not in infos:
            raise DataError(f"the file {name!r} lacks in it")
        with archive.open(infos[name]) as opened:
            return opened.read(MOST_BYTES)

    said = json.loads(file(_RECIPE))
    if not isinstance(said, dict) or said.get("clary") != "fitted recipe":
        raise DataError("it is no fitted recipe")
    if said.get("version") != VERSION:
        raise DataError(f"it is of version {said.get('version')!r}; this Clary reads version {VERSION}")
    opaque = _opaque(file, allow_pickle) if _PICKLED in infos else []
    return _fitted(said, Reader(file, opaque))


def _opaque(file: Callable[[str], bytes], allow_pickle: bool) -> list[Any]:
    if not allow_pickle:
        raise DataError(
            "it holds pickled scikit-learn estimators or Python functions, and unpickling runs code; "
            "if you trust whoever made it, load it with allow_pickle=True"
        )
    return list(pickle.loads(file(_PICKLED)))  # noqa: S301 - the caller allowed it


def _fitted(said: Mapping[str, Any], reader: Reader) -> FittedRecipe:
    given = said["recipe"]
    recipe = reader.value(given) if set(given) == {"pickled"} else Recipe.from_dict(given)
    if not isinstance(recipe, Recipe):
        raise DataError("what is pickled in place of the recipe is none")
    columns = pa.schema([pa.field(str(name), _type(reader.value(one))) for name, one in said["columns"]])
    steps = tuple(_loaded_step(one, reader) for one in said["steps"])
    if len(steps) != len(recipe.steps) or type(said["rows"]) is not int:
        raise DataError("its parts are not of one recipe")
    fitted = FittedRecipe(recipe, steps, columns, said["rows"])
    fitted.row_function()  # a step whose fields do not go together is noticed here, not at the first request
    return fitted


def _type(given: Any) -> pa.DataType:
    if not isinstance(given, pa.DataType):
        raise DataError("a column has no type")
    return given


def _loaded_step(said: Any, reader: Reader) -> FittedStep:
    found = reader.value(said)
    if not isinstance(found, FittedStep):
        raise DataError("what is in place of a step is none")
    return found
