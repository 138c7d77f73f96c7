"""A fitted recipe as one file: a zip archive of what it knows, which can be read without running any of it.

recipe.json     the recipe, the columns it was fitted on, and each fitted step: its class and its fields
arrays/*        the numpy and Arrow arrays among them
estimators.pkl  only where a step keeps a scikit-learn estimator or a user's function: unpickling it runs code
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from clary.data.errors import DataError
from clary.data.recipe.saved.renamed import Unpickler
from clary.data.recipe.saved.values import Reader, Writer
from clary.data.recipe.step import FittedStep
from clary.data.recipe.text import put_file

VERSION = 1
MOST_BYTES = 1 << 30  # of all files of an archive, unpacked
MOST_FILES = 100_000
_RECIPE, _PICKLED = "recipe.json", "estimators.pkl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same recipe gives the same bytes

Built = TypeVar("Built")


@dataclass(frozen=True)
class Content:
    """What the file holds.

    recipe   as a dict; or, where a step is a Python function, the recipe itself, to be pickled
    columns  of the table it was fitted on
    rows     how many that table has
    steps    fitted
    """

    recipe: Any
    columns: pa.Schema
    rows: int
    steps: tuple[FittedStep, ...]


def save(content: Content, path: str | os.PathLike[str]) -> None:
    """Write the file; it is whole or not there. Raises DataError where it cannot be written."""
    writer = Writer()
    recipe = content.recipe
    document = {
        "clary": "fitted recipe",
        "version": VERSION,
        "recipe": recipe if isinstance(recipe, dict) else writer.to_json(recipe),
        "columns": [[column.name, writer.to_json(column.type)] for column in content.columns],
        "rows": content.rows,
        "steps": [writer.to_json(step) for step in content.steps],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _put(archive, _RECIPE, json.dumps(document).encode())
        for name, data in writer.files.items():
            _put(archive, name, data)
        if writer.opaque:
            _put(archive, _PICKLED, _pickled(writer.opaque))
    put_file(Path(path), buffer.getvalue())


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _pickled(opaque: Sequence[Any]) -> bytes:
    try:
        return pickle.dumps(list(opaque))
    except Exception as error:
        raise DataError(
            f"the fitted recipe cannot be saved: {error}; a function has to be defined in a module and not a lambda"
        ) from None


# ---- and back ----


def load(path: str | os.PathLike[str], build: Callable[[Content], Built], *, allow_pickle: bool = False) -> Built:
    """What `build` makes of a file that `save` wrote. Raises DataError for anything else, whatever is in the file.

    build  may raise: its errors are reported as the file's
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return build(_content(archive, allow_pickle))
    except DataError as error:
        raise DataError(f"{str(path)!r}: {error}") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile, zlib, json, numpy and Arrow have many errors for bytes that are damaged
        raise DataError(
            f"{str(path)!r} is not a fitted recipe, or is damaged: {type(error).__name__}: {error}"
        ) from None


def _content(archive: zipfile.ZipFile, allow_pickle: bool) -> Content:
    infos = {info.filename: info for info in archive.infolist()}
    if len(infos) > MOST_FILES or sum(info.file_size for info in infos.values()) > MOST_BYTES:
        raise DataError(f"it unpacks to more than {MOST_BYTES >> 20:,} MiB, or {MOST_FILES:,} files; no recipe does")

    def file(name: Any) -> bytes:
        if name not in infos:
            raise DataError(f"the file {name!r} is missing in it")
        with archive.open(infos[name]) as opened:
            return opened.read(MOST_BYTES)

    document = json.loads(file(_RECIPE))
    if not isinstance(document, dict) or document.get("clary") != "fitted recipe":
        raise DataError("it is not a fitted recipe")
    if document.get("version") != VERSION:
        raise DataError(f"it is of version {document.get('version')!r}; this Clary reads version {VERSION}")
    opaque = _opaque(file, allow_pickle) if _PICKLED in infos else []
    return _parsed(document, Reader(file, opaque))


def _opaque(file: Callable[[str], bytes], allow_pickle: bool) -> list[Any]:
    if not allow_pickle:
        raise DataError(
            "it holds pickled scikit-learn estimators or Python functions, and unpickling runs code; "
            "if you trust whoever made it, load it with allow_pickle=True"
        )
    return list(Unpickler(io.BytesIO(file(_PICKLED))).load())


def _parsed(document: Mapping[str, Any], reader: Reader) -> Content:
    recipe = document["recipe"]
    if set(recipe) == {"pickled"}:
        recipe = reader.value(recipe)
    columns = pa.schema([pa.field(str(name), _type(reader.value(kind))) for name, kind in document["columns"]])
    steps = tuple(_step(step, reader) for step in document["steps"])
    if type(document["rows"]) is not int:
        raise DataError("its parts are not of one recipe")
    return Content(recipe, columns, document["rows"], steps)


def _type(value: Any) -> pa.DataType:
    if not isinstance(value, pa.DataType):
        raise DataError("a column has no type")
    return value


def _step(document: Any, reader: Reader) -> FittedStep:
    step = reader.value(document)
    if not isinstance(step, FittedStep):
        raise DataError("a step is not a fitted step")
    return step
