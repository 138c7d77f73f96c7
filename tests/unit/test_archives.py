"""model.tar.gz, in and out: whole, safe, and independent of who packs it."""

import errno
import gzip
import io
import os
import tarfile
import time

import pytest

from clary.artifacts import files, packing
from clary.artifacts.archives import Limits, collect, unpack
from clary.artifacts.base import S3Uri, TransferCancelled
from clary.artifacts.folder import FolderStore
from clary.core.errors import ObjectStoreError
from clary.core.tasks import Output

MODEL = Output("model", "s3://b/job/output/model.tar.gz")


def entry(name, content=b"", kind=tarfile.REGTYPE, link="", mode=0o644, size=None):
    member = tarfile.TarInfo(name)
    member.size = len(content) if size is None else size
    member.type, member.linkname, member.mode = kind, link, mode
    return member, content


def folder(name):
    return entry(name, kind=tarfile.DIRTYPE)


def symlink(name, to):
    return entry(name, kind=tarfile.SYMTYPE, link=to)


def tar(*entries):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for member, content in entries:
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def archive(tmp_path):
    def write(*entries, raw=None):
        path = tmp_path / "model.tar.gz"
        path.write_bytes(gzip.compress(tar(*entries)) if raw is None else raw)
        return path

    return write


def tree(top):
    return {
        str(path.relative_to(top)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in top.rglob("*")
        if path.is_symlink() or path.is_file()
    }


class TestUnpack:
    def test_puts_members_below_the_target(self, archive, tmp_path):
        made = archive(
            entry("model.json", b"{}"),
            folder("code"),
            entry("./code/inference.py", b"pass"),
            entry("deep/er/x", b"1"),
            symlink("latest", "model.json"),
            symlink("code/up", "../model.json"),
            entry("same", kind=tarfile.LNKTYPE, link="model.json"),
        )
        unpack(made, tmp_path / "m")
        assert tree(tmp_path / "m") == {
            "model.json": "{}",
            "code/inference.py": "pass",
            "deep/er/x": "1",
            "latest": "-> model.json",
            "code/up": "-> ../model.json",
            "same": "{}",
        }

    def test_unpacking_twice_gives_the_same(self, archive, tmp_path):
        made = archive(
            entry("a", b"1"), folder("d"), symlink("d/l", "../a"), entry("h", kind=tarfile.LNKTYPE, link="a")
        )
        unpack(made, tmp_path / "m")
        (tmp_path / "m" / "a").write_text("half of it")
        unpack(made, tmp_path / "m")
        assert tree(tmp_path / "m") == {"a": "1", "d/l": "-> ../a", "h": "1"}

    def test_takes_what_gnu_tar_and_several_gzip_members_make(self, archive, tmp_path):
        plain = tar(entry("a", b"x" * 5000))
        unpack(archive(raw=gzip.compress(plain[:700]) + gzip.compress(plain[700:])), tmp_path / "m")
        assert tree(tmp_path / "m") == {"a": "x" * 5000}

    def test_gives_nobody_more_rights_than_they_need(self, archive, tmp_path):
        unpack(archive(entry("a", b"", mode=0o6777), entry("b", b"", mode=0o000)), tmp_path / "m")
        assert [(tmp_path / "m" / name).stat().st_mode & 0o7777 for name in "ab"] == [0o755, 0o600]

    @pytest.mark.parametrize(
        "entries",
        [
            [entry("../x", b"evil")],
            [entry("a/../../x", b"evil")],
            [entry("/etc/x", b"evil")],
            [folder("../x")],
            [symlink("l", "/etc")],
            [symlink("l", "..")],
            [symlink("l", "../../x")],
            [symlink("a/l", "../../x")],
            [symlink("l", "/"), entry("l/x", b"evil")],
            # A link that stays inside by its letters, through one that does not keep to them.
            [folder("x"), folder("x/y"), symlink("x/y/d", "../.."), symlink("a", "x/y/d/.."), entry("a/x", b"evil")],
            [
                symlink("a", "x/y/d/.."),
                folder("x"),
                folder("x/y"),
                symlink("x/y/d", "../.."),
                entry("a/new/x", b"evil"),
            ],
            [symlink("a", "x/y/d/.."), folder("x"), folder("x/y"), symlink("x/y/d", "../..")],
            [entry("h", kind=tarfile.LNKTYPE, link="../outside")],
            [entry("h", kind=tarfile.LNKTYPE, link="/etc/passwd")],
            [entry("h", kind=tarfile.LNKTYPE, link="not there")],
            [entry("f", kind=tarfile.FIFOTYPE)],
            [entry("d", kind=tarfile.CHRTYPE)],
            [entry("d", kind=tarfile.BLKTYPE)],
        ],
        ids=lambda entries: " ".join(f"{member.name}>{member.linkname}" for member, _ in entries),
    )
    def test_refuses_members_that_lead_out(self, archive, tmp_path, entries):
        (tmp_path / "outside").write_text("mine")
        made = archive(*entries)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(
            ObjectStoreError, match=r's3://b/m was not unpacked: its member ".*" is refused: it '
        ) as error:
            unpack(made, tmp_path / "in" / "m", "s3://b/m")
        assert sorted({*tmp_path.iterdir()} - {tmp_path / "in"}) == before
        assert sorted((tmp_path / "in").iterdir()) == [tmp_path / "in" / "m"]
        assert "\n" not in str(error.value)

    def test_does_not_write_through_a_link_that_was_there(self, archive, tmp_path):
        (tmp_path / "outside").write_text("mine")
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "a").symlink_to(tmp_path / "outside")
        unpack(archive(entry("a", b"new")), tmp_path / "m")
        assert (tmp_path / "outside").read_text() == "mine"
        assert tree(tmp_path / "m") == {"a": "new"}

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"x",
            b"\x1f\x8b",
            tar(entry("a", b"not compressed")),
            gzip.compress(b"no tar"),
            gzip.compress(b"no tar" * 1000),
            gzip.compress(b""),
            gzip.compress(tar(entry("a", os.urandom(5000))))[:-2000],
            gzip.compress(tar(entry("a", os.urandom(5000))))[:-4],
            gzip.compress(tar(entry("a", b"x" * 5000))[:2000]),
            gzip.compress(tar(entry("a", b"x" * 5000)))[:-8] + b"\0" * 8,
            b"PK\x03\x04" + b"zip" * 100,
            gzip.compress(b"\x80" * 512 * 4),
        ],
        ids=range(13),
    )
    def test_a_file_that_is_not_an_archive_is_an_error(self, archive, tmp_path, raw):
        with pytest.raises(ObjectStoreError, match=r"^s3://b/m is not a valid gzip-compressed tar archive: "):
            unpack(archive(raw=raw), tmp_path / "m", "s3://b/m")

    def test_every_damaged_byte_is_an_error_or_does_no_harm(self, archive, tmp_path):
        good = gzip.compress(tar(entry("a", b"content"), symlink("l", "a")))
        for position in range(len(good)):
            damaged = bytearray(good)
            damaged[position] ^= 0xFF
            try:
                unpack(archive(raw=bytes(damaged)), tmp_path / str(position))
            except ObjectStoreError:
                continue
            assert tree(tmp_path / str(position)) == {"a": "content", "l": "-> a"}, position

    @pytest.mark.parametrize(
        ("entries", "limits"),
        [
            ([entry(f"{n}", b"") for n in range(11)], Limits(members=10)),
            ([entry("zeros", bytes(2 << 20))], Limits(ratio=200, free_bytes=1 << 20)),
            ([entry(f"{n}", bytes(200 << 10)) for n in range(10)], Limits(ratio=10, free_bytes=1 << 20)),
        ],
        ids=["members", "one", "many"],
    )
    def test_refuses_bombs(self, archive, tmp_path, entries, limits):
        with pytest.raises(
            ObjectStoreError, match=r"was not unpacked: it (holds more than 10 members|would come to more)"
        ):
            unpack(archive(*entries), tmp_path / "m", limits=limits)
        assert sum(path.stat().st_size for path in (tmp_path / "m").iterdir()) <= 1 << 20

    def test_large_models_are_no_bombs(self, archive, tmp_path):
        unpack(archive(entry("zeros", bytes(2 << 20))), tmp_path / "m")
        assert (tmp_path / "m" / "zeros").stat().st_size == 2 << 20

    def test_a_header_that_would_fill_the_memory_is_refused(self, archive, tmp_path):
        header = entry("x", kind=tarfile.XHDTYPE, size=64 << 20)[0].tobuf()
        with pytest.raises(ObjectStoreError, match="a header of more than"):
            unpack(archive(raw=gzip.compress(header + bytes(64 << 20), 1)), tmp_path / "m")

    def test_a_size_below_zero_is_refused(self, archive, tmp_path):
        member = bytearray(entry("x", b"")[0].tobuf())
        member[124:136] = b"\xff" * 11 + b"\0"
        member[148:156] = b"        "
        member[148:156] = b"%06o\0 " % sum(member)
        with pytest.raises(ObjectStoreError):
            unpack(archive(raw=gzip.compress(bytes(member) + bytes(1024))), tmp_path / "m")

    def test_a_full_disk_is_reported(self, archive, tmp_path, monkeypatch):
        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files, "new_file", full)
        with pytest.raises(ObjectStoreError, match=r"Could not unpack s3://b/m: the disk is full"):
            unpack(archive(entry("a", b"1")), tmp_path / "m", "s3://b/m")

    def test_can_be_cancelled(self, archive, tmp_path):
        with pytest.raises(TransferCancelled):
            unpack(archive(entry("a", b"1")), tmp_path / "m", cancelled=lambda: True)
        assert tree(tmp_path / "m") == {}


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path / "s3")
    store.make_bucket("b")
    return store


