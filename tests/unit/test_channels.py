"""Which objects an input selects, under which names, and how they become files."""

import json
import os
import threading

import pytest

from clary.artifacts.base import S3Uri, Stored, TransferCancelled
from clary.artifacts.channels import first_object, selected, stage
from clary.artifacts.folder import FolderStore
from clary.core.errors import ObjectStoreError
from clary.core.tasks import Input


class Remote:
    """A store whose bytes lie elsewhere: keys a folder could not keep, downloads that can be watched."""

    def __init__(self, objects):
        self.objects = {
            key: content if isinstance(content, bytes) else key.encode() for key, content in objects.items()
        }
        self.downloads = []

    def find(self, uri):
        return Stored(uri.key, len(self.objects[uri.key])) if uri.key in self.objects else None

    def list(self, prefix):
        return (Stored(key, len(self.objects[key])) for key in sorted(self.objects) if key.startswith(prefix.key))

    def read(self, uri):
        return self.objects[uri.key]

    def download(self, uri, to, cancelled):
        self.downloads.append(uri.key)
        to.write_bytes(self.objects[uri.key])


def remote(*keys):
    return Remote(dict.fromkeys(keys))


@pytest.fixture
def local(tmp_path):
    store = FolderStore(tmp_path / "s3")
    store.make_bucket("b")
    return store


def put(store, tmp_path, **objects):
    for key, content in objects.items():
        (tmp_path / "content").write_bytes(content)
        store.upload(tmp_path / "content", S3Uri("b", key.replace("__", "/")))


def names(store, uri="s3://b/", kind="prefix", host=(0, 1), **members):
    return [item.name for item in selected(store, Input(kind, uri, "input/data/train", **members), *host)]


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("prefix", "keys", "expected"),
    [
        ("train/", ["train/a", "train/b/c"], ["a", "b/c"]),
        ("train", ["train/a", "train/b/c"], ["a", "b/c"]),
        ("train", ["train-old/x", "train/a"], ["-old/x", "a"]),
        ("train", ["trai", "train"], ["train"]),
        ("data/train.csv", ["data/train.csv"], ["train.csv"]),
        ("data/train.csv", ["data/train.csv", "data/train.csv.gz"], ["train.csv", ".gz"]),
        ("data/tr", ["data/train.csv"], ["ain.csv"]),
        ("", ["a", "b/c"], ["a", "b/c"]),
        ("train/", ["train/", "train/a", "train/sub/", "train/sub/b"], ["a", "sub/b"]),
        ("ü", ["ü/é"], ["é"]),
    ],
)
def test_a_prefix_is_a_string_and_the_rest_of_the_key_a_path(prefix, keys, expected):
    assert names(remote(*keys), f"s3://b/{prefix}") == expected


@pytest.mark.parametrize("kind", ["prefix", "manifest", "archive"])
def test_a_prefix_without_objects_is_an_error_unless_optional(tmp_path, kind):
    with pytest.raises(ObjectStoreError, match="s3://b/none"):
        stage(remote("a"), Input(kind, "s3://b/none", "x"), tmp_path / "x")
    if kind != "manifest":
        stage(remote("a"), Input(kind, "s3://b/none", "x", optional=True), tmp_path / "x")
        assert tree(tmp_path / "x") == []


def test_a_prefix_without_objects_has_awss_error_text():
    with pytest.raises(ObjectStoreError, match=r'^No S3 objects found under S3 URL "s3://b/none"\. Please ensure that'):
        names(remote("a"), "s3://b/none")


def test_a_prefix_with_only_folder_markers_is_an_empty_directory():
    assert names(remote("train/"), "s3://b/train/") == []


def test_a_uri_that_is_not_valid_is_an_error():
    with pytest.raises(ObjectStoreError, match="not an S3 URI"):
        names(remote("a"), "file:///etc")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("t/../../x", r'"\.\."'),
        ("t/a//b", "empty"),
        ("t/./a", r'"\."'),
        ("t//etc/passwd/../x", "empty"),
        ("t/..", r'"\.\."'),
        ("t/" + "x" * 256, "longer"),
        ("t/" + "ü" * 128, "longer"),
        ("t/" + "x/" * 2000 + "x", "longer"),
        ("t/a\0b", "NUL"),
    ],
)
def test_a_hostile_key_is_an_error_that_names_it_and_writes_nothing(tmp_path, key, why):
    with pytest.raises(ObjectStoreError, match=why) as error:
        stage(remote("t/good", key), Input("prefix", "s3://b/t/", "x"), tmp_path / "in" / "x")
    assert key in str(error.value)
    assert tree(tmp_path) == []


