"""The protocol of an object store. Synchronous: supervisors call it directly, the server from a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clary.core.errors import ObjectStoreError


class TransferCancelled(ObjectStoreError):
    """The caller's `cancelled` was true; the object or file that was being written does not exist."""


def never() -> bool:
    """For a transfer that nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach S3. `folder` is set where the embedded S3's buckets lie on this machine."""

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class S3Uri:
    """s3://bucket/key; the key may be empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Uri:
        """Raises ValueError for what is not an S3 URI (https://s3.amazonaws.com/bucket/key forms are understood)."""
        from clary.artifacts.uris import parse  # the forms AWS accepts are a page of their own

        return cls(*parse(uri))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Stored:
    """One object. `path` is its file on this machine, None where there is no such file."""

    key: str
    size: int
    path: Path | None = None


class ObjectStore(Protocol):
    """Objects by bucket and key. Every method raises ObjectStoreError, its text fit for a FailureReason."""

    def exists(self, uri: S3Uri) -> bool:
        """Whether there is an object of exactly this key."""
        ...

    def find(self, uri: S3Uri) -> Stored | None:
        """The object of exactly this key, or None."""
        ...

    def list(self, prefix: S3Uri) -> Iterator[Stored]:
        """Every object whose key starts with the prefix's, sorted by key (as UTF-8 bytes).

        A bucket that does not exist has none.
        """
        ...

    def read(self, uri: S3Uri) -> bytes:
        """The whole of a small object."""
        ...

    def download(self, uri: S3Uri, to: Path, cancelled: Callable[[], bool] = never) -> None:
        """Copy an object to a new file of the caller's own; an existing file is replaced.

        cancelled   asked between chunks; where it is true, TransferCancelled is raised
        """
        ...

    def upload(self, file: Path, uri: S3Uri, cancelled: Callable[[], bool] = never) -> None:
        """Put a file: the object is whole or absent, whatever dies in the middle."""
        ...

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket; nothing happens where it exists."""
        ...