def host(tmp_path, number=1, **contents):
    top = tmp_path / f"algo-{number}" / "model"
    top.mkdir(parents=True)
    for name, content in contents.items():
        path = top / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return top


def collected(store, tmp_path, *tops):
    assert collect(store, MODEL, tops) == MODEL.uri
    unpack(store.find(S3Uri.parse(MODEL.uri)).path, tmp_path / "again")
    return tree(tmp_path / "again")


class TestCollect:
    def test_packs_the_contents_at_the_root(self, store, tmp_path):
        top = host(tmp_path, a="1", code__b="2")
        (top / "empty").mkdir()
        assert collected(store, tmp_path, top) == {"a": "1", "code/b": "2"}
        assert (tmp_path / "again" / "empty").is_dir()
        with tarfile.open(store.find(S3Uri.parse(MODEL.uri)).path) as archive:
            assert archive.getnames() == ["a", "code", "code/b", "empty"]

    def test_merges_hosts_and_the_first_wins(self, store, tmp_path):
        first, second = (
            host(tmp_path, 1, a="1", b="1", c__x="1", d="1"),
            host(tmp_path, 2, b="2", c__y="2", d__z="2", e="2"),
        )
        found = collected(store, tmp_path, first, second)
        assert found == {"a": "1", "b": "1", "c/x": "1", "c/y": "2", "d": "1", "e": "2"}

    def test_a_host_may_have_nothing(self, store, tmp_path):
        assert collected(store, tmp_path, tmp_path / "gone", host(tmp_path, a="1")) == {"a": "1"}

    def test_holds_nothing_about_its_writer(self, store, tmp_path):
        top = host(tmp_path, a="1", b__c="2")
        for path in (top / "a", top / "b", top / "b/c"):
            os.utime(path, (1e9, 1e9))
        collect(store, MODEL, [top])
        first = store.read(S3Uri.parse(MODEL.uri))
        (top / "a").rename(top / "moved")
        (top / "moved").rename(top / "a")
        os.utime(top / "b", (1e9, 1e9))
        collect(store, MODEL, [top])
        assert store.read(S3Uri.parse(MODEL.uri)) == first
        with tarfile.open(fileobj=io.BytesIO(first)) as archive:
            assert {(m.uid, m.gid, m.uname, m.gname) for m in archive} == {(0, 0, "", "")}

    def test_keeps_links_that_stay_inside_and_leaves_out_the_rest(self, store, tmp_path):
        top = host(tmp_path, a="1", sub__b="2")
        (tmp_path / "secret").write_text("secret")
        (top / "inside").symlink_to("a")
        (top / "sub" / "up").symlink_to("../a")
        (top / "absolute").symlink_to(top / "sub" / "b")
        (top / "folder").symlink_to("sub")
        (top / "outside").symlink_to(tmp_path / "secret")
        (top / "up").symlink_to("../..")
        (top / "nowhere").symlink_to("gone")
        (top / "circle").symlink_to("circle")
        os.mkfifo(top / "fifo")
        assert collected(store, tmp_path, top) == {
            "a": "1",
            "sub/b": "2",
            "inside": "-> a",
            "sub/up": "-> ../a",
            "absolute": "-> sub/b",
            "folder": "-> sub",
        }

    def test_stores_what_does_not_shrink_and_shrinks_the_rest(self, store, tmp_path):
        top = host(tmp_path, a="1" * 2_000_000)
        weights = os.urandom(2_000_000)
        (top / "weights").write_bytes(weights)
        (top / "z").write_text("2" * 2_000_000)
        collect(store, MODEL, [top])
        path = store.find(S3Uri.parse(MODEL.uri)).path
        assert 2_000_000 < path.stat().st_size < 2_050_000
        unpack(path, tmp_path / "again")
        assert (tmp_path / "again/weights").read_bytes() == weights
        assert (tmp_path / "again/z").read_text() == "2" * 2_000_000

    @pytest.mark.parametrize(
        ("archive", "empty", "uri"), [(True, False, ""), (True, True, "u"), (False, False, ""), (False, True, "u")]
    )
    def test_an_empty_directory(self, store, tmp_path, archive, empty, uri):
        output = Output("model", "s3://b/out", archive=archive, empty=empty)
        assert collect(store, output, [host(tmp_path)]) == (output.uri if uri else "")
        assert store.exists(S3Uri("b", "out")) == (archive and empty)
        if archive and empty:
            unpack(store.find(S3Uri("b", "out")).path, tmp_path / "again")
            assert tree(tmp_path / "again") == {}

    def test_plain_files_go_below_the_prefix(self, store, tmp_path):
        first, second = host(tmp_path, 1, a="1", c__x="1"), host(tmp_path, 2, a="2", c__y="2")
        (first / "link").symlink_to("a")
        (first / "out").symlink_to("/etc/passwd")
        for uri in ("s3://b/job/output/model/", "s3://b/job/output/other"):
            assert collect(store, Output("model", uri, archive=False), [first, second]) == uri
        keys = [item.key for item in store.list(S3Uri("b", "job/output/"))]
        assert keys == [f"job/output/{at}/{name}" for at in ("model", "other") for name in ("a", "c/x", "c/y", "link")]
        assert store.read(S3Uri("b", "job/output/model/a")) == b"1"

    def test_a_full_disk_leaves_nothing(self, store, tmp_path, monkeypatch):
        class Full(packing.Packing):
            def add(self, name, path):
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("clary.artifacts.archives.Packing", Full)
        top = host(tmp_path, a="1")
        with pytest.raises(ObjectStoreError, match=r"Could not pack s3://b/job/output/model.tar.gz: the disk is full"):
            collect(store, MODEL, [top])
        assert not store.exists(S3Uri.parse(MODEL.uri))
        assert sorted(top.parent.iterdir()) == [top]

    def test_a_bucket_that_is_missing_leaves_nothing(self, store, tmp_path):
        top = host(tmp_path, a="1")
        with pytest.raises(ObjectStoreError, match='bucket "gone" does not exist'):
            collect(store, Output("model", "s3://gone/m.tar.gz"), [top])
        assert sorted(top.parent.iterdir()) == [top]

    @pytest.mark.parametrize("archive", [True, False])
    def test_can_be_cancelled(self, store, tmp_path, archive):
        with pytest.raises(TransferCancelled):
            collect(store, Output("model", "s3://b/m", archive=archive), [host(tmp_path, a="1")], lambda: True)
        assert list(store.list(S3Uri("b", ""))) == []

    def test_a_time_from_before_1970_does_no_harm(self, store, tmp_path):
        top = host(tmp_path, a="1")
        os.utime(top / "a", (-time.time(), -time.time()))
        assert collected(store, tmp_path, top) == {"a": "1"}
