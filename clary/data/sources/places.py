"""What a caller names, as the files it stands for: a path, a folder, a glob, s3://, a list of such."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clary.data.errors import ReadError
from clary.data.sources.origin import Origin, local

Source = str | os.PathLike[str]
_WILD = frozenset("*?[")


def origins(source: Source | Sequence[Source]) -> list[Origin]:
    """The files, in order: those of a folder by their paths, whatever begins with a dot or an underscore left out.

    Raises ReadError where there is none.
    """
    if not isinstance(source, (str, os.PathLike)):
        if not isinstance(source, Sequence) or not all(isinstance(one, (str, os.PathLike)) for one in source):
            raise ReadError(f"a source is a path, a URI, or a list of them, not {type(source).__name__}")
        if not source:
            raise ReadError("the list of sources is empty")
        return [origin for one in source for origin in origins(one)]
    name = os.fspath(source)
    if "\0" in name or not name:
        raise ReadError(f"{name!r} is no path")
    if name.startswith("s3://"):
        from clary.data.sources.s3 import s3_origins

        return s3_origins(name)
    if "://" in name and not name.startswith("file://"):
        raise ReadError(f"{name.split('://')[0]}:// cannot be read from; give a path, file:// or s3://")
    try:
        return _local(Path(plain_path(name)).expanduser())
    except (OSError, RuntimeError) as error:  # a name that is too long; ~somebody
        raise ReadError(f"{name[:200]} cannot be read: {error}") from None


def plain_path(name: str) -> str:
    if not name.startswith("file://"):
        return name
    parts = urlsplit(name)
    if parts.netloc not in ("", "localhost"):
        raise ReadError(f"{name} is on another machine ({parts.netloc})")
    return unquote(parts.path)


def _local(path: Path) -> list[Origin]:
    if path.is_dir():
        return _folder(path)
    if not path.exists() and not path.is_symlink() and _WILD & set(str(path)):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (Path.glob has no ** for files)
        matched = [one for name in found if (one := Path(name)).is_file()]
        if not matched:
            raise ReadError(f"no file matches {path}")
        root = _root(str(path))
        return [local(one, os.path.relpath(one, root)) for one in matched]
    return [local(path)]


def _root(pattern: str) -> str:
    """The folder above the first wildcard."""
    parts = Path(pattern).parts
    plain = next(place for place, part in enumerate(parts) if _WILD & set(part))
    return str(Path(*parts[:plain]))


def _folder(root: Path) -> list[Origin]:
    """Links to folders are not followed, so that none is gone around in."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        found += [Path(folder, name) for name in files if name[0] not in "._"]
    paths = [path for path in sorted(found) if path.is_file()]
    if not paths:
        raise ReadError(f"{root} is a folder without a file to read")
    return [local(path, str(path.relative_to(root))) for path in paths]
