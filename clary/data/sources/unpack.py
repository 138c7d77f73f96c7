"""Compressed files as what they hold: gzip, Zstandard, bzip2, xz, and zip with one member or a named one.

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
from clary.data.sources.origin import Origin

MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
ENDINGS = {".gz": "gz", ".gzip": "gz", ".zst": "zst", ".zstd": "zst", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
# Zip archives that are formats themselves, by a member that they have.
_NO_ARCHIVES = ("[Content_Types].xml", "mimetype")


def unpacked(origin: Origin, member: str | None = None) -> Origin:
    """What it holds where it is compressed, else itself; in layers too. Raises ReadError."""
    for _ in range(4):  # an archive of itself never ends
        kind = _kind(origin)
        if kind is None:
            break
        origin, member = (_member(origin, member), None) if kind == "zip" else (_plain(origin, kind), member)
    if member is not None:
        raise ReadError(f"{origin.name} is no zip archive: it has no member {member!r}")
    return origin


def _kind(origin: Origin) -> str | None:
    head = origin.head(6)
    found = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    named = ENDINGS.get(PurePosixPath(origin.file.lower()).suffix)
    if found is None and named is not None and head:
        raise ReadError(f"{origin.name} is named .{named}, but is not compressed so")
    if found == "zip" and named != "zip":
        with origin.seekable() as stream, _opened_zip(origin, stream) as archive:
            names = archive.namelist()
        if any(name in names for name in _NO_ARCHIVES) or all(name.endswith(".npy") for name in names):
            return None
    if found == "bz2" and named is None and not head[3:4].isdigit():
        return None
    return found


def _plain(origin: Origin, kind: str) -> Origin:
    openers: dict[str, Callable[[BinaryIO], BinaryIO]] = {
        "gz": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
        "bz2": lambda stream: cast("BinaryIO", bz2.BZ2File(stream)),
        "xz": lambda stream: cast("BinaryIO", lzma.LZMAFile(stream)),  # noqa: SIM115 (closed by its owner)
        "zst": _zstandard,
    }
    ending = PurePosixPath(origin.file).suffix
    file = origin.file[: -len(ending)] if ending.lower() in ENDINGS else origin.file

    def opened() -> BinaryIO:
        stream = origin.open()
        try:
            return cast("BinaryIO", _Owner(openers[kind](stream), [stream]))
        except BaseException:
            stream.close()
            raise

    return replace(origin, file=file, opened=opened, path=None, size=0)


def _zstandard(stream: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))


class _Owner(io.RawIOBase):
    """A stream that closes what lies beneath it too."""

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
            for one in [self._stream, *self._beneath]:
                one.close()
        super().close()


def _opened_zip(origin: Origin, stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise ReadError(f"{origin.name} is a damaged zip archive: {error}") from None


def _member(origin: Origin, wanted: str | None) -> Origin:
    with origin.seekable() as stream, _opened_zip(origin, stream) as archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir() and not _is_marker(one.filename)]
        if wanted is None and len(names) != 1:
            told = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
            raise ReadError(f"{origin.name} has {len(names)} members; choose one by member=: {told}")
        name = names[0] if wanted is None else wanted
        if name not in names:
            raise ReadError(f"{origin.name} has no member {name!r}; it has {', '.join(names[:10])}")
        if archive.getinfo(name).flag_bits & 1:
            raise ReadError(f"member {name!r} of {origin.name} is encrypted; decrypt the archive first")

    def opened() -> BinaryIO:
        beneath = origin.open()
        try:
            if not beneath.seekable():
                raise ReadError(f"{origin.name} is compressed twice: unpack it first")
            archive = zipfile.ZipFile(beneath)
            return cast(BinaryIO, _Owner(cast(BinaryIO, archive.open(name)), [cast(BinaryIO, archive), beneath]))
        except (NotImplementedError, RuntimeError) as error:
            beneath.close()
            raise ReadError(f"member {name!r} of {origin.name} cannot be unpacked: {error}") from None
        except BaseException:
            beneath.close()
            raise

    return replace(
        origin, name=f"{origin.name}:{name}", file=PurePosixPath(name).name, opened=opened, path=None, size=0
    )


def _is_marker(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1][:1] in (".", "_")
