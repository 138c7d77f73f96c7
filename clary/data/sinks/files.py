"""Files that are complete or absent: written under temporary names, and renamed or uploaded at the end."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any

from clary.data.errors import DataError

PART = re.compile(r"part-\d{5}\.")


def files_at(target: str, ending: str, *, many: bool) -> Files:
    """The files of a target: the target itself, or parts in it. Raises DataError where they cannot be written."""
    if not target or "\0" in target:
        raise DataError(f"{target!r} is not a path")
    if target.startswith("s3://"):
        return S3Files(target, ending, many)
    if "://" in target and not target.startswith("file://"):
        raise DataError(f"{target}: write to a path, file:// or s3://")
    if target.startswith("file://"):
        from clary.data.sources.locate import local_path

        target = local_path(target)
    return LocalFiles(Path(target).expanduser(), ending, many)


class Files(ABC):
    """New files, in order. `keep` gives all of them their final names; `drop` removes them."""

    def __init__(self, ending: str, many: bool) -> None:
        self._ending, self._many = ending, many
        self._files: list[tuple[Path, str]] = []  # (temporary path, final name)
        self._open: list[IO[bytes]] = []

    def new(self) -> IO[bytes]:
        """Raises DataError."""
        name = f"part-{len(self._files):05d}{self._ending}" if self._many else ""
        try:
            descriptor, path = tempfile.mkstemp(prefix=".clary-", suffix=".part", dir=self._folder())
        except OSError as error:
            raise DataError(f"nothing can be written to {self._target_name()}: {error.strerror}") from None
        self._files.append((Path(path), name))
        stream = os.fdopen(descriptor, "wb", buffering=1 << 20)
        self._open.append(stream)
        return stream

    def keep(self) -> list[str]:
        """Give all files their final names, and return those. Raises DataError, and then leaves no file behind."""
        try:
            for stream in self._open:
                stream.close()
            return self._finish(self._files)
        except OSError as error:
            raise DataError(f"{self._target_name()} cannot be written: {error.strerror or error}") from None
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove the files that were not kept."""
        for stream in self._open:
            with contextlib.suppress(OSError):  # a full disk may have no room for buffered data
                stream.close()
        for path, _ in self._files:
            path.unlink(missing_ok=True)
        self._files, self._open = [], []

    @abstractmethod
    def _folder(self) -> Path | None: ...

    @abstractmethod
    def _target_name(self) -> str: ...

    @abstractmethod
    def _finish(self, files: list[tuple[Path, str]]) -> list[str]: ...


class LocalFiles(Files):
    def __init__(self, target: Path, ending: str, many: bool) -> None:
        super().__init__(ending, many)
        self._target = target
        if many:
            if target.exists() and not target.is_dir():
                raise DataError(f"{target} is a file; parts are written to a folder")
            if target.is_dir() and any(PART.match(file.name) for file in target.iterdir()):
                raise DataError(f"{target} has parts already, which would be mixed with these: name another folder")
        elif target.is_dir():
            raise DataError(f"{target} is a folder: name a file in it, or write parts by rows_per_file or shards")

    def _target_name(self) -> str:
        return str(self._target)

    def _folder(self) -> Path:
        folder = self._target if self._many else self._target.parent
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _finish(self, files: list[tuple[Path, str]]) -> list[str]:
        done: list[Path] = []
        mask = os.umask(0)
        os.umask(mask)
        try:
            for path, name in files:
                final = self._target / name if name else self._target
                path.chmod(0o666 & ~mask)  # mkstemp's files are for their owner only
                path.replace(final)
                done.append(final)
        except OSError:
            for file in done:
                file.unlink(missing_ok=True)
            raise
        return [str(file) for file in done]


class S3Files(Files):
    """Files that stay on this machine until all are complete, and are uploaded then."""

    def __init__(self, target: str, ending: str, many: bool) -> None:
        from clary.data.sources.s3 import client, split

        super().__init__(ending, many)
        self._bucket, self._key = split(target)
        if not many and (not self._key or self._key.endswith("/")):
            raise DataError(f"{target} names no object: name one, or write parts by rows_per_file or shards")
        self._s3: Any = client()
        if many:
            self._key = self._key.rstrip("/") + "/" if self._key else ""

    def _target_name(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    def _folder(self) -> None:
        return None

    def _finish(self, files: list[tuple[Path, str]]) -> list[str]:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        done: list[str] = []
        try:
            for path, name in files:
                self._s3.upload_file(str(path), self._bucket, self._key + name)  # aborts its own multipart upload
                done.append(self._key + name)
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            for key in done:
                with contextlib.suppress(BotoCoreError, ClientError):  # the first failure is the one to report
                    self._s3.delete_object(Bucket=self._bucket, Key=key)
            raise DataError(f"{self._target_name()} cannot be written: {error}") from None
        return [f"s3://{self._bucket}/{key}" for key in done]
