"""Where sources are: folders, globs, archives, S3; several files as one table; hostile names."""

import bz2
import gzip
import lzma
import os
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from clary.data.errors import DataError
from clary.data.scans import each_batch
from clary.data.sinks import write
from clary.data.sources import read, scan
from tests.s3server import running_s3


def same(found, expected):
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected), check_dtype=False)


CSV = b"a,b\n1,x\n2,y\n"
TABLE = {"a": [1, 2], "b": ["x", "y"]}


def zstandard(data):
    return pa.compress(data, "zstd", asbytes=True)


def zipped(members):
    def made(data):
        path = "made.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members(data).items():
                archive.writestr(name, content)
        return Path(path).read_bytes()

    return made


PACKED = {
    "a.csv.gz": gzip.compress,
    "a.csv.bz2": bz2.compress,
    "a.csv.xz": lzma.compress,
    "a.csv.zst": zstandard,
    "a.zip": zipped(lambda data: {"inner/a.csv": data}),
    "b.zip": zipped(lambda data: {"a.csv": data, "__MACOSX/a.csv": b"x", ".hidden": b"y", "folder/": b""}),
    "c.zip": zipped(lambda data: {"../../../escaped.csv": data}),
}


@pytest.mark.parametrize("name", PACKED)
def test_compressed_files_are_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "side").mkdir(parents=True)
    path = tmp_path / "in" / "side" / name
    path.write_bytes(PACKED[name](CSV))
    before = sorted(tmp_path.parent.rglob("*escaped*"))
    same(read(path), TABLE)
    with scan(path) as table:
        assert sum(each_batch(table, ["a"], lambda batch: batch.rows)) == 2
    assert sorted(tmp_path.parent.rglob("*escaped*")) == before


def test_compression_is_recognized_by_content_and_layers_are_unpacked(tmp_path):
    (tmp_path / "data").write_bytes(gzip.compress(CSV))
    same(read(tmp_path / "data"), TABLE)
    (tmp_path / "a.csv.gz.xz").write_bytes(lzma.compress(gzip.compress(CSV)))
    same(read(tmp_path / "a.csv.gz.xz"), TABLE)


def test_members_of_one_gzip_file_follow_each_other(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(CSV) + gzip.compress(b"3,z\n"))
    assert read(path)["b"].tolist() == ["x", "y", "z"]


def test_formats_that_need_searching_are_read_compressed(tmp_path):
    frame = pd.DataFrame(TABLE)
    for name in ("a.parquet", "a.feather", "a.xlsx", "a.orc"):
        getattr(frame, {"xlsx": "to_excel"}.get(name.split(".")[1], f"to_{name.split('.')[1]}"))(
            tmp_path / name, **({} if name != "a.xlsx" else {"index": False})
        )
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        same(read(tmp_path / f"{name}.gz"), TABLE)


@pytest.mark.parametrize(("name", "packed"), [(name, pack) for name, pack in PACKED.items() if "zip" not in name])
def test_a_cut_archive_is_an_error(tmp_path, name, packed):
    text = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 10007) for n in range(5000))
    path = tmp_path / name
    whole = packed(text)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=name):
        read(path)
    path.write_bytes(CSV)
    with pytest.raises(DataError, match="is not compressed so"):
        read(path)


def test_members_of_a_zip_are_chosen(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", CSV)
        archive.writestr("two.csv", b"c\n5\n")
    with pytest.raises(DataError, match=r"2 members; choose one by member=: one\.csv, two\.csv"):
        read(path)
    same(read(path, member="two.csv"), {"c": [5]})
    with pytest.raises(DataError, match=r"no member 'three\.csv'"):
        read(path, member="three.csv")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.zip"):
        read(path, member="two.csv")


def test_a_damaged_member_is_an_error(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", CSV * 100)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        read(path)


# Several files


def parts(folder):
    folder.mkdir()
    for place in range(3):
        (folder / f"part-{place}.csv").write_text(f"a,b\n{place},x\n{place + 0.5},y\n" if place else "b,a\nz,7\n")
    (folder / "_SUCCESS").touch()
    (folder / ".hidden.csv").write_text("nonsense")
    return folder


@pytest.mark.parametrize("form", ["folder", "glob", "uri", "list", "path"])
def test_several_files_are_a_single_table(tmp_path, form):
    folder = parts(tmp_path / "in put")
    source = {
        "folder": folder,
        "path": str(folder),
        "glob": f"{folder}/*.csv",
        "uri": folder.as_uri(),
        "list": [folder / f"part-{n}.csv" for n in range(3)],
    }[form]
    expected = {"b": ["z", "x", "y", "x", "y"], "a": [7, 1, 1.5, 2, 2.5]}
    same(read(source), expected)
    with scan(source) as table:
        assert table.rows == 5
        firsts = [part.first_row for part in table.parts()]
        assert firsts == [0, 1, 3]
        found = pd.concat(each_batch(table, ["b", "a"], lambda batch: batch.to_pandas()), ignore_index=True)
    same(found, expected)
    same(read(source, rows=2), {"b": ["z", "x"], "a": [7.0, 1]})


def test_globs_go_down(tmp_path):
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a.csv").write_bytes(CSV)
    same(read(f"{tmp_path}/**/a.csv"), TABLE)
    (tmp_path / "[odd].csv").write_bytes(CSV)
    same(read(tmp_path / "[odd].csv"), TABLE)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("a\n1\n", r"b\.csv has no column 'b', which .*a\.csv has"),
        ("a,b,c\n1,x,2\n", r"b\.csv has the column 'c'"),
        ("a,b\nword,x\n", r"b\.csv, column 'a' holds .*types="),
    ],
)
def test_files_that_do_not_fit_are_an_error_naming_file_and_column(tmp_path, second, expected):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "b.csv").write_text(second)
    with pytest.raises(DataError, match=expected):
        read(tmp_path)


