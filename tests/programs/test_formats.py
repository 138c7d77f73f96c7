"""Reading csv, libsvm, parquet and recordio-protobuf: the same rows in, whatever they are written in."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from clary.formats import csv as csv_module
from clary.formats.decoding import Format, decode, format_of
from clary.formats.recordio import MAGIC, frame, records, write_records, write_rows
from clary.formats.table import FormatError, Table, stack
from clary.tasks import paths
from clary.tasks.algorithm.channels import channels

LABELS = np.array([1, 0, 2], dtype=np.float32)
FEATURES = np.array([[1.5, -2, 3e8], [0, 0.1, 7], [1e-7, 5, 6]], dtype=np.float32)


def as_csv(features: Any = FEATURES, labels: Any = LABELS) -> bytes:
    rows = features if labels is None else np.column_stack([labels, features])
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows).encode()


def as_libsvm(features: Any = FEATURES, labels: Any = LABELS) -> bytes:
    return "".join(
        " ".join([f"{label:g}", *(f"{index}:{value:.9g}" for index, value in enumerate(row))]) + "\n"
        for label, row in zip(labels, features, strict=True)
    ).encode()


def as_parquet(features: Any = FEATURES, labels: Any = LABELS) -> bytes:
    columns = {f"f{index}": column for index, column in enumerate(features.T)}
    table = pa.table(({} if labels is None else {"label": labels}) | columns)
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


WRITERS = {
    Format.CSV: as_csv,
    Format.LIBSVM: as_libsvm,
    Format.PARQUET: as_parquet,
    Format.RECORDIO_PROTOBUF: lambda: write_rows(FEATURES, LABELS),
}


def dense(table: Table) -> Any:
    return table.features.toarray() if table.sparse else table.features


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("from_file", [True, False])
def test_every_format_gives_the_same_rows(kind: Format, from_file: bool, tmp_path: Path) -> None:
    source: Path | bytes = WRITERS[kind]()
    if from_file:
        (tmp_path / "rows").write_bytes(WRITERS[kind]())
        source = tmp_path / "rows"
    table = decode(source, kind)
    np.testing.assert_array_equal(dense(table), FEATURES)
    np.testing.assert_array_equal(table.labels, LABELS)
    assert table.features.dtype == np.float32


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (as_csv(labels=None), Format.CSV),
        (as_libsvm(), Format.LIBSVM),  # a label is passed over
        (as_libsvm().replace(b"1 ", b"", 1), Format.LIBSVM),  # and may be missing
        (as_parquet(labels=None), Format.PARQUET),
        (write_rows(FEATURES), Format.RECORDIO_PROTOBUF),
        (write_rows(FEATURES, LABELS), Format.RECORDIO_PROTOBUF),
    ],
)
def test_a_request_has_no_labels(body: bytes, kind: Format) -> None:
    table = decode(body, kind, label_size=0)
    np.testing.assert_array_equal(dense(table), FEATURES)
    assert table.labels is None


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        b"1,2.5,\n0,,4\n",
        b"1, 2.5, nan\n0, NA, 4",
        b"\xef\xbb\xbf1\t2.5\t\r\n\r\n0\tnull\t4\r\n",
        b'"1";"2.5";""\n0;NaN;4\n',
        b"1|2.5|\n0||4\n",
        b"1 2.5 nan\n0 nan 4\n",
    ],
)
def test_csv_as_people_write_it(text: bytes, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files go another way than small ones, and come out the same."""
    if large:
        monkeypatch.setattr(csv_module, "SMALL_BYTES", 0)
    table = decode(text, Format.CSV)
    np.testing.assert_array_equal(table.features, np.array([[2.5, np.nan], [np.nan, 4]], dtype=np.float32))
    np.testing.assert_array_equal(table.labels, [1, 0])


def test_the_second_column_of_a_csv_may_be_the_weight() -> None:
    table = decode(b"1,0.5,7\n0,2,8\n", Format.CSV, weights=True)
    np.testing.assert_array_equal(table.weights, [0.5, 2])
    np.testing.assert_array_equal(table.features, [[7], [8]])