@pytest.mark.parametrize("keys", [("t/a", "t/a/b"), ("t/a", "ta"), ("t/a/b/c", "t/a/b"), ("t/x", "t/x/y/z")])
def test_two_objects_for_one_path_are_an_error_that_names_both(keys):
    with pytest.raises(ObjectStoreError) as error:
        names(remote(*keys), "s3://b/t")
    assert all(f'"s3://b/{key}"' in str(error.value) for key in keys)


class TestManifest:
    def manifest(self, content, *keys):
        return Remote(
            dict.fromkeys(keys) | {"m.json": content if isinstance(content, bytes) else json.dumps(content).encode()}
        )

    def test_names_objects_after_its_prefix(self):
        store = self.manifest([{"prefix": "s3://b/p/"}, "z.csv", "rel/a.csv"], "p/z.csv", "p/rel/a.csv", "p/other")
        assert names(store, "s3://b/m.json", "manifest") == ["z.csv", "rel/a.csv"]

    def test_joins_plainly(self):
        store = self.manifest([{"prefix": "s3://b/p/par"}, "t1", "t2"], "p/part1", "p/part2")
        found = selected(store, Input("manifest", "s3://b/m.json", "x"))
        assert [(item.uri.key, item.name) for item in found] == [("p/part1", "t1"), ("p/part2", "t2")]

    def test_may_name_an_object_twice(self):
        store = self.manifest([{"prefix": "s3://b/p/"}, "a", "a"], "p/a")
        assert names(store, "s3://b/m.json", "manifest") == ["a"]

    def test_is_dealt_out_and_shuffled_likewise(self):
        store = self.manifest([{"prefix": "s3://b/p/"}, "c", "a", "b"], "p/a", "p/b", "p/c")
        assert names(store, "s3://b/m.json", "manifest", (0, 2), sharded=True) == ["c", "b"]
        assert names(store, "s3://b/m.json", "manifest", (1, 2), sharded=True) == ["a"]

    def test_names_what_is_missing(self):
        store = self.manifest([{"prefix": "s3://b/p/"}, "a", "gone"], "p/a")
        with pytest.raises(ObjectStoreError, match=r'm.json names "gone", but there is no object s3://b/p/gone'):
            names(store, "s3://b/m.json", "manifest")

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"\xff", b"[" * 100_000, {}, [], ["a"], [{"prefix": 1}], [{"prefix": "s3://b/"}, 1], [{}], "x", 1],
        ids=str,
    )
    def test_a_manifest_that_is_not_valid_is_an_error(self, content):
        with pytest.raises(ObjectStoreError, match=r"The manifest s3://b/m.json (is not valid JSON|must be a list)"):
            names(self.manifest(content), "s3://b/m.json", "manifest")

    @pytest.mark.parametrize("entry", ["../../x", "/../x", "a/../../../x"])
    def test_leads_nowhere_else(self, tmp_path, entry):
        store = self.manifest([{"prefix": "s3://b/p/"}, entry], f"p/{entry}")
        with pytest.raises(ObjectStoreError, match="cannot be a file of the input"):
            stage(store, Input("manifest", "s3://b/m.json", "x"), tmp_path / "in" / "x")
        assert tree(tmp_path) == []


def test_hosts_share_the_objects_out_in_the_order_of_their_keys():
    store = remote(*(f"t/{index}" for index in range(7)))
    shares = [names(store, "s3://b/t", host=(host, 3), sharded=True) for host in range(3)]
    assert shares == [["0", "3", "6"], ["1", "4"], ["2", "5"]]
    assert names(store, "s3://b/t", host=(1, 3)) == [str(index) for index in range(7)]


def test_a_host_may_get_nothing(tmp_path):
    stage(remote("t/a"), Input("prefix", "s3://b/t/", "x", sharded=True), tmp_path / "x", 1, 2)
    assert tree(tmp_path / "x") == []


ORDER = ["a", "b", "e", "c", "d", "f"]  # of seed 7: must never change


def test_a_seed_gives_one_order_for_ever():
    store = remote(*(f"t/{letter}" for letter in "abcdef"))
    assert names(store, "s3://b/t/", shuffle_seed=7) == ORDER
    assert names(store, "s3://b/t/", shuffle_seed=8) != names(store, "s3://b/t/", shuffle_seed=7)
    shares = [names(store, "s3://b/t/", host=(host, 2), sharded=True, shuffle_seed=7) for host in range(2)]
    assert shares == [ORDER[::2], ORDER[1::2]]


def test_the_check_at_the_call():
    assert first_object(remote("train-old/x"), S3Uri("b", "train")).key == "train-old/x"
    assert first_object(remote("train-old/x"), S3Uri("b", "test")) is None


@pytest.mark.parametrize(
    ("writable", "in_place", "linked"), [(True, False, False), (False, False, True), (True, True, True)]
)
def test_an_object_of_this_machine_is_linked_or_copied(local, tmp_path, writable, in_place, linked):
    put(local, tmp_path, t__sub__a=b"content")
    stage(local, Input("prefix", "s3://b/t/", "x", writable=writable), tmp_path / "x", in_place=in_place)
    assert (tmp_path / "x/sub/a").read_bytes() == b"content"
    assert (tmp_path / "x/sub/a").samefile(local.find(S3Uri("b", "t/sub/a")).path) == linked


