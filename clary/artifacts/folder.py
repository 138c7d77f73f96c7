"""The embedded S3's buckets, in place: a folder per bucket, a file per object.

The server of the embedded S3 works on the same folder. Both put an object as a hidden file beside its place and
rename it, so what either writes is whole or absent for the other. Paths are walked a folder at a time without
following symbolic links: no key leads out of its bucket.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clary.artifacts import files
from clary.artifacts.base import S3Uri, Stored, never
from clary.artifacts.uris import BUCKET, KEY_BYTES
from clary.core.errors import ObjectStoreError

# Names the S3 server itself gives to what is not an object yet, and hides from its listings.
HIDDEN = (".rclone_temp_", ".rclone_multipart_upload_")
_TEMPORARY = ".rclone_temp_put_"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# What open answers where a key leads nowhere: absent, below an object, through a link, too long.
_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
_ATTEMPTS = 5  # the S3 server clears away folders that have become empty, perhaps a folder just made


class FolderStore:
    """Objects as files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self, uri: S3Uri) -> bool:
        return self.find(uri) is not None

    def find(self, uri: S3Uri) -> Stored | None:
        if (handle := self._open(uri)) is None:
            return None
        try:
            return Stored(uri.key, os.fstat(handle).st_size, self.folder / uri.bucket / uri.key)
        finally:
            os.close(handle)

    def list(self, prefix: S3Uri) -> Iterator[Stored]:
        inside, _, start = prefix.key.rpartition("/")
        parts = inside.split("/") if inside else []
        bucket = self.folder / prefix.bucket
        if not BUCKET.fullmatch(prefix.bucket) or _fault(parts):
            return
        for depth in range(len(parts) + 1):
            if bucket.joinpath(*parts[:depth]).is_symlink():
                return
        yield from _walk(bucket.joinpath(*parts), f"{inside}/" if parts else "", start)

    def read(self, uri: S3Uri) -> bytes:
        handle = self._require(uri)
        with files.as_store_error(f"Could not read {uri}"), os.fdopen(handle, "rb") as file:
            return file.read()

    def download(self, uri: S3Uri, to: Path, cancelled: Callable[[], bool] = never) -> None:
        source = self._require(uri)
        try:
            with files.as_store_error(f"Could not copy {uri} to {to}"), files.new_file(to) as target:
                files.copy(source, target, cancelled)
        finally:
            os.close(source)

    def upload(self, file: Path, uri: S3Uri, cancelled: Callable[[], bool] = never) -> None:
        parts = uri.key.split("/")
        if fault := _fault(parts) or _forbidden(uri.key):
            raise ObjectStoreError(f"Could not write {uri}: {fault}; choose another key")
        with files.as_store_error(f"Could not write {uri}: cannot read {file}"):
            source = os.open(file, os.O_RDONLY)
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    os.lseek(source, 0, os.SEEK_SET)
                    return self._put(source, uri, parts, cancelled)
                except (FileNotFoundError, BlockingIOError):  # also a sweep that came before the lock
                    if attempt == _ATTEMPTS - 1:
                        raise
        except OSError as error:
            raise ObjectStoreError(f"Could not write {uri}: {_upload_error(error)}") from error
        finally:
            os.close(source)

    def make_bucket(self, bucket: str) -> None:
        if not BUCKET.fullmatch(bucket):
            raise ObjectStoreError(f'"{bucket}" cannot be the name of a bucket')
        with files.as_store_error(f'Could not make the bucket "{bucket}"'):
            (self.folder / bucket).mkdir(parents=True, exist_ok=True)

    def _put(self, source: int, uri: S3Uri, parts: Sequence[str], cancelled: Callable[[], bool]) -> None:
        *folders, name = parts
        place = self._enter(uri.bucket, folders, make=True)
        temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
            try:
                fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)  # so that no sweep removes it
                files.copy(source, target, cancelled)
                os.fsync(target)
                os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=place)
                raise
            finally:
                os.close(target)
            os.fsync(place)
        except BaseException:
            self._clear_empty(uri.bucket, folders)
            raise
        finally:
            os.close(place)

    def _enter(self, bucket: str, folders: Sequence[str], make: bool = False) -> int:
        """An open folder of a bucket. Raises OSError where there is none, or a link on the way."""
        if not BUCKET.fullmatch(bucket):
            raise _no_bucket(bucket)
        try:
            handle = os.open(self.folder / bucket, _FOLDER)
        except OSError as error:
            raise _no_bucket(bucket) from error
        for name in folders:
            try:
                inner = _open_folder(name, handle, make)
            finally:
                os.close(handle)
            handle = inner
        return handle

    def _open(self, uri: S3Uri) -> int | None:
        """The object's file, open for reading; None where there is no such object."""
        *folders, name = parts = uri.key.split("/")
        if _fault(parts):
            return None
        try:
            place = self._enter(uri.bucket, folders)
            try:
                # O_NONBLOCK: to open a FIFO in the folder would wait for a writer.
                handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
            finally:
                os.close(place)
        except _NoBucketError:
            return None
        except OSError as error:
            if error.errno in _NOWHERE:
                return None
            raise ObjectStoreError(f"Could not open {uri}: {files.reason(error)}") from error
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        return None

    def _require(self, uri: S3Uri) -> int:
        if (handle := self._open(uri)) is None:
            raise ObjectStoreError(f"There is no object {uri}")
        return handle

    def _clear_empty(self, bucket: str, folders: Sequence[str]) -> None:
        for depth in range(len(folders), 0, -1):
            try:
                self.folder.joinpath(bucket, *folders[:depth]).rmdir()
            except OSError:
                return


