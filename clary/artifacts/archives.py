"""model.tar.gz, in and out.

Entries stand at the archive's root. Symbolic links that stay inside the directory are kept as links; those that lead
out of it, and what is neither file, folder nor link, are left out going in and refused coming out.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from clary.artifacts import files
from clary.artifacts.base import ObjectStore, S3Uri, TransferCancelled, never
from clary.artifacts.packing import Packing
from clary.artifacts.uploaded_files import UploadedFiles
from clary.core.errors import ObjectStoreError
from clary.core.tasks import Output

_CHUNK = 1 << 20
_HEADER_BYTES = 16 << 20  # of one member; tar reads them into memory whole


@dataclass(frozen=True, slots=True)
class Limits:
    """An archive beyond these is taken for a decompression bomb."""

    members: int = 1_000_000
    ratio: int = 200  # unpacked bytes per byte of the archive,
    free_bytes: int = 1 << 30  # where it unpacks to more than this


LIMITS = Limits()


def unpack(
    archive: Path,
    target: Path,
    name: str = "",
    limits: Limits = LIMITS,
    cancelled: Callable[[], bool] = never,
) -> None:
    """Unpack a .tar.gz into a directory.

    name    what to call the archive in an error, e.g. its URI
    Raises  ObjectStoreError for what is not a .tar.gz, is cut off or damaged, has a member that leads out of the
            target, or unpacks to far more than it promises; TransferCancelled
    """
    name = name or str(archive)
    try:
        with archive.open("rb") as file, gzip.GzipFile(fileobj=file) as plain:
            largest = max(limits.free_bytes, os.fstat(file.fileno()).st_size * limits.ratio)
            unpacking = _Unpacking(target, name, limits.members, largest, cancelled)
            unpacking.all(_Bounded(plain, name))
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile, UnicodeError) as error:
        raise ObjectStoreError(f"{name} is not a valid gzip-compressed tar archive: {error}") from error
    except OSError as error:
        raise ObjectStoreError(f"Could not unpack {name}: {files.reason(error)}") from error


class _Bounded:
    """What tar reads from: no more than it may for the member in hand."""

    def __init__(self, plain: gzip.GzipFile, name: str) -> None:
        self.plain = plain
        self.name = name
        self.budget = _HEADER_BYTES

    def read(self, size: int) -> bytes:
        data = self.plain.read(size)
        self.budget -= len(data)
        if self.budget < 0:
            raise ObjectStoreError(
                f"{self.name} was not unpacked: it holds a header of more than {_HEADER_BYTES} bytes"
            )
        return data


class _Unpacking:
    """Members of one archive becoming files below a directory."""

    def __init__(self, target: Path, name: str, members: int, largest: int, cancelled: Callable[[], bool]) -> None:
        target.mkdir(parents=True, exist_ok=True)
        self.top = target.resolve()
        self.name = name
        self.members = members
        self.left = self.largest = largest
        self.cancelled = cancelled
        self.links: list[tuple[tarfile.TarInfo, Path]] = []

    def all(self, source: _Bounded) -> None:
        with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r|") as archive:
            for count, member in enumerate(archive, 1):
                source.budget = member.size + _HEADER_BYTES
                self._count(count, member)
                if (path := self._place(member)) is not None:
                    self._make(archive, member, path)
        while source.read(_CHUNK):  # tar may stop before the end, where the checksum stands
            pass
        for member, path in self.links:  # the target of a link may have come after it
            self._check_link(member, path.resolve())

    def _count(self, count: int, member: tarfile.TarInfo) -> None:
        if count > self.members:
            raise ObjectStoreError(f"{self.name} was not unpacked: it holds more than {self.members} members")
        self.left -= member.size
        if self.left < 0 or member.size < 0:
            raise ObjectStoreError(
                f"{self.name} was not unpacked: it would come to more than {self.largest} bytes, "
                "far more than its own size promises"
            )

    def _place(self, member: tarfile.TarInfo) -> Path | None:
        """Where the member goes; None for the top itself."""
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name:
            raise self._refused(member, "it leads out of the directory it is unpacked to")
        if not path.parts:
            return None
        parent = (self.top / path.parent).resolve()
        if not parent.is_relative_to(self.top):
            raise self._refused(member, "it goes through a link that leads out of the directory it is unpacked to")
        parent.mkdir(parents=True, exist_ok=True)
        return parent / path.name

    def _make(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if member.isdir():
            if path.is_symlink():
                path.unlink()
            path.mkdir(exist_ok=True)
        elif member.isreg():
            self._write(archive, member, path)
        elif member.issym():
            self._check_link(member, (path.parent / member.linkname).resolve())
            self._clear(path)
            path.symlink_to(member.linkname)
            self.links.append((member, path))
        elif member.islnk():
            source = (self.top / member.linkname).resolve()
            self._check_link(member, source)
            if not source.is_file():
                raise self._refused(member, f'it is a link to "{member.linkname}", which is not a file before it')
            if source != path:
                self._clear(path)
                os.link(source, path)
        else:
            raise self._refused(member, "it is neither a file, a folder nor a link")

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        content = archive.extractfile(member)
        assert content is not None
        self._clear(path)
        with files.new_file(path, mode=(member.mode & 0o755) | 0o600) as handle, os.fdopen(os.dup(handle), "wb") as to:
            written = 0
            while chunk := content.read(_CHUNK):
                if self.cancelled():
                    raise TransferCancelled(f"Unpacking {self.name} was cancelled")
                written += to.write(chunk)
        if written != member.size:
            raise tarfile.ReadError(f'it ends within "{member.name}"')
        with contextlib.suppress(OSError, OverflowError, ValueError):
            os.utime(path, (member.mtime, member.mtime))

    def _check_link(self, member: tarfile.TarInfo, leads_to: Path) -> None:
        if PurePosixPath(member.linkname).is_absolute() or not leads_to.is_relative_to(self.top):
            raise self._refused(member, f'it is a link to "{member.linkname}", which leads out of the directory')

    def _clear(self, path: Path) -> None:
        """Make room: a later member of the same name wins, as with tar."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _refused(self, member: tarfile.TarInfo, reason: str) -> ObjectStoreError:
        return ObjectStoreError(f'{self.name} was not unpacked: its member "{member.name}" is refused: {reason}')


