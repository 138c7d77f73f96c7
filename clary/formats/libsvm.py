"""LibSVM: `label[:weight] [qid:query] index:value index:value …`, indices from 0; absent features are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.formats.table import FormatError, Source, Table, check_unique, contents, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Files are parsed in pieces of about this size, so that intermediate arrays stay small.
PIECE_BYTES = 16 * 1024 * 1024
MAX_INDEX = 2**31 - 2
# A query is rewritten as a feature of this index, so that all numbers of a piece can be converted at once.
QUERY = -1

LINE = re.compile(rb"\s*[^\s:]+(:[^\s:]+)?(\s+(qid|[0-9]+):[^\s:]+)*\s*")
LINE_WITHOUT_LABEL = re.compile(rb"\s*([^\s:]+(\s+|$))?((qid|[0-9]+):[^\s:]+(\s+|$))*")


def read_libsvm(source: Source, labelled: bool = True) -> Table:
    """labelled  each line begins with its label; otherwise a label may be there and is ignored
    Raises       FormatError naming file and line.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    pieces = [_read(piece, first, labelled, source) for piece, first in _pieces(contents(source))]
    if not pieces:
        return Table(csr_matrix((0, 0), dtype=np.float32), labels=np.empty(0, np.float32) if labelled else None)
    counts = np.concatenate([piece.counts for piece in pieces])
    indices = np.concatenate([piece.indices for piece in pieces])
    values = np.concatenate([piece.values for piece in pieces])
    columns = int(indices.max()) + 1 if len(indices) else 0
    features = csr_matrix(
        (values, indices, np.concatenate([[0], np.cumsum(counts)])), shape=(len(counts), columns), dtype=np.float32
    )
    check_unique(features, name_of(source))
    return Table(
        features=features,
        labels=np.concatenate([piece.labels for piece in pieces]) if labelled else None,
        weights=_all_or_none([piece.weights for piece in pieces], "a weight", source) if labelled else None,
        groups=_all_or_none([piece.groups for piece in pieces], "a qid", source),
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    labels: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    groups: NDArray[np.int64] | None
    counts: NDArray[np.int64]  # features per row
    indices: NDArray[np.int32]
    values: NDArray[np.float32]


def _pieces(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Whole lines without comments, and the number of the first line."""
    start, line = 0, 1
    while start < len(data):
        end = data.find(b"\n", start + PIECE_BYTES) + 1 or len(data)
        piece = data[start:end]
        if b"#" in piece:
            piece = re.sub(rb"#[^\n]*", b"", piece)
        if piece.strip():
            yield piece, line
        start, line = end, line + piece.count(b"\n")


def _read(piece: bytes, first_line: int, labelled: bool, source: Source) -> _Piece:
    try:
        return _numbers(piece, labelled)
    except ValueError:
        raise FormatError(_error_text(piece, first_line, labelled, name_of(source))) from None


def _numbers(piece: bytes, labelled: bool) -> _Piece:
    """Raises ValueError, without the place, where a line is not well-formed."""
    import numpy as np

    queries = b"qid:" in piece
    if queries:
        piece = piece.replace(b"qid:", b"-1:")
    tokens, pairs, leading = _shape(piece)
    numbers = np.fromiter(map(float, piece.replace(b":", b" ").split()), dtype=np.float64)
    _require(len(numbers) == tokens.sum() + pairs.sum())

    ends = np.cumsum(tokens + pairs)
    starts = ends - tokens - pairs
    bare = tokens == pairs + 1  # a token without a colon: the label
    _require(bool(np.all(bare | (tokens == pairs))))
    _require(bool(np.all(leading == bare)))
    is_weighted = ~bare if labelled else np.zeros_like(bare)
    labels = np.where(bare | is_weighted, numbers[np.minimum(starts, len(numbers) - 1)], np.nan)
    weights = numbers[starts[is_weighted] + 1]

    keep = np.ones(len(numbers), dtype=bool)
    keep[starts[bare]] = False
    keep[starts[is_weighted]] = False
    keep[starts[is_weighted] + 1] = False
    body = numbers[keep].reshape(-1, 2)
    per_row = pairs - is_weighted
    keys = body[:, 0].astype(np.int64)
    _require(bool(np.all(keys == body[:, 0])) and bool(np.all(keys <= MAX_INDEX)))
    _require(bool(np.all(keys >= (QUERY if queries else 0))))
    row_of = np.repeat(np.arange(len(tokens)), per_row)
    is_query = keys == QUERY
    _require(len(np.unique(row_of[is_query])) == int(is_query.sum()))
    if labelled:
        _require(not np.isnan(labels).any())
    return _Piece(
        labels=labels.astype(np.float32),
        weights=_per_row(weights, len(weights), len(tokens), np.float32),
        groups=_per_row(body[is_query, 1], int(is_query.sum()), len(tokens), np.int64),
        counts=np.bincount(row_of[~is_query], minlength=len(tokens)).astype(np.int64),
        indices=keys[~is_query].astype(np.int32),
        values=body[~is_query, 1].astype(np.float32),
    )


def _shape(piece: bytes) -> tuple[Any, Any, Any]:
    """Per non-empty line: number of tokens, number of those with a colon, whether the first has none."""
    import numpy as np

    characters = np.frombuffer(piece, dtype=np.uint8)
    newline = characters == ord("\n")
    blank = newline | (characters == ord(" ")) | (characters == ord("\t")) | (characters == ord("\r"))
    begins = ~blank
    begins[1:] &= blank[:-1]
    colon = characters == ord(":")
    token_of = np.cumsum(begins, dtype=np.int64)
    with_colon = token_of[colon]
    _require(bool(np.all(np.diff(with_colon) > 0)))  # at most one colon in a token
    line_starts = np.concatenate([[0], np.flatnonzero(newline[:-1]) + 1])
    tokens = np.add.reduceat(begins, line_starts, dtype=np.int64)
    pairs = np.add.reduceat(colon, line_starts, dtype=np.int64)
    used = tokens > 0
    first_token = np.cumsum(tokens)[used] - tokens[used] + 1
    return tokens[used], pairs[used], ~np.isin(first_token, with_colon)


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


def _per_row(values: Any, found: int, rows: int, dtype: Any) -> Any:
    """None where no row has a value; an empty array, which fits no table, where only some rows have."""
    if found == 0:
        return None
    return values.astype(dtype) if found == rows else values[:0].astype(dtype)


def _all_or_none(parts: list[Any], kind: str, source: Source) -> Any:
    import numpy as np

    if all(part is None for part in parts):
        return None
    if any(part is None or len(part) == 0 for part in parts):
        raise FormatError(f"{name_of(source)}: some lines have {kind} and others have none.")
    return np.concatenate(parts)


def _error_text(piece: bytes, first_line: int, labelled: bool, name: str) -> str:
    expected = "<label>[:<weight>] <index>:<value> …" if labelled else "[<label>] <index>:<value> …"
    for number, line in enumerate(piece.split(b"\n"), first_line):
        if line.strip() and not _is_well_formed(line, labelled):
            return f"{name}, line {number}: {line[:50].decode('utf-8', 'replace')!r} is not LIBSVM: {expected}."
    return f"{name} is not LIBSVM: {expected}."


def _is_well_formed(line: bytes, labelled: bool) -> bool:
    if not (LINE if labelled else LINE_WITHOUT_LABEL).fullmatch(line):
        return False
    try:
        for token in line.replace(b"qid:", b"0:").split():
            index, colon, value = token.partition(b":")
            float(value or b"0")
            if float(index) > MAX_INDEX and colon:
                return False
    except ValueError:
        return False
    return True
