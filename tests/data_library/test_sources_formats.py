"""Each format, as its reference library writes it, reads back equal; broken files are expected."""

import io
import json
import os
import pickle
import sqlite3
import struct
import wave

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
from PIL import Image
from pyarrow import feather, orc, parquet
from scipy.sparse import random as random_matrix
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from clary.data.errors import DataError
from clary.data.scans import each_batch
from clary.data.sources import read, scan
from clary.formats.recordio import write_rows


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "whole": [3, -1, 2**60],
            "gaps": [0.5, None, -2.25],
            "text": ["x", None, "é\n,"],
            "time": pd.to_datetime(["2020-01-01", None, "2021-02-03 04:05:06"], format="ISO8601").astype(
                "datetime64[us]"
            ),
            "flag": [True, False, True],
        }
    )


def same(found, expected):
    times = found.select_dtypes("datetime").columns
    found = found.astype(dict.fromkeys(times, "datetime64[us]"))
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected), check_dtype=False)


def scanned(source, **options):
    with scan(source, **options) as table:
        names = table.arrow_schema.names
        frames = [batch.to_pandas() for batch in each_batch(table, names, lambda batch: batch, rows=2)]
        assert sum(each_batch(table, [], lambda batch: batch.rows)) == table.rows
        assert next(iter(each_batch(table, names[::-1], lambda batch: list(batch.columns)))) == names[::-1]
        return pd.concat(frames, ignore_index=True)


def by_excel(frame, path):
    frame.assign(whole=[3, -1, 2**40]).to_excel(path, index=False)


def arrow_stream(frame, path):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def arrow_file(frame, path):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def sqlite(frame, path):
    connection = sqlite3.connect(path)
    frame.assign(flag=frame["flag"].astype(int), time=frame["time"].astype(str).replace("NaT", None)).to_sql(
        "t", connection, index=False
    )
    connection.close()


WRITERS = {
    "a.parquet": lambda frame, path: frame.to_parquet(path, row_group_size=2),
    "a.feather": lambda frame, path: frame.to_feather(path),
    "a.arrow": arrow_file,
    "a.arrows": arrow_stream,
    "a.orc": lambda frame, path: orc.write_table(pa.Table.from_pandas(frame, preserve_index=False), path),
    "a.pkl": lambda frame, path: frame.to_pickle(path),
    "a.csv": lambda frame, path: frame.to_csv(path, index=False),
    "a.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "records.json": lambda frame, path: frame.to_json(path, orient="records", date_format="iso"),
    "columns.json": lambda frame, path: frame.to_json(path, date_format="iso"),
    "split.json": lambda frame, path: frame.to_json(path, orient="split", date_format="iso"),
    "a.jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True, date_format="iso"),
    "a.xlsx": by_excel,
    "a.ods": by_excel,
    "a.db": sqlite,
}
RECOGNISED_BY_CONTENT = ["a.parquet", "a.feather", "a.arrow", "a.arrows", "a.orc", "a.pkl", "a.csv", "a.tsv", "a.jsonl"]
RECOGNISED_BY_CONTENT += ["records.json", "a.xlsx", "a.ods", "a.db"]


@pytest.mark.parametrize("name", WRITERS)
def test_what_a_reference_library_wrote_reads_back(tmp_path, frame, name):
    path = tmp_path / name
    WRITERS[name](frame, path)
    if path.suffix in (".xlsx", ".ods"):
        frame["whole"] = [3, -1, 2**40]
    if path.suffix == ".db":
        frame["flag"] = frame["flag"].astype(int)
    same(read(path, allow_pickle=True), frame)
    same(scanned(path, allow_pickle=True), frame)
    same(read(path, allow_pickle=True, columns=["flag", "whole"], rows=2), frame[["flag", "whole"]].head(2))


