"""recordio-protobuf: records framed by RecordIO, each a protobuf message of tensors.

    Record         features = 1 (map), label = 2 (map); the entry "values" holds the numbers
    Value          float32_tensor = 2 | float64_tensor = 3 | int32_tensor = 7
    *Tensor        values = 1 (packed), keys = 2 (packed, where sparse), shape = 3 (packed)

Reference: "Common data formats for training" (SageMaker developer guide); RecordIO of MXNet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clary.formats.table import FormatError, Source, Table, check_unique, contents, name_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = 0xCED7230A
# The upper three bits of a frame's length show whether a record goes on in the next frame.
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)
# numpy types of the tensors of a Value, by field number.
TENSORS = {2: "<f4", 3: "<f8", 7: "int32"}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_COLUMNS = 2**31 - 1


def read_recordio(source: Source, labelled: bool = True) -> Table:
    """Raises FormatError naming file and record."""
    data = contents(source)
    try:
        parsed = [parse_record(record) for record in records(data)]
    except (ValueError, IndexError, struct.error) as error:
        raise FormatError(f"{name_of(source)} is not recordio-protobuf: {error}") from None
    return _table(parsed, labelled, name_of(source))


def records(data: bytes) -> Iterator[bytes]:
    """The records of RecordIO frames. Raises ValueError where a frame is broken."""
    position, parts = 0, list[bytes]()
    while position < len(data):
        if len(data) - position < 8:
            raise ValueError(f"it ends inside a frame, at byte {position}")
        magic, word = struct.unpack_from("<II", data, position)
        if magic != MAGIC:
            raise ValueError(f"no frame begins at byte {position}")
        part, length = word >> LENGTH_BITS, word & (1 << LENGTH_BITS) - 1
        position += 8
        if position + length > len(data):
            raise ValueError(f"it ends inside a record, at byte {position}")
        if part > LAST or (part in (WHOLE, FIRST)) != (not parts):
            raise ValueError(f"a frame is out of order, at byte {position}")
        parts.append(data[position : position + length])
        position += length + -length % 4
        if part in (WHOLE, LAST):
            # Where the magic number occurred inside a record, it was cut out.
            yield struct.pack("<I", MAGIC).join(parts)
            parts = []
    if parts:
        raise ValueError("its last record has no end")


def frame(record: bytes) -> bytes:
    if len(record) >= 1 << LENGTH_BITS:
        raise ValueError("A record may have 512 MiB at most.")
    return struct.pack("<II", MAGIC, len(record)) + record + bytes(-len(record) % 4)


Tensor = tuple[Any, Any, Any]  # values, keys, shape


def parse_record(record: bytes) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(tensors of the features, tensors of the label), by name."""
    features: dict[str, Tensor] = {}
    label: dict[str, Tensor] = {}
    for field, value in _fields(record):
        if field in (1, 2) and isinstance(value, bytes):
            entry = dict(_fields(value))
            tensor = _tensor(entry.get(2, b""))
            if tensor is not None:
                (features if field == 1 else label)[_text(entry.get(1, b""))] = tensor
    return features, label


def write_records(labels: Iterable[Mapping[str, Sequence[float]]]) -> bytes:
    """A record for each mapping: its label has a float32 tensor for each name."""
    import numpy as np

    out = []
    for tensors in labels:
        record = b""
        for name, values in tensors.items():
            packed = np.asarray(values, dtype="<f4").tobytes()
            value = _bytes_field(2, _bytes_field(1, packed))
            record += _bytes_field(2, _bytes_field(1, name.encode()) + _bytes_field(2, value))
        out.append(frame(record))
    return b"".join(out)


def write_rows(features: NDArray[Any], labels: NDArray[Any] | None = None) -> bytes:
    """A dense float32 record for each row, as RecordIO."""
    import numpy as np

    def entry(field: int, values: Any) -> bytes:
        packed = np.asarray(values, dtype="<f4").tobytes()
        return _bytes_field(
            field, _bytes_field(1, b"values") + _bytes_field(2, _bytes_field(2, _bytes_field(1, packed)))
        )

    return b"".join(
        frame(entry(1, row) + (b"" if labels is None else entry(2, labels[index : index + 1])))
        for index, row in enumerate(features)
    )


