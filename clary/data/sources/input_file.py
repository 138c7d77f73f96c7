"""Something with bytes: a file, an object in S3, or a member of an archive. Readers need not know which."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from clary.data.errors import ReadError


@dataclass(frozen=True)
class InputFile:
    """Something that can be opened again and again.

    name           for messages: a path or URI, with the archive's member behind it
    filename       the name that shows its format: without .gz and the like
    path           of the same bytes on this machine, so that libraries may open it; None where there is no such file
    size           bytes, 0 where it is unknown
    relative_path  below the folder or prefix that the caller named
    """

    name: str
    filename: str
    opener: Callable[[], BinaryIO]
    path: Path | None = None
    size: int = 0
    relative_path: str = ""

    def open(self) -> BinaryIO:
        """From its start. Raises ReadError."""
        try:
            return self.opener()
        except OSError as error:
            raise ReadError(f"{self.name} cannot be opened: {error.strerror or error}") from None

    def head(self, count: int) -> bytes:
        """Its first bytes. Raises ReadError."""
        with self.reading(), self.open() as stream:
            return _filled(stream, count)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turns errors of reading and decompressing into ReadError."""
        import lzma
        import zipfile
        import zlib

        try:
            yield
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise ReadError(f"{self.name} is damaged or cut short: {error}") from None
        except OSError as error:
            raise ReadError(f"{self.name} cannot be read: {error.strerror or error}") from None

    @contextmanager
    def reading_as(self, format: str) -> Iterator[None]:  # noqa: A002
        """Turns every error of a library that reads damaged or hostile bytes into ReadError."""
        try:
            yield
        except ReadError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise ReadError(f"{self.name} cannot be read as {format}: {reason[:300]}") from None

    @contextmanager
    def seekable(self) -> Iterator[BinaryIO]:
        """A stream that can seek: the file itself, or a temporary copy of it. Raises ReadError."""
        with self.reading(), self.open() as stream:
            if self.path is not None or (isinstance(stream, io.BufferedReader) and stream.seekable()):
                yield stream
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
                copy.seek(0)
                yield cast(BinaryIO, copy)

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path that libraries can open: its own, or that of a copy that is removed afterwards. Raises ReadError."""
        if self.path is not None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="clary-") as folder:
            copy = Path(folder, "copy")
            with self.reading(), self.open() as stream, copy.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
            yield copy


def _filled(stream: BinaryIO, count: int) -> bytes:
    """So many bytes; fewer only at the end: a stream may give less than asked for."""
    parts = []
    while count > 0 and (part := stream.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def local_file(path: Path, relative_path: str = "") -> InputFile:
    """Raises ReadError where there is no such file, or none that can be read."""
    try:
        status = path.stat()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror}") from None
    if not path.is_file():
        raise ReadError(f"{path} is not a file")
    if not os.access(path, os.R_OK):
        raise ReadError(f"{path} cannot be read: no permission")
    return InputFile(str(path), path.name, lambda: path.open("rb"), path, status.st_size, relative_path or path.name)