@pytest.mark.parametrize("name", RECOGNISED_BY_CONTENT)
def test_a_format_is_recognized_by_content(tmp_path, frame, name):
    WRITERS[name](frame, tmp_path / name)
    bare = tmp_path / "bare"
    bare.write_bytes((tmp_path / name).read_bytes())
    assert list(read(bare, allow_pickle=True).columns) == list(frame.columns)


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.endswith((".csv", ".tsv"))])
def test_a_file_that_is_cut_short_is_an_error(tmp_path, frame, name):
    path = tmp_path / name
    WRITERS[name](frame, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=str(tmp_path)):
        read(path, allow_pickle=True)


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.endswith((".csv", ".tsv", ".jsonl"))])
def test_a_file_of_something_else_is_an_error(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(os.urandom(1000))
    with pytest.raises(DataError):
        read(path, allow_pickle=True)


def test_bytes_that_show_no_format_are_an_error_that_lists_what_is_known(tmp_path):
    path = tmp_path / "thing"
    path.write_bytes(b"\x01\x02\x00\xff" * 100)
    with pytest.raises(DataError, match=r"give format=, one of csv, parquet"):
        read(path)


# Parquet and Arrow


def test_parquet_parts_are_row_groups_and_text_stays_coded(tmp_path):
    path = tmp_path / "a.parquet"
    rows = 1000
    text = pa.array([f"w{n % 7}" for n in range(rows)])
    table = pa.table({"n": pa.array(range(rows)), "t": text, "s": pa.array([f"u{n}" for n in range(rows)])})
    parquet.write_table(table, path, row_group_size=100, use_dictionary=["t"])
    found = scan(path)
    assert len(found.parts()) > 1
    assert [part.first_row for part in found.parts()] == sorted({part.first_row for part in found.parts()})
    kinds = [str(field.type) for field in found.arrow_schema]
    assert kinds[1].startswith("dictionary")
    assert kinds[2] == "string"
    for part in found.parts():
        for batch in part.batches(found.arrow_schema.names, 64):
            assert batch.schema.types == found.arrow_schema.types
            assert batch.num_rows <= 64
    assert scanned(path)["n"].tolist() == list(range(rows))


def test_parquet_columns_that_are_named_twice_get_numbers(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"]), path)
    found = read(path)
    same(found, {"a": [1], "a.1": ["x"]})
    assert "it is now 'a.1'" in found.attrs["clary"][0].message
    same(read(path, columns=["a.1"]), {"a.1": ["x"]})


def test_a_parquet_file_without_rows_or_columns(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.schema([("a", pa.int64())]).empty_table(), path)
    assert list(read(path).columns) == ["a"]
    assert not scan(path).parts()


def test_folders_names_are_columns(tmp_path):
    for year in (2023, 2024):
        folder = tmp_path / f"year={year}" / "kind=a%20b"
        folder.mkdir(parents=True)
        pd.DataFrame({"x": [year, 2]}).to_parquet(folder / "part.parquet")
    expected = {"year": [2023, 2023, 2024, 2024], "kind": ["a b"] * 4, "x": [2023, 2, 2024, 2]}
    same(read(tmp_path), expected)
    same(scanned(tmp_path), expected)
    same(read(tmp_path, columns=["x", "year"]), {"x": expected["x"], "year": expected["year"]})


@pytest.mark.filterwarnings("ignore:Feather V1")
def test_old_feather_is_read(tmp_path):
    path = tmp_path / "a.feather"
    feather.write_feather(pa.table({"a": [1, 2], "b": ["x", "y"]}), path, version=1)
    same(read(path), {"a": [1, 2], "b": ["x", "y"]})


# JSON


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([{"a": 1, "b": {"c": "x", "d": {"e": 2}}}, {"a": 2}], {"a": [1, 2], "b.c": ["x", None], "b.d.e": [2, None]}),
        ({"a": [1, 2], "b": ["x", "y"]}, {"a": [1, 2], "b": ["x", "y"]}),
        ({"count": 2, "rows": [{"a": 1}, {"a": 2}]}, {"a": [1, 2]}),
        ([[1, "x"], [2, "y"]], {"column_1": [1, 2], "column_2": ["x", "y"]}),
        ([["a", "b"], [1, "x"]], {"a": [1], "b": ["x"]}),
        ([1, 2.5], {"column_1": [1, 2.5]}),
        ({"k1": {"a": 1}, "k2": {"a": 2}}, {"key": ["k1", "k2"], "a": [1, 2]}),
        ([{"a": 1}, {"a": "x"}], {"a": ["1", "x"]}),
        ([{"a": [1, 2]}, {"a": "x"}], {"a": ["[1, 2]", "x"]}),
        ([{"a.b": 1, "a": {"b": 2}}], {"a.b": [1], "a.b.1": [2]}),
        ([{"a": 2**70}, {"a": 1}], {"a": [str(2**70), "1"]}),
        ([{"a": {}}, {"a": {"b": 1}}], {"a": [None, None], "a.b": [None, 1]}),
        ([{"a": "NA"}, {"a": ""}], {"a": ["NA", ""]}),
    ],
)
def test_json_of_many_shapes(tmp_path, written, expected):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(written))
    same(read(path), expected)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1",
        "{}",
        "[]",
        '"x"',
        "[1, {}]",
        '{"a": [1], "b": []}',
        "[[1], [1, 2]]",
        "{",
        '{"a":1}\n{"a":2}',
        "[" * 9999,
    ],
)
def test_json_that_is_no_table_is_an_error(tmp_path, written):
    path = tmp_path / "a.json"
    path.write_text(written)
    with pytest.raises(DataError, match=r"a\.json"):
        read(path)


