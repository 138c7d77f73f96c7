"""RecordIO-protobuf of SageMaker: records of features and label, dense or sparse."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.input_file import InputFile
from clary.data.sources.matrices import MatrixScan
from clary.data.sources.read_options import ReadOptions
from clary.formats.recordio import MAX_COLUMNS, parse_record, records

OPTIONS: frozenset[str] = frozenset()


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Columns label, where records have one, and f0, f1 …; of the type of the tensors. Raises ReadError."""
    with file.reading(), file.open() as stream:
        data = stream.read()
    rows: list[Any] = []
    labels: list[Any] = []
    try:
        for number, record in enumerate(records(data), 1):
            features, label = parse_record(record)
            if "values" not in features:
                raise ReadError(f'{file.name}, record {number} has no feature "values"')
            rows.append(features["values"])
            labels.append(label["values"][0][0] if "values" in label and len(label["values"][0]) else None)
    except (IndexError, struct.error, ValueError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{file.name} is not recordio-protobuf: {error}") from None
    if not rows:
        raise ReadError(f"{file.name} is empty: it has no record")
    if any(label is None for label in labels) and any(label is not None for label in labels):
        raise ReadError(f"{file.name}: record {labels.index(None) + 1} has no label, while others have one")
    sparse = any(len(keys) for _, keys, _ in rows)
    matrix = _sparse(rows, file) if sparse else _dense(rows, file)
    first = {"label": np.array(labels)} if labels[0] is not None else {}
    names = [f"f{place}" for place in range(matrix.shape[1])]
    return MatrixScan(first, names, matrix, [Note("The file was read whole.")])


def _dense(rows: list[Any], file: InputFile) -> Any:
    width = len(rows[0][0])
    for number, (values, _, _) in enumerate(rows, 1):
        if len(values) != width:
            raise ReadError(f"{file.name}, record {number} has {len(values)} features, while record 1 has {width}")
    return np.vstack([values for values, _, _ in rows])


def _sparse(rows: list[Any], file: InputFile) -> Any:
    from scipy.sparse import csr_matrix

    width = 0
    for number, (values, keys, shape) in enumerate(rows, 1):
        if len(values) != len(keys):
            raise ReadError(f"{file.name}, record {number} has {len(values)} values and {len(keys)} keys")
        if len(set(keys.tolist())) < len(keys):
            raise ReadError(f"{file.name}, record {number}: a feature occurs twice")
        width = max(width, *(int(size) for size in shape[-1:]), *(int(key) + 1 for key in keys), 0)
        if width > MAX_COLUMNS:
            raise ReadError(f"{file.name}, record {number} has a key beyond {MAX_COLUMNS:,}")
    pointers = np.concatenate([[0], np.cumsum([len(values) for values, _, _ in rows])])
    keys = np.concatenate([keys for _, keys, _ in rows]).astype(np.int64)
    matrix = csr_matrix((np.concatenate([values for values, _, _ in rows]), keys, pointers), shape=(len(rows), width))
    matrix.sort_indices()
    return matrix