def test_libsvm_has_weights_queries_and_comments() -> None:
    table = decode(b"1:0.5 qid:3 0:2 4:1 # a comment\n\n0:2 qid:4 1:-1e2\n", Format.LIBSVM)
    np.testing.assert_array_equal(table.labels, [1, 0])
    np.testing.assert_array_equal(table.weights, [0.5, 2])
    np.testing.assert_array_equal(table.groups, [3, 4])
    np.testing.assert_array_equal(dense(table), [[2, 0, 0, 0, 1], [0, -100, 0, 0, 0]])
    assert table.features.nnz == 3  # what is absent is missing, not zero


def test_sparse_records_keep_what_is_absent_absent() -> None:
    def tensor(values: bytes, keys: bytes) -> bytes:
        body = b"\x0a" + bytes([len(values)]) + values + b"\x12" + bytes([len(keys)]) + keys + b"\x1a\x01\x09"
        value = b"\x12" + bytes([len(body)]) + body
        entry = b"\x0a\x06values\x12" + bytes([len(value)]) + value
        return b"\x0a" + bytes([len(entry)]) + entry

    body = frame(tensor(np.array([1, 0], "<f4").tobytes(), b"\x02\x05")) + frame(tensor(b"", b""))
    table = decode(body, Format.RECORDIO_PROTOBUF, label_size=0)
    assert table.features.shape == (2, 9)
    assert table.features[0].indices.tolist() == [2, 5]  # the zero that was written is there


def test_doubles_and_integers_in_records() -> None:
    def record(field: int, packed: bytes) -> bytes:
        body = b"\x0a" + bytes([len(packed)]) + packed
        value = bytes([field << 3 | 2, len(body)]) + body
        entry = b"\x0a\x06values\x12" + bytes([len(value)]) + value
        return frame(b"\x0a" + bytes([len(entry)]) + entry)

    doubles = decode(record(3, np.array([1.5, 2], "<f8").tobytes()), Format.RECORDIO_PROTOBUF, label_size=0)
    minus_one = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    integers = decode(record(7, b"\xac\x02" + minus_one), Format.RECORDIO_PROTOBUF, label_size=0)
    np.testing.assert_array_equal(doubles.features, [[1.5, 2]])
    np.testing.assert_array_equal(integers.features, [[300, -1]])


def test_a_record_in_several_frames_is_one() -> None:
    def part(kind: int, data: bytes) -> bytes:
        return (
            MAGIC.to_bytes(4, "little") + (kind << 29 | len(data)).to_bytes(4, "little") + data + bytes(-len(data) % 4)
        )

    assert list(records(part(1, b"abcd") + part(2, b"e") + part(3, b"f") + part(0, b"g"))) == [
        b"abcd" + MAGIC.to_bytes(4, "little") + b"e" + MAGIC.to_bytes(4, "little") + b"f",
        b"g",
    ]


@pytest.mark.parametrize(
    ("body", "kind", "fragment"),
    [
        (
            b"age,sex\n1,2\n",
            Format.CSV,
            "line 1, column 1: 'age' is not a number. A CSV file must not have a header line.",
        ),
        (b"1,2\n\n1,x\n", Format.CSV, "line 3, column 2: 'x' is not a number."),
        (b"1,2\n1\n", Format.CSV, "line 2: 1 columns, while line 1 has 2."),
        (b"1\n2\n", Format.CSV, "1 columns: 1 for the label, and none is left for features."),
        (b"\xff\xfe1,2", Format.CSV, "is not text"),
        (b"1 0:1\n1 0:1 x\n", Format.LIBSVM, "line 2: '1 0:1 x' is not LIBSVM"),
        (b"1,2,3\n", Format.LIBSVM, "line 1: '1,2,3' is not LIBSVM"),
        (b"1 0: 1\n", Format.LIBSVM, "line 1: '1 0: 1' is not LIBSVM"),
        (b"1 2:3:4 5:2\n", Format.LIBSVM, "line 1: '1 2:3:4 5:2' is not LIBSVM"),
        (b"1 -1:2\n", Format.LIBSVM, "line 1: '1 -1:2' is not LIBSVM"),
        (b"1 1.5:2\n", Format.LIBSVM, "line 1: '1 1.5:2' is not LIBSVM"),
        (b"1 99999999999:1\n", Format.LIBSVM, "line 1: '1 99999999999:1' is not LIBSVM"),
        (b"0 1:1\n1 0:1 0:2\n", Format.LIBSVM, "row 2: a feature occurs twice"),
        (b"1 0:1\n0:1 1:1\n", Format.LIBSVM, "some lines have a weight and others have none"),
        (b"PAR1 no, it is not", Format.PARQUET, "is not a parquet file"),
        (b"hello, this is text", Format.RECORDIO_PROTOBUF, "no frame begins at byte 0"),
        (write_rows(FEATURES, LABELS)[:-3], Format.RECORDIO_PROTOBUF, "it ends inside a record"),
        (write_rows(FEATURES), Format.RECORDIO_PROTOBUF, 'record 1 has no label "values"'),
        (frame(b"\x0a\xff"), Format.RECORDIO_PROTOBUF, "it ends inside a number"),
        (
            write_rows(FEATURES, LABELS) + write_rows(FEATURES[:, :2], LABELS),
            Format.RECORDIO_PROTOBUF,
            "has 2 features",
        ),
    ],
)
def test_bad_data_is_reported_with_its_place(body: bytes, kind: Format, fragment: str) -> None:
    with pytest.raises(FormatError) as error:
        decode(body, kind)
    assert fragment in str(error.value)