def test_records_within_json_are_chosen(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"x": {"rows": [{"a": 1}]}, "y": [{"b": 1}]}))
    same(read(path, records="x.rows"), {"a": [1]})
    with pytest.raises(DataError, match="no 'z'"):
        read(path, records="z")


def test_json_lines_whose_types_change_keep_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr("clary.data.sources.jsonlines.BLOCK_BYTES", 50)
    rows = [{"n": n, "f": n, "t": "2020-01-01", "m": n, "o": {"i": n}} for n in range(20)]
    rows += [{"n": 20, "f": 0.5, "t": "soon", "m": "x", "late": True}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read(path)
    assert list(found.columns) == ["n", "f", "t", "m", "o.i", "late"]
    assert found["n"].tolist() == list(range(21))
    assert found["f"].tolist() == [*range(20), 0.5]
    assert found["t"].tolist() == ["2020-01-01"] * 20 + ["soon"]
    assert found["m"].tolist() == [*map(str, range(20)), "x"]
    assert found["late"].isna().sum() == 20
    assert scanned(path)["late"].tolist()[-1] == 1
    assert any("read as text" in note.message and note.column == "m" for note in found.attrs["clary"])


def test_invalid_json_lines_are_bad_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n[1]\n\n{"a": 2}\n{"a": "\xff"}\n')
    with pytest.raises(DataError, match=r"3 rows are bad.*line 2: not JSON.*line 3: a list, not an object.*line 6"):
        read(path)
    same(read(path, bad_rows="skip"), {"a": [1, 2]})


def test_times_in_json_are_times(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"a": "2020-01-01T00:00:00Z", "b": {"c": "2020-01-01"}}\n{"a": null, "b": {"c": "2020-01-02 10:00"}}'
    )
    found = read(path)
    assert str(found["a"].dtype) == "datetime64[us, UTC]"
    assert found["b.c"].tolist() == [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02 10:00")]


# Spreadsheets


def test_sheets_are_chosen(tmp_path):
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as writer:
        pd.DataFrame({"a": [1]}).to_excel(writer, sheet_name="one", index=False)
        pd.DataFrame({"b": [2.5, None], "c": ["NA", "x"]}).to_excel(writer, sheet_name="two", index=False)
    found = read(path)
    same(found, {"a": [1]})
    assert any("Of 2 sheets the first, 'one', was read" in note.message for note in found.attrs["clary"])
    same(read(path, sheet="two"), {"b": [2.5, None], "c": [None, "x"]})
    same(read(path, sheet=1, header=False, skip=1), {"column_1": [2.5, None], "column_2": [None, "x"]})
    for wrong in ("three", 2, -1, True):
        with pytest.raises(DataError, match="it has 'one', 'two'"):
            read(path, sheet=wrong)


def test_a_sheet_of_mixed_cells_is_noted(tmp_path):
    path = tmp_path / "a.xlsx"
    pd.DataFrame({"a": [1, "x", None], "b": [True, False, True]}).to_excel(path, index=False)
    found = read(path)
    assert found["a"].tolist()[:2] == ["1", "x"]
    assert any("mixes int, str" in note.message for note in found.attrs["clary"])


def test_an_empty_sheet_is_an_error(tmp_path):
    path = tmp_path / "a.xlsx"
    pd.DataFrame().to_excel(path, index=False)
    with pytest.raises(DataError, match="empty"):
        read(path)


# NumPy, HDF5, pickle


def test_numpy_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1.5, 2], [3, 4]]))
    same(read(tmp_path / "a.npy"), {"column_1": [1.5, 3], "column_2": [2.0, 4]})
    np.save(tmp_path / "b.npy", np.array([(1, "x"), (2, "y")], dtype=[("a", ">i4"), ("b", "U3")]))
    same(read(tmp_path / "b.npy"), {"a": [1, 2], "b": ["x", "y"]})
    np.savez(tmp_path / "c.npz", x=np.arange(2), y=np.array([True, False]))
    same(read(tmp_path / "c.npz"), {"x": [0, 1], "y": [True, False]})
    np.savez_compressed(tmp_path / "d.npz", x=np.arange(2), m=np.eye(3, dtype=np.float16))
    same(read(tmp_path / "d.npz", key="m"), {f"column_{n + 1}": np.eye(3)[n] for n in range(3)})
    with pytest.raises(DataError, match=r"choose one by key=.*'x \(2,\)'"):
        read(tmp_path / "d.npz")
    with pytest.raises(DataError, match="no array 'z'"):
        read(tmp_path / "d.npz", key="z")


