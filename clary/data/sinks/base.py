"""What a format of files promises a sink."""

from __future__ import annotations

from typing import IO, Protocol

from clary.data.batch import Batch
from clary.data.sinks.columns import Columns


class OpenFile(Protocol):
    """A file that is being written."""

    def write(self, batch: Batch) -> None: ...

    def close(self) -> None:
        """Write what is still held back, and flush the stream, which stays open."""
        ...


class Format(Protocol):
    """A format of files, with its options. `sparse`: whether a sparse block stays sparse in it."""

    @property
    def ending(self) -> str: ...

    @property
    def sparse(self) -> bool: ...

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile: ...