def collect(
    store: ObjectStore,
    output: Output,
    directories: Sequence[Path],
    cancelled: Callable[[], bool] = never,
    uploaded_files: UploadedFiles | None = None,
) -> str:
    """Upload what the hosts left in their directories, merged; where names meet, the first host's wins.

    uploaded_files  plain files that were uploaded while the program ran, and need not be again
    Returns  the URI, or "" where there was nothing to upload (and the output need not be there empty)
    Raises   ObjectStoreError; an archive is then not there at all, of plain files some may be
    """
    try:
        uri = S3Uri.parse(output.uri)
    except ValueError as error:
        raise ObjectStoreError(str(error)) from error
    with files.as_store_error(f"Could not read {output.path}"):
        entries = _merged(directories, output.links)
    if not entries and not output.empty:
        return ""
    if output.archive:
        _upload_archive(store, uri, directories, entries, cancelled)
        return output.uri
    return output.uri if _upload_files(store, uri, entries, cancelled, uploaded_files) or output.empty else ""


def _merged(directories: Sequence[Path], links: bool) -> dict[str, Path]:
    """Everything below the directories by its path there, sorted: a folder comes before what is in it."""
    found: dict[str, Path] = {}
    for top in directories:
        for path in _below(top, links):
            name = path.relative_to(top).as_posix()
            above = found.get(name.rpartition("/")[0])
            if above is None or _is_folder(above):
                found.setdefault(name, path)
    return dict(sorted(found.items(), key=lambda item: item[0].split("/")))


def _below(top: Path, links: bool) -> Iterator[Path]:
    """Folders, files, and where they are wanted the links that stay inside; parents first."""
    for folder, inner, names in os.walk(top, onerror=_fail):
        for name in inner + names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (links and stat.S_ISLNK(mode) and _leads_inside(path, top)):
                yield path


def _fail(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _leads_inside(link: Path, top: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(top.resolve())
    except (OSError, RuntimeError):  # leads nowhere, or in a circle
        return False


def _upload_files(
    store: ObjectStore,
    uri: S3Uri,
    entries: dict[str, Path],
    cancelled: Callable[[], bool],
    uploaded_files: UploadedFiles | None,
) -> int:
    """How many files are there now."""
    prefix = uri.key if not uri.key or uri.key.endswith("/") else f"{uri.key}/"
    uploaded = 0
    for name, path in entries.items():
        if path.is_file():  # also the one that a link leads to; linked folders are not followed
            if uploaded_files is None or not uploaded_files.has(name, path):
                store.upload(path, S3Uri(uri.bucket, prefix + name), cancelled)
            uploaded += 1
    return uploaded


def _upload_archive(
    store: ObjectStore,
    uri: S3Uri,
    directories: Sequence[Path],
    entries: dict[str, Path],
    cancelled: Callable[[], bool],
) -> None:
    beside = next((top.parent for top in directories if top.parent.is_dir()), Path(tempfile.gettempdir()))
    # Without a name from the start: whatever process dies, no file is left.
    with files.as_store_error(f"Could not pack {uri}"), tempfile.TemporaryFile(dir=beside) as archive:
        with Packing(archive, [top.resolve() for top in directories], cancelled) as packing:
            for name, path in entries.items():
                packing.add(name, path)
        archive.flush()
        store.upload(Path(f"/proc/self/fd/{archive.fileno()}"), uri, cancelled)