@pytest.mark.parametrize("array", [np.zeros((2, 2, 2)), np.array(3), np.array([1j])])
def test_arrays_that_are_no_table_are_errors(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError):
        read(tmp_path / "a.npy")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_refused_without_being_loaded(tmp_path):
    path, touched = tmp_path / "a.pkl", tmp_path / "touched"
    path.write_bytes(pickle.dumps(Bomb(touched)))
    for options in ({}, {"format": "pickle"}):
        with pytest.raises(DataError, match=r"unpickling runs whatever code.*allow_pickle=True"):
            read(path, **options)
    array = np.array([Bomb(touched)], dtype=object)
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="allow_pickle=True"):
            read(tmp_path / name)
    assert not touched.exists()


@pytest.mark.parametrize(
    "held",
    [
        pd.Series([1, 2], name="a"),
        [{"a": 1}, {"a": 2}],
        {"a": [1, 2]},
        pa.table({"a": [1, 2]}),
        pd.DataFrame({"a": [1, 2]}),
    ],
)
def test_pickles_of_tables_are_read_when_allowed(tmp_path, held):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(held))
    same(read(path, allow_pickle=True), {"a": [1, 2]})


def test_a_pickle_of_no_table_is_an_error(tmp_path):
    path = tmp_path / "a.pkl"
    for content in (pickle.dumps(3), pickle.dumps({"a": 1}), b"\x80\x04."):
        path.write_bytes(content)
        with pytest.raises(DataError):
            read(path, allow_pickle=True)


