"""The files that a source stands for: a path, a folder, a glob, s3://, or a list of such."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clary.data.errors import ReadError
from clary.data.sources.input_file import InputFile, local_file

Source = str | os.PathLike[str]
_WILD = frozenset("*?[")


def input_files(source: Source | Sequence[Source]) -> list[InputFile]:
    """The files, in order: those of a folder by their paths, whatever begins with a dot or an underscore left out.

    Raises ReadError where there is none.
    """
    if not isinstance(source, (str, os.PathLike)):
        if not isinstance(source, Sequence) or not all(isinstance(item, (str, os.PathLike)) for item in source):
            raise ReadError(f"a source is a path, a URI, or a list of them, not {type(source).__name__}")
        if not source:
            raise ReadError("the list of sources is empty")
        return [file for item in source for file in input_files(item)]
    name = os.fspath(source)
    if "\0" in name or not name:
        raise ReadError(f"{name!r} is not a path")
    if name.startswith("s3://"):
        from clary.data.sources.s3 import s3_files

        return s3_files(name)
    if "://" in name and not name.startswith("file://"):
        raise ReadError(f"{name.split('://')[0]}:// cannot be read from; give a path, file:// or s3://")
    try:
        return _local(Path(local_path(name)).expanduser())
    except (OSError, RuntimeError) as error:  # a name that is too long; ~user
        raise ReadError(f"{name[:200]} cannot be read: {error}") from None


def local_path(name: str) -> str:
    """A path, or the path of a file:// URI. Raises ReadError where that is on another machine."""
    if not name.startswith("file://"):
        return name
    parts = urlsplit(name)
    if parts.netloc not in ("", "localhost"):
        raise ReadError(f"{name} is on another machine ({parts.netloc})")
    return unquote(parts.path)


def _local(path: Path) -> list[InputFile]:
    if path.is_dir():
        return _folder(path)
    if not path.exists() and not path.is_symlink() and _WILD & set(str(path)):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (Path.glob has no ** for files)
        matched = [file for name in found if (file := Path(name)).is_file()]
        if not matched:
            raise ReadError(f"no file matches {path}")
        root = _root(str(path))
        return [local_file(file, os.path.relpath(file, root)) for file in matched]
    return [local_file(path)]


def _root(pattern: str) -> str:
    """The folder above the first wildcard."""
    parts = Path(pattern).parts
    first_wild = next(place for place, part in enumerate(parts) if _WILD & set(part))
    return str(Path(*parts[:first_wild]))


def _folder(root: Path) -> list[InputFile]:
    """The files of a folder. Links to folders are not followed: they may be circular."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        found += [Path(folder, name) for name in files if name[0] not in "._"]
    paths = [path for path in sorted(found) if path.is_file()]
    if not paths:
        raise ReadError(f"{root} is a folder without a file to read")
    return [local_file(path, str(path.relative_to(root))) for path in paths]
