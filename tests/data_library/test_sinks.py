"""Writing: each format reads back, in shards too; whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from scipy.sparse import csr_matrix
from sklearn.datasets import load_svmlight_file

from clary.data.batch import Batch, Block
from clary.data.errors import DataError
from clary.data.scans import FrameScan
from clary.data.sinks import sink, write
from clary.data.sources import read, scan
from clary.formats.recordio import read_recordio


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "y": [1, 0, 1],
            "x": [0.1, None, 1 / 3],
            "n": [3, -1, 2**60],
            "text": ["x", None, 'é,"\n'],
            "time": pd.to_datetime(["2020-01-01", None, "2021-02-03 04:05:06.000007"], format="ISO8601").astype(
                "datetime64[us]"
            ),
            "flag": [True, False, True],
        }
    )


def same(found, expected):
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected), check_dtype=False)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.feather", "a.jsonl"])
def test_what_is_written_reads_back(tmp_path, frame, name):
    assert write(frame, tmp_path / name) == [str(tmp_path / name)]
    same(read(tmp_path / name), frame)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather", "a.jsonl", "a.libsvm", "a.recordio"])
def test_batches_scans_and_frames_are_written_alike(tmp_path, frame, name):
    frame = frame[["y", "x", "flag"]]
    whole = write(frame, tmp_path / f"1{name}", label="y")
    batches = [Batch.of_pandas(frame.iloc[:1]), Batch.of_pandas(frame.iloc[1:])]
    parts = write(batches, tmp_path / f"2{name}", label="y")
    scanned = write(scan(_parquet(frame, tmp_path)), tmp_path / f"3{name}", label="y")
    frames = [read(paths[0]) for paths in (whole, parts, scanned)]
    same(frames[1], frames[0])
    same(frames[2], frames[0])


def _parquet(frame, folder):
    frame.to_parquet(folder / "in.parquet")
    return folder / "in.parquet"


def test_sagemakers_csv_has_the_label_first_and_no_header(tmp_path, frame):
    write(frame[["x", "flag", "y"]], tmp_path / "a.csv", label="y", header=False)
    assert (tmp_path / "a.csv").read_text() == "1,0.1,1\n0,,0\n1,0.3333333333333333,1\n"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather", "a.jsonl"])
def test_integers_stay_integers_where_a_later_batch_has_missing_ones(tmp_path, name):
    batches = [Batch({"n": np.array([1, 2])}, 2), Batch({"n": np.array([3.0, np.nan])}, 2)]
    write(batches, tmp_path / name)
    same(read(tmp_path / name), {"n": [1, 2, 3, None]})
    flags = [Batch({"f": np.array([True])}, 1), Batch({"f": np.array([0.0, np.nan])}, 2)]
    write(flags, tmp_path / f"f{name}")
    assert read(tmp_path / f"f{name}")["f"].tolist() == [True, False, pd.NA]


def test_integers_stay_integers_where_the_schema_has_them(tmp_path):
    table = pa.table({"n": pa.chunked_array([[None, 2], [3, 4]])})
    write(table, tmp_path / "a.parquet")
    assert parquet.read_schema(tmp_path / "a.parquet").field("n").type == pa.int64()


@pytest.mark.parametrize(
    "second",
    [
        {"n": np.array([0.5])},
        {"n": pa.array(["x"])},
        {"m": np.array([1])},
        {"n": np.array([1]), "m": np.array([1])},
        {},
        {"n": pa.array([[1]])},
        {"n": Block(("a",), np.zeros((1, 1)))},
    ],
)
def test_a_batch_of_other_columns_is_an_error_and_nothing_stays(tmp_path, second):
    batches = [Batch({"n": np.array([1])}, 1), Batch(second, 1)]
    with pytest.raises(DataError, match=r"'n'|columns"):
        write(batches, tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [pa.array(["x", "y"]), pa.array(["x", "y"]).dictionary_encode()])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather", "a.jsonl"])
def test_text_is_text_coded_or_not(tmp_path, name, text):
    batches = [Batch({"t": text}, 2), Batch({"t": pa.array(["z", None])}, 2)]
    write(batches, tmp_path / name)
    assert read(tmp_path / name)["t"].isna().tolist() == [False, False, False, True]


def test_columns_come_in_the_order_of_the_first_batch(tmp_path):
    first, second = np.array([1]), np.array([2])
    batches = [Batch({"a": first, "b": second}, 1), Batch({"b": second, "a": first}, 1)]
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        write(batches, tmp_path / name)
        same(read(tmp_path / name), {"a": [1, 1], "b": [2, 2]})
    write(batches, tmp_path / "a.libsvm", label="b")
    assert (tmp_path / "a.libsvm").read_text() == "2 0:1\n2 0:1\n"


@pytest.fixture
def sparse():
    matrix = csr_matrix(np.array([[0, 1.5, 0], [0, 0, 0], [0.1, 0, 1e30]]))
    return Batch({"x": np.array([1.0, np.nan, 0]), "b": Block(("p", "q", "r"), matrix), "y": np.array([1, 0, 2])}, 3)


def test_libsvm_stays_sparse_and_exact(tmp_path, sparse):
    write([sparse], tmp_path / "a.libsvm", label="y")
    assert (tmp_path / "a.libsvm").read_text() == "1 0:1 2:1.5\n0\n2 0:0 1:0.1 3:1e+30\n"
    matrix, labels = load_svmlight_file(str(tmp_path / "a.libsvm"), n_features=4, zero_based=True)
    assert labels.tolist() == [1, 0, 2]
    assert np.array_equal(matrix.toarray()[:, 1:], sparse["b"].dense())


def test_libsvm_numbers_read_back_exactly(tmp_path):
    values = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-100, 100).repeat(5)
    write([Batch({"y": np.zeros(1000), "x": values}, 1000)], tmp_path / "a.libsvm", label="y")
    assert np.array_equal(read(tmp_path / "a.libsvm")["f0"].to_numpy(), values)


def test_libsvm_needs_labels(tmp_path, sparse):
    with pytest.raises(DataError, match="label="):
        write([sparse], tmp_path / "a.libsvm")
    with pytest.raises(DataError, match="label 'x' is missing in a row"):
        write([sparse], tmp_path / "a.libsvm", label="x")
    assert not list(tmp_path.iterdir())


def test_recordio_stays_sparse(tmp_path, sparse):
    small = Batch({**sparse.columns, "x": np.array([1.0, 2, 0])}, 3)
    write([small], tmp_path / "a.recordio", label="y")
    found = read_recordio(tmp_path / "a.recordio")
    assert found.sparse
    assert found.labels.tolist() == [1, 0, 2]
    expected = np.hstack([[[1.0], [2], [0]], small["b"].dense()])
    assert np.array_equal(found.features.toarray(), expected.astype(np.float32))


@pytest.mark.parametrize("column", [np.array([1e300]), Block(("b",), csr_matrix([[1e300]]))])
def test_numbers_beyond_float32_are_an_error_in_recordio(tmp_path, column):
    with pytest.raises(DataError, match="larger than float32"):
        write([Batch({"x": column}, 1)], tmp_path / "a.recordio")


def test_recordio_of_dense_rows_is_what_the_reference_writes(tmp_path):
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((20, 3)).astype(np.float32), np.arange(20).astype(np.float32)
    features[3, 1] = np.nan
    batch = Batch({"y": labels, **{f"x{n}": features[:, n] for n in range(3)}}, 20)
    write([batch], tmp_path / "a.recordio", label="y")
    from clary.formats.recordio import write_rows

    assert (tmp_path / "a.recordio").read_bytes() == write_rows(features, labels)
    write([batch.only(["x0"])], tmp_path / "b.recordio")
    assert (tmp_path / "b.recordio").read_bytes() == write_rows(features[:, :1])


def test_blocks_become_columns(tmp_path, sparse):
    for name in ("a.csv", "a.parquet", "a.feather", "a.jsonl"):
        write([sparse, sparse], tmp_path / name)
        found = read(tmp_path / name)
        assert list(found.columns) == ["x", "p", "q", "r", "y"]
        assert found["q"].tolist() == [1.5, 0, 0] * 2


def test_wide_sparse_blocks_are_dense_but_a_few_rows_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("clary.data.sinks.sharded.DENSE_VALUES", 50)
    matrix = csr_matrix(np.eye(20))
    write([Batch({"b": Block(tuple(f"c{n}" for n in range(20)), matrix)}, 20)], tmp_path / "a.parquet")
    assert np.array_equal(read(tmp_path / "a.parquet").to_numpy(), np.eye(20))


def test_rows_are_dealt_out_to_files(tmp_path):
    frame = pd.DataFrame({"n": range(1000)})
    by_rows = write(frame, tmp_path / "rows", format="csv", rows_per_file=300)
    assert [Path(path).name for path in by_rows] == [f"part-0000{n}.csv" for n in range(4)]
    assert [len(read(path)) for path in by_rows] == [300, 300, 300, 100]
    same(read(tmp_path / "rows"), frame)
    shards = write(frame, tmp_path / "shards", format="parquet", shards=3)
    assert sorted(len(read(path)) for path in shards) == [333, 333, 334]
    assert sorted(read(tmp_path / "shards")["n"]) == list(range(1000))
    few = write(frame.head(1), tmp_path / "few", format="csv", shards=2)
    assert sorted(len(read(path)) for path in few) == [0, 1]
    many = write(
        [Batch.of_pandas(frame.iloc[n : n + 7]) for n in range(0, 1000, 7)],
        tmp_path / "m",
        format="csv",
        rows_per_file=10,
    )
    assert [len(read(path)) for path in many] == [10] * 100
    same(read(tmp_path / "m"), frame)


def test_parts_are_not_mixed_with_those_of_before(tmp_path):
    frame = pd.DataFrame({"n": [1]})
    write(frame, tmp_path / "out", format="csv", shards=1)
    with pytest.raises(DataError, match="has parts already"):
        write(frame, tmp_path / "out", format="csv", shards=1)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        write(frame, tmp_path / "file", format="csv", shards=1)
    with pytest.raises(DataError, match="is a folder"):
        write(frame, tmp_path / "out", format="csv")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather", "a.jsonl", "a.libsvm", "a.recordio"])
def test_a_table_without_rows(tmp_path, name):
    write(pd.DataFrame({"y": pd.Series([], dtype=float), "x": pd.Series([], dtype=int)}), tmp_path / name, label="y")
    if name.endswith((".csv", ".parquet", ".feather")):
        assert list(read(tmp_path / name).columns) == ["y", "x"]
    else:
        assert (tmp_path / name).read_bytes() == b""


def test_no_batch_at_all_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing was written"):
        write([], tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def batches():
        yield Batch({"n": np.array([1])}, 1)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write(batches(), path)
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_nothing_is_there_before_close_nor_after_abort(tmp_path):
    for many in ({}, {"rows_per_file": 1}):
        target = tmp_path / "out" / "a.csv" if not many else tmp_path / "many"
        made = sink(target, format="csv", **many)
        made.write(Batch({"n": np.array([1, 2])}, 2))
        assert not list(tmp_path.rglob("*.csv"))
        made.abort()
        made.abort()
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        with pytest.raises(DataError, match="closed"):
            made.write(Batch({"n": np.array([1])}, 1))


def test_a_file_is_readable_by_whom_the_umask_allows(tmp_path):
    write(pd.DataFrame({"n": [1]}), tmp_path / "a.csv")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "a.xyz"}, "give format="),
        ({"target": "a.csv", "format": "xyz"}, "format='xyz'"),
        ({"target": "a.csv", "label": "z"}, "label='z'"),
        ({"target": "a.csv", "rows_per_file": 0}, "rows_per_file=0"),
        ({"target": "a.csv", "shards": 1.5}, "shards=1.5"),
        ({"target": "a.csv", "shards": 1, "rows_per_file": 1}, "exclude"),
        ({"target": "a.csv", "delimiter": "\n"}, "delimiter"),
        ({"target": "https://x/a.csv"}, "write to a path"),
        ({"target": "/proc/none/a.csv"}, "cannot be written|nothing can be written"),
        ({"target": ""}, "format"),
    ],
)
def test_options_that_make_no_sense_are_errors(tmp_path, monkeypatch, options, expected):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=expected):
        write(pd.DataFrame({"n": [1]}), **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.libsvm", "a.recordio"])
def test_what_a_format_has_no_form_for_is_an_error_naming_the_column(tmp_path, name):
    table = pa.table({"y": [1.0], "odd": [[1, 2]]})
    with pytest.raises(DataError, match="'odd'"):
        write(FrameScan(table), tmp_path / name, label="y")
    if name == "a.jsonl":
        with pytest.raises(DataError, match="'x' holds an infinite number"):
            write(pd.DataFrame({"x": [np.inf]}), tmp_path / name)


def test_json_lines_are_json(tmp_path):
    frame = pd.DataFrame({'a"b': [1.5, None], "t": ['x"\n\\é\x01', None], "n": [2**60, 1], "f": [True, False]})
    write(frame, tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines == [
        {'a"b': 1.5, "t": 'x"\n\\é\x01', "n": 2**60, "f": True},
        {'a"b': None, "t": None, "n": 1, "f": False},
    ]


# Any table: what is written reads back the same, within the limits of each format.

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1, max_size=4, unique=True
)
NUMBERS = st.floats(allow_nan=False) | st.none()
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.none()
TIMES = st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2200-01-01")) | st.none()


@st.composite
def tables(draw, names=NAMES, texts=TEXTS, numbers=NUMBERS):
    rows = draw(st.integers(1, 12))
    columns = {}
    for name in draw(names):
        kind = draw(st.sampled_from(["float64", "int64", "bool", "str", "datetime64[us]"]))
        values = {
            "float64": numbers,
            "int64": st.integers(-(2**63), 2**63 - 1),
            "bool": st.booleans(),
            "str": texts,
            "datetime64[us]": TIMES,
        }[kind]
        columns[name] = pd.Series(draw(st.lists(values, min_size=rows, max_size=rows)), dtype=kind)
    return pd.DataFrame(columns)


ANY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(frame=tables())
def test_any_table_reads_back_from_parquet_and_feather(tmp_path, frame):
    for name in ("a.parquet", "a.feather"):
        write(frame, tmp_path / name)
        pd.testing.assert_frame_equal(read(tmp_path / name), frame)


@ANY
@given(frame=tables(numbers=st.floats(allow_nan=False, allow_infinity=False) | st.none()))
def test_any_table_reads_back_from_json_lines(tmp_path, frame):
    """Limits: no infinite numbers; JSON cannot distinguish a name with a dot, or text that all looks like times."""
    write(frame, tmp_path / "a.jsonl")
    found = read(tmp_path / "a.jsonl")
    assert list(found.columns) == list(frame.columns)
    for name in frame:
        assert found[name].isna().tolist() == frame[name].isna().tolist()
        present = frame[name].notna()
        assert found[name][present].tolist() == frame[name][present].tolist()


@ANY
@given(
    frame=tables(
        names=st.lists(
            st.from_regex(r"[a-zé ]{0,5}[a-z]", fullmatch=True), min_size=1, max_size=4, unique_by=str.strip
        ),
        texts=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map(lambda text: f"w{text}w"),
    )
)
def test_any_table_reads_back_from_csv(tmp_path, frame):
    """Limits: text that looks like a number, a time, a boolean or a missing marker is one; words are plain present."""
    write(frame, tmp_path / "a.csv")
    found = read(tmp_path / "a.csv", header=True, delimiter=",", quote='"', trim=False)
    assert list(found.columns) == [name.strip() for name in frame.columns]
    for new, old in zip(found, frame, strict=True):
        assert found[new].isna().tolist() == frame[old].isna().tolist()
        present = frame[old].notna()
        assert found[new][present].tolist() == frame[old][present].tolist()