class _NoBucketError(OSError):
    pass


def _no_bucket(bucket: str) -> _NoBucketError:
    return _NoBucketError(0, f'the bucket "{bucket}" does not exist; make it, or name another')


def _open_folder(name: str, inside: int, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=inside)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=inside)
        os.fsync(inside)
    return os.open(name, _FOLDER, dir_fd=inside)


def _walk(top: Path, prefix: str, start: str) -> Iterator[Stored]:
    """The objects below a folder whose names there begin with `start`, in the order of their keys."""
    stack = [iter(_entries(top, start))]
    prefixes = [prefix]
    while stack:
        if (entry := next(stack[-1], None)) is None:
            stack.pop()
            prefixes.pop()
        elif entry.is_dir(follow_symlinks=False):
            stack.append(iter(_entries(Path(entry.path))))
            prefixes.append(f"{prefixes[-1]}{entry.name}/")
        else:
            with contextlib.suppress(FileNotFoundError):
                size = entry.stat(follow_symlinks=False).st_size
                yield Stored(prefixes[-1] + entry.name, size, Path(entry.path))


def _entries(folder: Path, start: str = "") -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name.startswith(start) and _visible(entry)]
    except OSError as error:
        if error.errno in _NOWHERE:
            return []
        raise ObjectStoreError(f"Could not list {folder}: {files.reason(error)}") from error
    # All keys below a folder start with its name and "/", so that is what it sorts by: a.txt, a/x, a0.
    found.sort(key=lambda entry: os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b""))
    return found


def _visible(entry: os.DirEntry[str]) -> bool:
    try:
        entry.name.encode()
    except UnicodeEncodeError:  # no key has such a name
        return False
    if entry.is_dir(follow_symlinks=False):
        return True
    return entry.is_file(follow_symlinks=False) and not entry.name.startswith(HIDDEN)


def _fault(parts: Sequence[str]) -> str:
    """Why a key cannot be a path below its bucket; "" where it can."""
    if any(part in ("", ".", "..") for part in parts):
        return 'it is empty, starts or ends with "/", or has a part that is empty, "." or ".."'
    if any("\0" in part for part in parts):
        return "it holds a NUL character"
    try:
        size = len("/".join(parts).encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"it is longer than {KEY_BYTES} bytes" if size > KEY_BYTES else ""


def _forbidden(key: str) -> str:
    """Why the S3 server could not serve such a key again; "" where it can."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in key):
        return "it holds a control character"
    return "its name is reserved for uploads under way" if key.rpartition("/")[2].startswith(HIDDEN) else ""


def _upload_error(error: OSError) -> str:
    if error.errno == errno.EISDIR:
        return 'there are objects below it ("…/"), and a file cannot be a folder too; choose another key'
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return "a part of its key is an object, or a symbolic link, and cannot be a folder too; choose another key"
    return files.reason(error)