def test_a_large_object_in_place_costs_no_copy(local, tmp_path):
    stored = tmp_path / "s3/b/large"
    with stored.open("wb") as file:
        file.truncate(50 << 20)
    stage(local, Input("prefix", "s3://b/large", "x", writable=False), tmp_path / "x")
    assert (tmp_path / "x/large").stat().st_ino == stored.stat().st_ino
    assert stored.stat().st_nlink == 2


def test_a_link_is_a_snapshot(local, tmp_path):
    put(local, tmp_path, a=b"old")
    stage(local, Input("prefix", "s3://b/a", "x", writable=False), tmp_path / "x")
    put(local, tmp_path, a=b"new")
    assert (tmp_path / "x/a").read_bytes() == b"old"


def test_where_no_link_can_be_made_it_is_copied(local, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    put(local, tmp_path, a=b"content")
    monkeypatch.setattr(os, "link", refuse)
    stage(local, Input("prefix", "s3://b/a", "x", writable=False), tmp_path / "x")
    assert (tmp_path / "x/a").read_bytes() == b"content"
    assert not (tmp_path / "x/a").samefile(tmp_path / "s3/b/a")


@pytest.mark.parametrize("then", [True, False])
def test_staging_again_gives_the_same_and_never_writes_into_the_store(local, tmp_path, then):
    put(local, tmp_path, t__a=b"one", t__b__c=b"two")
    source = Input("prefix", "s3://b/t/", "x")
    stage(local, source, tmp_path / "x", in_place=True)
    (tmp_path / "x/b/c").unlink()
    (tmp_path / "x/b/c").write_bytes(b"half of it, then killed")
    stage(local, source, tmp_path / "x", in_place=then)
    assert tree(tmp_path / "x") == ["a", "b/c"]
    assert (tmp_path / "x/b/c").read_bytes() == b"two"
    (tmp_path / "x/a").unlink()
    assert local.read(S3Uri("b", "t/a")) == b"one"


def test_a_link_in_the_target_that_leads_out_is_not_followed(local, tmp_path):
    put(local, tmp_path, t__sub__a=b"content", t__b=b"content")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/sub").symlink_to(outside)
    with pytest.raises(ObjectStoreError, match="leads out"):
        stage(local, Input("prefix", "s3://b/t/", "x"), tmp_path / "x")
    (tmp_path / "x/sub").unlink()
    (outside / "mine").write_bytes(b"mine")
    (tmp_path / "x/b").symlink_to(outside / "mine")
    stage(local, Input("prefix", "s3://b/t/", "x"), tmp_path / "x")
    assert (outside / "mine").read_bytes() == b"mine"
    assert tree(outside) == ["mine"]


def test_objects_elsewhere_are_fetched_several_at_a_time(tmp_path):
    together = threading.Barrier(4, timeout=10)

    class Watched(Remote):
        def download(self, uri, to, cancelled):
            together.wait()  # fails unless four are under way
            super().download(uri, to, cancelled)

    store = Watched(dict.fromkeys(f"t/{index}" for index in range(8)))
    stage(store, Input("prefix", "s3://b/t/", "x"), tmp_path / "x")
    assert tree(tmp_path / "x") == [str(index) for index in range(8)]


def test_the_first_failure_cancels_the_others_and_is_reported(tmp_path):
    failing = threading.Event()

    class Failing(Remote):
        def download(self, uri, to, cancelled):
            if uri.key == "t/5":
                failing.set()
                raise ObjectStoreError("t/5 is broken")
            assert failing.wait(10)
            deadline = threading.Event()
            for _ in range(1000):
                if cancelled():
                    raise TransferCancelled("cancelled")
                deadline.wait(0.01)

    with pytest.raises(ObjectStoreError, match="t/5 is broken"):
        stage(Failing(dict.fromkeys(f"t/{n}" for n in range(8))), Input("prefix", "s3://b/t/", "x"), tmp_path / "x")


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_staging_can_be_cancelled(local, tmp_path, where):
    put(local, tmp_path, t__a=b"content", t__b=b"content")
    store = local if where == "here" else remote("t/a", "t/b")
    with pytest.raises(TransferCancelled):
        stage(store, Input("prefix", "s3://b/t/", "x"), tmp_path / "x", cancelled=lambda: True)


def test_a_full_disk_is_reported(local, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    put(local, tmp_path, a=b"content")
    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(ObjectStoreError, match="the disk is full"):
        stage(local, Input("prefix", "s3://b/a", "x"), tmp_path / "x")
    assert tree(tmp_path / "x") == []
