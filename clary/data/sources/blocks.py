"""The bytes of a text file as blocks of whole rows, in UTF-8."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from clary.data.errors import ReadError

# A longer row comes from a quote that was never closed, or a file that is not text.
MAX_ROW_BYTES = 64 << 20
NO_QUOTES = 'read with quote="" if quotes mean nothing in this file'


@dataclass(frozen=True)
class TextBlock:
    """Whole rows, and the number of the line that the first row begins on."""

    data: bytes
    first_line: int


class Transcoded(io.RawIOBase):
    """A stream of text in some encoding, as UTF-8. Raises ReadError for bytes that are not in that encoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._encoding = encoding
        self._pending = b""
        self._finished = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._pending and not self._finished:
            data = self._stream.read(1 << 20)
            self._finished = not data
            try:
                text = self._decoder.decode(data, final=self._finished)
            except UnicodeDecodeError as error:
                raise ReadError(
                    f"it is not {self._encoding}: {error.reason} ({error.object[error.start : error.end]!r}); "
                    "name the right one by encoding="
                ) from None
            self._pending = text.encode()
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count


def utf8(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The stream as UTF-8; unchanged, with any invalid bytes, where that is its encoding."""
    if encoding != "utf-8":
        return io.BufferedReader(Transcoded(stream, encoding), 1 << 20)
    return stream


def blocks(
    stream: BinaryIO, size: int, *, skip: int, first_line: int, newline: bytes, quote: str, delimiter: str, name: str
) -> Iterator[TextBlock]:
    """Whole rows, about `size` bytes of them at a time.

    skip        bytes to skip first; first_line: the number of the line behind them
    Raises      ReadError where a row does not end within 64 MiB.
    """
    stream.read(skip)
    incomplete = b""
    line = first_line
    while True:
        data = stream.read(size)
        block = incomplete + data
        if not block:
            return
        end = row_end(block, newline, quote, delimiter) if data else len(block)
        if not data and quote and len(turns := quote_turns(block, quote, delimiter)) % 2:
            line += block.count(newline, 0, int(turns[-1]))
            raise ReadError(f"{name}, line {line}: a quote is opened and never closed; {NO_QUOTES}")
        if not end:
            if len(block) > MAX_ROW_BYTES:
                raise ReadError(
                    f"{name}, line {line}: this row does not end within {MAX_ROW_BYTES >> 20} MiB; a quote that is "
                    f"opened and never closed does that; {NO_QUOTES}"
                )
            incomplete = block
            continue
        yield TextBlock(block[:end], line)
        line += block.count(newline, 0, end)
        incomplete = block[end:]


def row_end(block: bytes, newline: bytes, quote: str, delimiter: str) -> int:
    """The position behind the last newline that ends a row and is not within quotes; 0 where there is none."""
    end = block.rfind(newline) + 1
    if not end or not quote or quote.encode() not in block:
        return end
    turns = quote_turns(block, quote, delimiter)
    while end and (before := int(np.searchsorted(turns, end))) % 2:
        # WithConstants quotes: the row began before the quote that is open here.
        end = block.rfind(newline, 0, int(turns[before - 1])) + 1
    return end


def quote_turns(block: bytes, quote: str, delimiter: str) -> NDArray[np.int64]:
    """The positions at which quotes open and close, alternating, in bytes that begin with a row.

    A quote opens at the start of a field only: within a field (5" wide) it is a character. Doubled quotes are skipped.
    """
    letters = np.frombuffer(block, np.uint8)
    quotes: NDArray[np.int64] = np.flatnonzero(letters == ord(quote))
    if not len(quotes):
        return quotes
    begins = np.concatenate([[0], np.flatnonzero(np.diff(quotes) > 1) + 1])  # of runs of quotes
    lengths = np.diff(np.append(begins, len(quotes)))
    runs: NDArray[np.int64] = quotes[begins[lengths % 2 == 1]]
    edges = np.zeros(256, dtype=bool)
    edges[[ord(delimiter) if delimiter else 0, ord("\n"), ord("\r")]] = True
    may_open = edges[letters[np.maximum(runs - 1, 0)]] | (runs == 0)
    if may_open[::2].all():
        return runs
    opened, kept = False, []
    for place, may in enumerate(may_open.tolist()):
        if opened or may:
            opened = not opened
            kept.append(place)
    turns: NDArray[np.int64] = runs[kept]
    return turns