def test_files_of_several_formats_are_an_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    pd.DataFrame(TABLE).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet is parquet, while .*a\.csv is csv"):
        read(tmp_path)


def test_notes_name_their_files(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n?,x\n1,y\n")
    (tmp_path / "b.csv").write_text("a,b\n2,x\n,z\n")
    notes = [note.message for note in read(tmp_path).attrs["clary"]]
    assert any("a.csv" in note and "'?'" in note for note in notes)
    assert any("b.csv" in note and "''" in note for note in notes)


# What is not there, or is something else


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("none.csv", "No such file"),
        ("no/*.csv", "no file matches"),
        ("empty", "without a file"),
        ("loop", "loop.*cannot be read"),
        ("pipe", "is not a file"),
        ("", "is not a path"),
        ("a\0b", "is not a path"),
        ("x" * 5000, "cannot be read"),
        ("https://example.com/a.csv", "https:// cannot be read"),
        ("file://elsewhere/a.csv", "another machine"),
        ("s3://", "names no bucket"),
        ([], "list of sources is empty"),
        (3, "not int"),
        ([3], "not list"),
        (None, "not NoneType"),
    ],
)
def test_sources_that_cannot_be_read_are_errors(tmp_path, monkeypatch, source, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=expected):
        read(source)


def test_links_that_go_around_in_a_folder_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(CSV)
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "broken.csv").symlink_to(tmp_path / "nowhere")
    same(read(tmp_path / "in"), TABLE)


# S3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("s3") / "home") as running:
        yield running


@pytest.fixture
def s3(server, monkeypatch):
    server.empty()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.service.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.credentials.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.credentials.secret_access_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return server


def test_objects_are_read(s3):
    client = s3.client()
    client.put_object(Bucket="buck", Key="in/a.csv", Body=CSV)
    client.put_object(Bucket="buck", Key="in/b.csv.gz", Body=gzip.compress(b"a,b\n3,z\n"))
    client.put_object(Bucket="buck", Key="in/_SUCCESS", Body=b"")
    same(read("s3://buck/in/a.csv"), TABLE)
    both = {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    for source in (
        "s3://buck/in",
        "s3://buck/in/",
        "s3://buck/*/*.csv*",
        ["s3://buck/in/a.csv", "s3://buck/in/b.csv.gz"],
    ):
        same(read(source), both)


def test_parquet_is_read_by_ranges_and_written(s3):
    frame = pd.DataFrame({"n": range(1000), "t": [f"w{n % 3}" for n in range(1000)]})
    assert write(frame, "s3://buck/out/a.parquet") == ["s3://buck/out/a.parquet"]
    same(read("s3://buck/out/a.parquet"), frame)
    same(read("s3://buck/out/a.parquet", columns=["t"]), frame[["t"]])
    written = write(frame, "s3://buck/shards", format="csv", rows_per_file=400)
    assert written == [f"s3://buck/shards/part-0000{n}.csv" for n in range(3)]
    same(read("s3://buck/shards/"), frame)


def test_folders_names_are_columns_in_s3_too(s3):
    write(pd.DataFrame({"a": [1]}), "s3://buck/t/year=2024/a.parquet")
    write(pd.DataFrame({"a": [2]}), "s3://buck/t/year=2025/a.parquet")
    same(read("s3://buck/t/"), {"year": [2024, 2025], "a": [1, 2]})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("s3://buck/none.csv", "no object s3://buck/none.csv"),
        ("s3://buck/*.csv", "no object matches"),
        ("s3://no-such-bucket/a.csv", "no-such-bucket"),
    ],
)
def test_objects_that_are_not_there_are_errors(s3, source, expected):
    with pytest.raises(DataError, match=expected):
        read(source)


def test_a_bucket_that_is_not_there_is_an_error_and_nothing_stays(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(DataError, match="cannot be written"):
        write(pd.DataFrame(TABLE), "s3://no-such-bucket/a.csv")
    assert not list(tmp_path.iterdir())
