"""Compressed files as what they hold: gzip, Zstandard, bzip2, xz, and zip with one member or a named member.

Nothing is ever written to a path that an archive names.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from clary.data.errors import ReadError
from clary.data.sources.input_file import InputFile

MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
ENDINGS = {".gz": "gz", ".gzip": "gz", ".zst": "zst", ".zstd": "zst", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
# Zip archives that are formats themselves, by a member that they have.
_NO_ARCHIVES = ("[Content_Types].xml", "mimetype")


def unpacked(file: InputFile, member: str | None = None) -> InputFile:
    """The content of a compressed file, through several layers too; the file itself otherwise. Raises ReadError."""
    for _ in range(4):  # an archive of itself never ends
        kind = _kind(file)
        if kind is None:
            break
        file, member = (_member(file, member), None) if kind == "zip" else (_decompressed(file, kind), member)
    if member is not None:
        raise ReadError(f"{file.name} is not a zip archive: it has no member {member!r}")
    return file


def _kind(file: InputFile) -> str | None:
    head = file.head(6)
    found = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    named = ENDINGS.get(PurePosixPath(file.filename.lower()).suffix)
    if found is None and named is not None and head:
        raise ReadError(f"{file.name} has the ending .{named}, but is not compressed so")
    if found == "zip" and named != "zip":
        with file.seekable() as stream, _opened_zip(file, stream) as archive:
            names = archive.namelist()
        if any(name in names for name in _NO_ARCHIVES) or all(name.endswith(".npy") for name in names):
            return None
    if found == "bz2" and named is None and not head[3:4].isdigit():
        return None
    return found


def _decompressed(file: InputFile, kind: str) -> InputFile:
    openers: dict[str, Callable[[BinaryIO], BinaryIO]] = {
        "gz": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
        "bz2": lambda stream: cast("BinaryIO", bz2.BZ2File(stream)),
        "xz": lambda stream: cast("BinaryIO", lzma.LZMAFile(stream)),  # noqa: SIM115 (closed by its owner)
        "zst": _zstandard,
    }
    ending = PurePosixPath(file.filename).suffix
    filename = file.filename[: -len(ending)] if ending.lower() in ENDINGS else file.filename

    def opener() -> BinaryIO:
        stream = file.open()
        try:
            return cast("BinaryIO", _ClosingStream(openers[kind](stream), [stream]))
        except BaseException:
            stream.close()
            raise

    return replace(file, filename=filename, opener=opener, path=None, size=0)


def _zstandard(stream: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))


class _ClosingStream(io.RawIOBase):
    """A stream that closes the streams beneath it too."""

    def __init__(self, stream: BinaryIO, beneath: list[BinaryIO]) -> None:
        self._stream, self._beneath = stream, beneath

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return bytes(self._stream.read(-1 if size is None else size))

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            for stream in [self._stream, *self._beneath]:
                stream.close()
        super().close()


def _opened_zip(file: InputFile, stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise ReadError(f"{file.name} is a damaged zip archive: {error}") from None


def _member(file: InputFile, wanted: str | None) -> InputFile:
    with file.seekable() as stream, _opened_zip(file, stream) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        names = [member.filename for member in members if not _is_marker(member.filename)]
        if wanted is None and len(names) != 1:
            shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
            raise ReadError(f"{file.name} has {len(names)} members; choose one by member=: {shown}")
        name = names[0] if wanted is None else wanted
        if name not in names:
            raise ReadError(f"{file.name} has no member {name!r}; it has {', '.join(names[:10])}")
        if archive.getinfo(name).flag_bits & 1:
            raise ReadError(f"member {name!r} of {file.name} is encrypted; decrypt the archive first")

    def opener() -> BinaryIO:
        beneath = file.open()
        try:
            if not beneath.seekable():
                raise ReadError(f"{file.name} is compressed twice: unpack it first")
            archive = zipfile.ZipFile(beneath)
            return cast(
                BinaryIO, _ClosingStream(cast(BinaryIO, archive.open(name)), [cast(BinaryIO, archive), beneath])
            )
        except (NotImplementedError, RuntimeError) as error:
            beneath.close()
            raise ReadError(f"member {name!r} of {file.name} cannot be unpacked: {error}") from None
        except BaseException:
            beneath.close()
            raise

    return replace(
        file, name=f"{file.name}:{name}", filename=PurePosixPath(name).name, opener=opener, path=None, size=0
    )


def _is_marker(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1][:1] in (".", "_")
