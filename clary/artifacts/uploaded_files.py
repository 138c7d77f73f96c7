"""Files of a directory that a program is still writing to, uploaded once they have not changed for a while.

Whoever writes there is not trusted: it may put links where folders were at any moment. So directories are handed over
open, walked by their descriptors, and no link is followed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clary.artifacts.base import ObjectStore, S3Uri
from clary.core.errors import ObjectStoreError

# A file that has not changed for so long is taken to be complete.
STABLE_AFTER_S = 1.0
# O_NONBLOCK: to open a FIFO would wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FileVersion:
    """Which file it is and when it last changed: no program can set that time back."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def from_stat(cls, status: os.stat_result) -> FileVersion:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)


@dataclass(slots=True)
class UploadedFiles:
    """What is in S3 already: the path of each file below the output's directory, and the version that was uploaded."""

    uploaded: dict[str, FileVersion] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    def has(self, name: str, file: Path) -> bool:
        """Whether this file, as it is now, has been uploaded under this name."""
        return name in self.uploaded and self.uploaded[name] == FileVersion.from_stat(file.lstat())

    def upload_stable(
        self, store: ObjectStore, to: S3Uri, directories: Sequence[int], cancelled: Callable[[], bool]
    ) -> None:
        """Upload every stable file whose version is not in S3. Of equal names the first directory's counts.

        directories   descriptors, one for each host
        Raises        ObjectStoreError, TransferCancelled: files before the failed one are uploaded, and the next call
                      begins with those behind it
        """
        failed = set(self._failed)
        for retrying in (False, True) if failed else (False,):  # files that failed before do not hold up others
            seen: set[str] = set()
            for name, folder in (found for directory in directories for found in _files_below(directory)):
                if cancelled():
                    return
                if name not in seen and (name in failed) is retrying:
                    self._failed.add(name)
                    self._upload(store, to, name, folder, cancelled)
                    self._failed.discard(name)
                seen.add(name)

    def _upload(self, store: ObjectStore, to: S3Uri, name: str, folder: int, cancelled: Callable[[], bool]) -> None:
        base = name.rpartition("/")[2]
        try:
            now = os.stat(base, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(now.st_mode) or self.uploaded.get(name) == FileVersion.from_stat(now):
                return
            if not _is_stable(now):
                return
            handle = os.open(base, _READ, dir_fd=folder)
        except OSError:  # removed, or not readable: collecting reports it, when the program has ended
            return
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return  # put in its place meanwhile
            # What is written through a memory mapping changes the time of a page that was clean: so clean them all.
            os.fsync(handle)
            before = FileVersion.from_stat(os.fstat(handle))
            key = f"{to.key}{name}" if not to.key or to.key.endswith("/") else f"{to.key}/{name}"
            store.upload(Path(f"/proc/self/fd/{handle}"), S3Uri(to.bucket, key), cancelled)
            if FileVersion.from_stat(os.fstat(handle)) == before:
                self.uploaded[name] = before
        except OSError as error:
            raise ObjectStoreError(f"Could not read {name}: {error.strerror or error}") from error
        finally:
            os.close(handle)


def _files_below(directory: int) -> Iterator[tuple[str, int]]:
    """Each file's path below the directory, and the open folder it is in; folders that are links are left out."""
    try:
        for folder, _, names, handle in os.fwalk(".", dir_fd=directory, follow_symlinks=False):
            inside = folder.removeprefix(".").removeprefix("/")
            for name in sorted(names):
                yield f"{inside}/{name}" if inside else name, handle
    except OSError:
        return  # a folder was removed while it was walked through: its files come with the next call


def _is_stable(status: os.stat_result) -> bool:
    return time.time() - status.st_ctime >= STABLE_AFTER_S