def _table(parsed: list[tuple[dict[str, Tensor], dict[str, Tensor]]], labelled: bool, name: str) -> Table:
    import numpy as np

    rows: list[Tensor] = []
    labels: list[float] = []
    for number, (features, label) in enumerate(parsed, 1):
        if "values" not in features:
            raise FormatError(f'{name}, record {number} has no feature "values".')
        rows.append(features["values"])
        if labelled:
            if "values" not in label or not len(label["values"][0]):
                raise FormatError(f'{name}, record {number} has no label "values".')
            labels.append(float(label["values"][0][0]))
    sparse = any(len(keys) for _, keys, _ in rows)
    matrix = _sparse(rows, name) if sparse else _dense(rows, name)
    return Table(matrix, labels=np.array(labels, dtype=np.float32) if labelled else None)


def _dense(rows: list[Tensor], name: str) -> Any:
    import numpy as np

    columns = len(rows[0][0]) if rows else 0
    for number, (values, _, _) in enumerate(rows, 1):
        if len(values) != columns:
            raise FormatError(f"{name}, record {number} has {len(values)} features, while record 1 has {columns}.")
    matrix = np.empty((len(rows), columns), dtype=np.float32)
    for index, (values, _, _) in enumerate(rows):
        matrix[index] = values
    return matrix


def _sparse(rows: list[Tensor], name: str) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix

    for number, (values, keys, shape) in enumerate(rows, 1):
        if len(values) != len(keys):
            raise FormatError(f"{name}, record {number} has {len(values)} values and {len(keys)} keys.")
        if any(int(key) >= MAX_COLUMNS for key in (*shape, *([keys.max()] if len(keys) else []))):
            raise FormatError(f"{name}, record {number} has a key beyond {MAX_COLUMNS}.")
    keys = np.concatenate([keys for _, keys, _ in rows]).astype(np.int64)
    columns = max(
        int(keys.max()) + 1 if len(keys) else 0,
        max((int(shape[-1]) for _, _, shape in rows if len(shape)), default=0),
    )
    pointers = np.concatenate([[0], np.cumsum([len(values) for values, _, _ in rows])])
    values = np.concatenate([values for values, _, _ in rows]).astype(np.float32)
    matrix = csr_matrix((values, keys, pointers), shape=(len(rows), columns), dtype=np.float32)
    check_unique(matrix, name)
    return matrix


def _tensor(value: int | bytes) -> Tensor | None:
    """The values, keys and shape of a tensor of numbers; None for anything else (an image's bytes)."""
    import numpy as np

    if not isinstance(value, bytes):
        raise ValueError("a value is not a message")
    for field, body in _fields(value):
        if field not in TENSORS or not isinstance(body, bytes):
            continue
        parts: dict[int, list[Any]] = {1: [], 2: [], 3: []}
        for part, packed in _fields(body):
            if part in parts:
                parts[part].append(_unpack(packed, TENSORS[field] if part == 1 else "uint64"))
        return tuple(np.concatenate(found) if found else np.empty(0) for found in parts.values())  # type: ignore[return-value]
    return None


def _unpack(packed: int | bytes, kind: str) -> Any:
    """The numbers of a packed field, or the number of an unpacked field."""
    import numpy as np

    if kind.startswith("<"):
        if not isinstance(packed, bytes):
            raise ValueError("a tensor's values are of another type")
        return np.frombuffer(packed, dtype=kind)
    numbers = [packed] if isinstance(packed, int) else list(_varints(packed))
    # Negative int32 are written as 64-bit two's complement.
    return (
        np.array(numbers, dtype=np.uint64).view(np.int64).astype(np.int32)
        if kind == "int32"
        else np.array(numbers, dtype=np.uint64)
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value): an int for a varint, otherwise bytes. Raises ValueError where it is not a message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire = key >> 3, key & 7
        if wire == VARINT:
            number, position = _varint(message, position)
            yield field, number
            continue
        if wire == BYTES:
            length, position = _varint(message, position)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"a field has the unknown type {wire}")
        if position + length > len(message):
            raise ValueError("a field is longer than its record")
        yield field, message[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("it ends inside a number")
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 2**64 - 1, position
    raise ValueError("a number is too long")


def _varints(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        number, position = _varint(data, position)
        yield number


def _bytes_field(field: int, value: bytes) -> bytes:
    return _write_varint(field << 3 | BYTES) + _write_varint(len(value)) + value


def _write_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(value: int | bytes) -> str:
    if not isinstance(value, bytes):
        raise ValueError("a name is not text")
    return value.decode("utf-8", "replace")
