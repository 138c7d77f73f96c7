"""libsvm: `label [qid:query] index:value …`; what is absent is zero, as scikit-learn reads it."""

from __future__ import annotations

from typing import Any

import numpy as np

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.input_file import InputFile
from clary.data.sources.matrices import MatrixScan
from clary.data.sources.read_options import ReadOptions

OPTIONS: frozenset[str] = frozenset()
MAX_FEATURES = 50_000_000


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Columns label, qid where there is one, and f0, f1 … by the indices in the file (f1 … where none is 0).

    Raises ReadError naming the line.
    """
    from sklearn.datasets import load_svmlight_file

    with file.reading(), file.open() as stream:
        data = stream.read()
    if b"\0" in data:
        raise ReadError(f"{file.name} is not libsvm: it has NUL bytes")
    if not data.strip():
        raise ReadError(f"{file.name} is empty: it has neither columns nor rows")
    matrix, label, queries = _loaded(data, file, load_svmlight_file)
    first: dict[str, Any] = {"label": label}
    if b"qid:" in data and len(queries) == len(label):
        first["qid"] = queries
    notes = [Note("The file was read whole; features that are absent in a row are 0.")]
    start = 0
    if matrix.shape[1] and not (matrix.indices == 0).any():
        matrix, start = matrix[:, 1:], 1
        notes.append(Note("Indices begin at 1: the first column is f1.", "f1"))
    return MatrixScan(first, [f"f{place}" for place in range(start, start + matrix.shape[1])], matrix, notes)


def _loaded(data: bytes, file: InputFile, load: Any) -> tuple[Any, Any, Any]:
    import io

    try:
        matrix, label, queries = load(io.BytesIO(data), zero_based=True, query_id=True)
    except Exception as error:  # of many types, for invalid text
        raise ReadError(f"{file.name} is not libsvm: {_parse_error(data) or error}") from None
    if matrix.shape[1] > MAX_FEATURES:
        raise ReadError(f"{file.name} has the index {matrix.shape[1] - 1:,}; a table has {MAX_FEATURES:,} at most")
    return matrix.tocsr(), np.asarray(label), queries


def _parse_error(data: bytes) -> str:
    """The error of the reader of training programs, which has line numbers; "" where it finds none."""
    from clary.formats.libsvm import read_libsvm
    from clary.formats.table import FormatError

    try:
        read_libsvm(data)
    except FormatError as error:
        return str(error).removeprefix("the body, ")
    return ""
