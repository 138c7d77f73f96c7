"""Files of a directory that a program is still writing to, uploaded as they come to rest.

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

# A file that has not changed for so long has come to rest.
REST_S = 1.0
# O_NONBLOCK: to open a FIFO would wait for who writes to it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which file it is and when it last changed: no program can set that time back."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)


@dataclass(slots=True)
class Settled:
    """What is in S3 already: the path of each file below the output's directory, and the stamp it had."""

    uploaded: dict[str, Stamp] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)

    def has(self, name: str, file: Path) -> bool:
        """Whether this file, as it is now, has been uploaded under this name."""
        return name in self.uploaded and self.uploaded[name] == Stamp.of(file.lstat())

    def look(self, store: ObjectStore, to: S3Uri, tops: Sequence[int], cancelled: Callable[[], bool]) -> None:
        """Upload every file that has come to rest, and is not in S3 as it is. Of equal names the first top's counts.

        tops     descriptors of directories, one for each host
        Raises   ObjectStoreError, TransferCancelled; those before it are uploaded, and the next look begins behind it
        """
        failed = set(self._failed)
        for again in (False, True) if failed else (False,):  # one that cannot be uploaded keeps no other waiting
            seen: set[str] = set()
            for name, folder in (found for top in tops for found in _files_below(top)):
                if cancelled():
                    return
                if name not in seen and (name in failed) is again:
                    self._failed.add(name)
                    self._upload(store, to, name, folder, cancelled)
                    self._failed.discard(name)
                seen.add(name)

    def _upload(self, store: ObjectStore, to: S3Uri, name: str, folder: int, cancelled: Callable[[], bool]) -> None:
        base = name.rpartition("/")[2]
        try:
            now = os.stat(base, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(now.st_mode) or self.uploaded.get(name) == Stamp.of(now) or not _rests(now):
                return
            handle = os.open(base, _READ, dir_fd=folder)
        except OSError:  # gone, or not ours to read: the last look, when the program has ended, will tell
            return
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return  # put in its place meanwhile
            # What is written through a memory mapping changes the time of a page that was clean: so clean them all.
            os.fsync(handle)
            before = os.fstat(handle)
            key = f"{to.key}{name}" if not to.key or to.key.endswith("/") else f"{to.key}/{name}"
            store.upload(Path(f"/proc/self/fd/{handle}"), S3Uri(to.bucket, key), cancelled)
            if Stamp.of(os.fstat(handle)) == Stamp.of(before):
                self.uploaded[name] = Stamp.of(before)
        except OSError as error:
            raise ObjectStoreError(f"Could not read {name}: {error.strerror or error}") from error
        finally:
            os.close(handle)


def _files_below(top: int) -> Iterator[tuple[str, int]]:
    """Each file's path below the directory, and the open folder it is in; folders that are links are left alone."""
    try:
        for folder, _, names, handle in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            inside = folder.removeprefix(".").removeprefix("/")
            for name in sorted(names):
                yield f"{inside}/{name}" if inside else name, handle
    except OSError:
        return  # a folder vanished while it was walked through: there will be another look


def _rests(status: os.stat_result) -> bool:
    return time.time() - status.st_ctime >= REST_S
