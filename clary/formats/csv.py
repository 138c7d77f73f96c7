"""CSV: numbers only, no header line, the label first where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.formats.table import FormatError, Source, Table, contents, empty, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MISSING = ("", "nan", "NaN", "NAN", "NA", "N/A", "null", "NULL", "None")
DELIMITERS = (",", "\t", ";", "|", " ")
# Below this, splitting in Python is faster than starting pyarrow's parser.
SMALL_BYTES = 1024 * 1024
SNIFFED_BYTES = 1024 * 1024


def read_csv(source: Source, label_size: int = 1, weights: bool = False) -> Table:
    """label_size  0 or 1 columns of labels, first
    weights        the next column is the weight of the row
    Raises         FormatError naming file, line and column.
    """
    matrix = _matrix(source)
    leading = label_size + weights
    if not matrix.size:
        return empty(label_size == 1)
    if matrix.shape[1] <= leading:
        raise FormatError(
            f"{name_of(source)} has {matrix.shape[1]} columns: "
            f"{leading} for the label{' and the weight' if weights else ''}, and none is left for features."
        )
    return Table(
        features=matrix[:, leading:],
        labels=matrix[:, 0] if label_size else None,
        weights=matrix[:, label_size] if weights else None,
    )


def _matrix(source: Source) -> NDArray[np.float32]:
    if _is_small(source):
        return _parse_in_python(contents(source), source)
    try:
        return _parse_with_pyarrow(source)
    except _UnparsedError:
        # Blanks around numbers, an unknown marker for a missing cell, or really a bad cell, which Python then finds.
        return _parse_in_python(contents(source), source)


def _is_small(source: Source) -> bool:
    if isinstance(source, bytes):
        return len(source) <= SMALL_BYTES
    return source.is_file() and source.stat().st_size <= SMALL_BYTES


class _UnparsedError(Exception):
    pass


def _parse_with_pyarrow(source: Source) -> NDArray[np.float32]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    if isinstance(source, bytes):
        data: Any = pa.py_buffer(source)
    elif source.is_file():
        data = pa.memory_map(str(source)).read_buffer()
    else:  # a pipe can be read only once
        data = pa.py_buffer(source.read_bytes())
    head = bytes(memoryview(data)[:SNIFFED_BYTES]).lstrip().split(b"\n", 1)[0].decode("utf-8-sig", "replace")
    if not head.strip():
        return _parse_in_python(bytes(memoryview(data)), source)
    delimiter = delimiter_of(head)
    columns = head.rstrip("\r").count(delimiter) + 1
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=[str(index) for index in range(columns)]),
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(
                column_types={str(index): pa.float64() for index in range(columns)}, null_values=list(MISSING)
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if not isinstance(source, bytes) and not source.is_file():
            return _parse_in_python(bytes(memoryview(data)), source)
        raise _UnparsedError from error
    matrix = np.empty((table.num_rows, columns), dtype=np.float32)
    for index in range(columns):
        matrix[:, index] = table.column(index).to_numpy()
    return matrix


def _parse_in_python(data: bytes, source: Source) -> NDArray[np.float32]:
    import numpy as np

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{name_of(source)} is not text: {error}.") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        return np.empty((0, 0), dtype=np.float32)
    delimiter = delimiter_of(lines[0][1])
    rows = [line.strip(" \r").split(delimiter) for _, line in lines]
    columns = len(rows[0])
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != columns:
            raise FormatError(
                f"{name_of(source)}, line {number}: {len(row)} columns, while line {lines[0][0]} has {columns}."
            )
    try:
        return np.array([[float(cell) for cell in row] for row in rows], dtype=np.float64).astype(np.float32)
    except ValueError:
        values = [
            [_cell(cell, source, lines[row][0], column) for column, cell in enumerate(cells, 1)]
            for row, cells in enumerate(rows)
        ]
        return np.array(values, dtype=np.float64).astype(np.float32)


def delimiter_of(line: str) -> str:
    """The first known delimiter that the line has; a comma where it has none."""
    return next((mark for mark in DELIMITERS if mark in line.strip(" \r\n")), ",")


def _cell(text: str, source: Source, line: int, column: int) -> float:
    text = text.strip().strip('"')
    if text in MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        hint = " A CSV file must not have a header line." if line == 1 else ""
        raise FormatError(
            f"{name_of(source)}, line {line}, column {column}: {text[:50]!r} is not a number.{hint}"
        ) from None