def test_hdf5_datasets(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/m"] = np.array([[1, 2], [3, 4]])
        file["group/m"].attrs["columns"] = ["a", "b"]
    same(read(path), {"a": [1, 3], "b": [2, 4]})
    with h5py.File(path, "a") as file:
        file["r"] = np.array([(1, b"x")], dtype=[("n", "i4"), ("s", "S2")])
        file["words"] = ["é", "b"]
    same(read(path, key="r"), {"n": [1], "s": ["x"]})
    same(read(path, key="words"), {"column_1": ["é", "b"]})
    with pytest.raises(DataError, match="3 datasets: choose one by key=: 'group/m', 'r', 'words'"):
        read(path)
    with pytest.raises(DataError, match="no dataset 'z'"):
        read(path, key="z")


def pandas_table(path, kinds=None):
    """What pandas' HDFStore writes with format="table", as its documentation and pandas.io.pytables lay it out."""
    rows = np.array(
        [(0, [1.5, 2.5], [7]), (1, [3.5, 4.5], [8])],
        dtype=[("index", "i8"), ("values_block_0", "f8", (2,)), ("values_block_1", "i8", (1,))],
    )
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group["table"] = rows
        for place, names in enumerate((["a", "b"], ["n"])):
            group["table"].attrs[f"values_block_{place}_kind"] = np.void(kinds or pickle.dumps(names, 0))


def test_tables_that_pandas_wrote_to_hdf5(tmp_path):
    path = tmp_path / "a.h5"
    pandas_table(path)
    same(read(path), {"a": [1.5, 3.5], "b": [2.5, 4.5], "n": [7, 8]})
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = "frame"
        group.attrs["nblocks"] = 2
        group["axis0"] = np.array([b"n", b"a"])
        group["axis1"] = np.arange(2)
        group["block0_items"], group["block0_values"] = np.array([b"a"]), np.array([[0.5], [1.5]])
        group["block1_items"], group["block1_values"] = np.array([b"n"]), np.array([[1], [2]])
    same(read(path), {"n": [1, 2], "a": [0.5, 1.5]})


def test_pickles_within_hdf5_run_nothing(tmp_path):
    path, touched = tmp_path / "a.h5", tmp_path / "touched"
    pandas_table(path, pickle.dumps(Bomb(touched), 0))
    with pytest.raises(DataError, match="unpickling runs code"):
        read(path)
    assert not touched.exists()


# Databases


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "a b?#.db"
    connection = sqlite3.connect(path)
    connection.execute('create table "drop ""x"" table" (a integer, "b c" text)')
    connection.executemany('insert into "drop ""x"" table" values (?, ?)', [(1, "x"), (2, None), (3, "z")])
    connection.commit()
    connection.close()
    return path


def test_tables_of_any_name_are_read(database):
    expected = {"a": [1, 2, 3], "b c": ["x", None, "z"]}
    same(read(database), expected)
    same(read(database, table='drop "x" table'), expected)
    same(read(database, query='select a from "drop ""x"" table" where "b c" = \':x\' or a > 1'), {"a": [2, 3]})


def test_tables_are_chosen_where_there_are_several(database):
    connection = sqlite3.connect(database)
    connection.execute("create table other (z)")
    connection.close()
    with pytest.raises(DataError, match="2 tables: choose one by table="):
        read(database)
    with pytest.raises(DataError, match="no table 'nope'"):
        read(database, table="nope")
    with pytest.raises(DataError, match="no table"):
        read(database, table='other"; drop table other; --')
    assert list(read(database, table="other").columns) == ["z"]


@pytest.mark.parametrize(
    "query", ['delete from "drop ""x"" table"', "create table n (a)", "select nonsense", "select 1; select 2"]
)
def test_queries_that_change_or_fail_are_errors(database, query):
    with pytest.raises(DataError):
        read(database, query=query)
    assert len(read(database)) == 3


def test_a_database_is_read_by_url(tmp_path, frame):
    connection = sqlite3.connect(tmp_path / "a.db")
    frame[["whole", "text"]].to_sql("t", connection, index=False)
    connection.close()
    same(read(f"sqlite:///{tmp_path}/a.db", table="t"), frame[["whole", "text"]])
    with pytest.raises(DataError, match="no file"):
        read(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DataError):
        read("nosuchdb://host/x")
    with pytest.raises(DataError) as caught:
        read("postgresql+nosuchdriver://user:secret@localhost/x")
    assert "secret" not in str(caught.value)


def test_a_column_of_changing_types_in_sqlite_is_text(database, monkeypatch):
    monkeypatch.setattr("clary.data.sources.sql.FETCHED_ROWS", 2)
    connection = sqlite3.connect(database)
    connection.execute('insert into "drop ""x"" table" values (?, ?)', ("word", b"\xff"))
    connection.commit()
    connection.close()
    found = read(database)
    assert found["a"].tolist() == ["1", "2", "3", "word"]
    assert any(note.column == "a" and "text" in note.message for note in found.attrs["clary"])


# Fixed width, libsvm, RecordIO


def test_fixed_width(tmp_path):
    path = tmp_path / "a.fwf"
    path.write_text("id  name      price\n 1  anna b.    1.50\n 2  zoë       12.25\n13  c            NA\n")
    expected = {"id": [1, 2, 13], "name": ["anna b.", "zoë", "c"], "price": [1.5, 12.25, None]}
    found = read(path, widths=[4, 10, 5])
    same(found, expected)
    same(scanned(path, widths=[4, 10, 5]), expected)
    same(read(path, colspecs=[(0, 2), (14, None)]), {"id": [1, 2, 13], "price": [1.5, 12.25, None]})
    expected_by_pandas = pd.read_fwf(path, colspecs=[(0, 2), (4, 14), (14, 19)])
    same(found, expected_by_pandas)
    plain = tmp_path / "b.fwf"
    plain.write_text("  1  20 x\n 33   4 y\n")
    same(read(plain), {"column_1": [1, 33], "column_2": [20, 4], "column_3": ["x", "y"]})
    for wrong in ({"widths": [0]}, {"colspecs": [(3, 1)]}, {"names": ["a"]}, {"header": 3}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            read(plain, **wrong)


def test_libsvm_is_what_scikit_learn_reads(tmp_path):
    path = tmp_path / "a.libsvm"
    matrix = random_matrix(50, 20, 0.2, format="csr", random_state=0)
    labels = np.arange(50) % 3
    dump_svmlight_file(matrix, labels, str(path), zero_based=True)
    expected, _ = load_svmlight_file(str(path), zero_based=True)
    found = read(path)
    assert isinstance(found["f3"].dtype, pd.SparseDtype)
    assert found["label"].tolist() == labels.tolist()
    features = found.drop(columns="label")
    assert np.array_equal(features.to_numpy(), expected.toarray())
    assert np.array_equal(scanned(path).drop(columns="label").to_numpy(), expected.toarray())


def test_libsvm_of_indices_from_one(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 qid:3 1:0.5 3:2 # note\n-1 qid:4 2:1e-3\n")
    same(
        read(path).astype(float),
        {"label": [1.0, -1], "qid": [3.0, 4], "f1": [0.5, 0], "f2": [0, 0.001], "f3": [2.0, 0]},
    )


@pytest.mark.parametrize("text", ["1 2:x\n", "1 3:1 2:1\n", "a 1:1\n", "1 -2:1\n", "", "1 99999999999:1\n"])
def test_broken_libsvm_is_an_error(tmp_path, text):
    path = tmp_path / "a.libsvm"
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.libsvm"):
        read(path)


def test_recordio(tmp_path):
    path = tmp_path / "a.recordio"
    features = np.array([[1.5, np.nan], [3, 4]], np.float32)
    path.write_bytes(write_rows(features, np.array([0, 1], np.float32)))
    same(read(path), {"label": [0.0, 1], "f0": [1.5, 3], "f1": [np.nan, 4]})
    same(scanned(path), read(path))
    path.write_bytes(write_rows(features))
    same(read(path), {"f0": [1.5, 3], "f1": [np.nan, 4]})


@pytest.mark.parametrize(
    "content", [b"", b"\x0a\x23\xd7\xce", struct.pack("<II", 0xCED7230A, 100), b"no record at all"]
)
def test_broken_recordio_is_an_error(tmp_path, content):
    path = tmp_path / "a.recordio"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.recordio"):
        read(path)


# Images and recordings


def test_folders_of_images(tmp_path):
    for label, size in (("cat", (4, 3)), ("dog", (5, 6))):
        (tmp_path / label).mkdir()
        Image.new("RGB", size).save(tmp_path / label / "a.png")
    found = read(tmp_path)
    assert found["label"].tolist() == ["cat", "dog"]
    assert found["width"].tolist() == [4, 5]
    assert found["mode"].tolist() == ["RGB", "RGB"]
    assert Image.open(io.BytesIO(found["image"][1])).size == (5, 6)
    (tmp_path / "cat" / "broken.png").write_bytes(b"\x89PNG and nothing")
    with pytest.raises(DataError, match=r"1 row is bad.*not an image.*broken\.png"):
        read(tmp_path)
    assert len(read(tmp_path, bad_rows="skip")) == 2
    assert scanned(tmp_path, bad_rows="skip", columns=["label", "height"])["height"].tolist() == [3, 6]


def test_folders_of_recordings(tmp_path):
    (tmp_path / "x").mkdir()
    with wave.open(str(tmp_path / "x" / "a.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4 * 800))
    soundfile.write(tmp_path / "x" / "b.flac", np.zeros(1600), 16000)
    found = read(tmp_path)
    assert found["rate"].tolist() == [8000, 16000]
    assert found["channels"].tolist() == [2, 1]
    assert found["seconds"].tolist() == [0.1, 0.1]
    assert found["label"].tolist() == ["x", "x"]
    (tmp_path / "x" / "c.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="not a recording"):
        read(tmp_path)