def test_a_text_column_is_named_in_the_error() -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"label": [1], "town": ["Rome"]}), out)
    with pytest.raises(FormatError, match="column 'town' holds string, not numbers"):
        decode(out.getvalue(), Format.PARQUET)


@given(st.binary(max_size=200), st.sampled_from(Format), st.sampled_from([0, 1]))
def test_any_bytes_are_a_table_or_a_data_error(body: bytes, kind: Format, label_size: int) -> None:
    try:
        table = decode(body, kind, label_size=label_size)
    except FormatError:
        return
    assert (table.labels is None) == (label_size == 0)


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), min_size=1))
def test_what_is_written_as_records_is_read_again(rows: list[list[float]]) -> None:
    written = write_records({"score": row} for row in rows)
    assert len(list(records(written))) == len(rows)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("text/csv", Format.CSV),
        ("csv", Format.CSV),
        ("Text/CSV; label_size=1; charset=utf-8", Format.CSV),
        ("text/libsvm", Format.LIBSVM),
        ("text/x-libsvm ;charset=utf8", Format.LIBSVM),
        ("application/x-parquet", Format.PARQUET),
        ("application/x-recordio-protobuf", Format.RECORDIO_PROTOBUF),
    ],
)
def test_content_types(content_type: str, kind: Format) -> None:
    assert format_of(content_type) == (kind, 1)


def test_label_size_is_read_and_other_types_are_refused() -> None:
    assert format_of("text/csv;label_size=0") == (Format.CSV, 0)
    for content_type in ("application/json", "text/csv;label_size=2", ""):
        with pytest.raises(FormatError, match="is not an accepted ContentType"):
            format_of(content_type)


def test_a_channel_is_all_its_files_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    folder = paths.data_dir() / "train"
    (folder / "deep").mkdir(parents=True)
    for name, text in {
        "b.csv": "2,2\n",
        "a.csv": "1,1\n",
        "deep/c.csv": "3,3\n",
        "_SUCCESS": "x",
        ".x": "y",
        "e": "",
    }.items():
        (folder / name).write_text(text)
    paths.config_dir().mkdir()
    config = {"train": {"TrainingInputMode": "File", "ContentType": "text/csv"}}
    (paths.config_dir() / "inputdataconfig.json").write_text(json.dumps(config))
    channel = channels()["train"]
    table = channel.read(Format.CSV)
    assert channel.content_type == "text/csv"
    assert table is not None
    np.testing.assert_array_equal(table.labels, [1, 2, 3])


def test_a_channel_without_rows_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert channels({"train": {}})["train"].read(Format.CSV) is None


def test_sparse_tables_of_different_width_fit() -> None:
    tables = [("a", decode(b"1 0:1\n", Format.LIBSVM)), ("b", decode(b"0 5:1\n", Format.LIBSVM))]
    both = stack(tables)
    assert both is not None
    assert both.features.shape == (2, 6)


def test_dense_tables_of_different_width_do_not_fit() -> None:
    tables = [("a.csv", decode(b"1,2\n", Format.CSV)), ("b.csv", decode(b"1,2,3\n", Format.CSV))]
    with pytest.raises(FormatError, match=r"b.csv has 2 features while a.csv has 1\."):
        stack(tables)
