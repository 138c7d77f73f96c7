"""One suite over both stores; and what either writes, the other reads."""

import hashlib
import os
from pathlib import Path

import pytest

from clary.artifacts.base import S3Access
from clary.artifacts.folder import FolderStore
from clary.artifacts.stores import open_store
from clary.core.errors import ObjectStoreError
from clary.testing.objects import ObjectStoreContract, at
from tests.s3server import running_s3, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def s3(server):
    server.empty()
    return server.store()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFolderStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        (tmp_path / "s3" / "buck").mkdir(parents=True)
        return open_store(S3Access("http://localhost", "us-east-1", "", "", folder=tmp_path / "s3"))

    @pytest.mark.parametrize("key", ["a/b/", "a//b", "/a/b", "a/./b", "../buck/a/b", "a/../a/b", "a/b\0", "\udcff"])
    def test_an_object_has_one_key(self, store, source, key):
        store.upload(source, at("a/b"))
        assert store.find(at(key)) is None
        assert list(store.list(at(key))) == []

    def test_the_stored_bytes_can_be_had_in_place(self, store, source):
        store.upload(source, at("a/b"))
        found = store.find(at("a/b"))
        assert found.path.read_bytes() == b"what is stored"
        assert [item.path for item in store.list(at(""))] == [found.path]

    def test_what_is_being_uploaded_is_not_listed_and_not_left(self, store, source):
        listed = []

        def list_while_uploading():
            listed.append(([item.key for item in store.list(at(""))], names_in(store.folder / "buck" / "a")))
            return False

        store.upload(source, at("a/b"), cancelled=list_while_uploading)
        assert listed[0][0] == []
        assert listed[0][1][0].startswith(".rclone_temp_put_")
        assert names_in(store.folder / "buck" / "a") == ["b"]

    def test_an_upload_called_off_leaves_no_folder(self, store, source):
        with pytest.raises(ObjectStoreError):
            store.upload(source, at("a/b/c"), cancelled=lambda: True)
        assert names_in(store.folder / "buck") == []

    def test_an_object_replaced_is_a_new_file(self, store, source, tmp_path):
        store.upload(source, at("a"))
        os.link(store.find(at("a")).path, tmp_path / "snapshot")
        source.write_bytes(b"new")
        store.upload(source, at("a"))
        assert (tmp_path / "snapshot").read_bytes() == b"what is stored"

    @pytest.mark.parametrize("keys", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a", "a/b/c")])
    def test_a_key_cannot_be_object_and_folder(self, store, source, keys):
        store.upload(source, at(keys[0]))
        with pytest.raises(ObjectStoreError, match=f"{keys[1]}: .*choose another key"):
            store.upload(source, at(keys[1]))
        assert [item.key for item in store.list(at(""))] == [keys[0]]

    @pytest.mark.parametrize("key", ["x" * 256, "a/" + "x" * 256, "a/b\n", "\x7f", "a/.rclone_temp_put_1", "k" * 1025])
    def test_a_key_that_the_s3_server_could_not_serve_is_refused(self, store, source, key):
        with pytest.raises(ObjectStoreError, match="Could not write"):
            store.upload(source, at(key))
        assert names_in(store.folder / "buck") in ([], ["a"])

    def test_links_and_other_things_in_the_folder_are_no_objects(self, store, source, tmp_path):
        buck, outside = store.folder / "buck", tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        (buck / "link").symlink_to(outside / "secret")
        (buck / "folder").symlink_to(outside)
        (store.folder / "linked").symlink_to(outside)
        os.mkfifo(buck / "fifo")
        (buck / os.fsdecode(b"\xff")).touch()
        (buck / ".rclone_temp_put_x").touch()
        assert list(store.list(at(""))) == []
        assert list(store.list(at("folder/"))) == []
        assert list(store.list(at("", "linked"))) == []
        for uri in (at("link"), at("folder/secret"), at("secret", "linked"), at("fifo")):
            assert not store.exists(uri), uri
            with pytest.raises(ObjectStoreError, match="no object"):
                store.read(uri)
        with pytest.raises(ObjectStoreError, match="symbolic link"):
            store.upload(source, at("folder/new"))
        with pytest.raises(ObjectStoreError, match="does not exist"):
            store.upload(source, at("new", "linked"))
        assert names_in(outside) == ["secret"]

    def test_an_upload_to_a_link_replaces_the_link(self, store, source, tmp_path):
        (tmp_path / "outside").write_text("mine")
        (store.folder / "buck" / "link").symlink_to(tmp_path / "outside")
        store.upload(source, at("link"))
        assert store.read(at("link")) == b"what is stored"
        assert (tmp_path / "outside").read_text() == "mine"

    def test_only_folders_that_can_match_are_read(self, store, source, monkeypatch):
        self.put(store, source, "a/1", "b/c/1", "b/d/1", "bb/1")
        read = []
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda folder: (read.append(Path(folder).name), scandir(folder))[1])
        assert [item.key for item in store.list(at("b/c"))] == ["b/c/1"]
        assert read == ["b", "c"]


class TestS3Store(ObjectStoreContract):
    hostile = ("", "a/../../x")  # the S3 server takes a second over each

    @pytest.fixture
    def store(self, s3):
        return s3

    def test_access_denied_names_the_settings(self, server, source):
        store = server.store(secret="wrong")
        for attempt in (
            lambda: store.upload(source, at("a")),
            lambda: store.read(at("a")),
            lambda: store.find(at("a")),
            lambda: list(store.list(at("a"))),
            lambda: store.make_bucket("buck"),
        ):
            with pytest.raises(ObjectStoreError, match=r"access denied by http://.*s3_secret_access_key"):
                attempt()

    def test_a_full_disk_is_reported(self, store, source):
        store.upload(source, at("a"))
        with pytest.raises(ObjectStoreError, match=r"Could not copy s3://buck/a to /dev/full/x"):
            store.download(at("a"), Path("/dev/full/x"))


@pytest.fixture
def folder(server, s3):
    return FolderStore(server.folder)


def test_what_the_folder_store_writes_is_served(server, folder, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789")
    for key in ("deep/er/object", "ü €+%20&?=#", "new"):
        folder.upload(tmp_path / "f", at(key))
    s3 = server.client()
    until(lambda: s3.list_objects_v2(Bucket="buck")["KeyCount"] == 3)
    listed = s3.list_objects_v2(Bucket="buck")["Contents"]
    assert [(item["Key"], item["Size"]) for item in listed] == [
        ("deep/er/object", 10),
        ("new", 10),
        ("ü €+%20&?=#", 10),
    ]
    head = s3.head_object(Bucket="buck", Key="deep/er/object")
    md5 = hashlib.md5(b"0123456789").hexdigest()
    assert head["ETag"] == f'"{md5}"'
    assert listed[0]["ETag"].strip('"') == md5
    part = s3.get_object(Bucket="buck", Key="deep/er/object", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    folders = s3.list_objects_v2(Bucket="buck", Delimiter="/")["CommonPrefixes"]
    assert folders == [{"Prefix": "deep/"}]


def test_an_object_replaced_in_the_folder_has_a_new_etag(server, folder, tmp_path):
    s3 = server.client()
    for content in (b"one", b"two"):  # of one size, within the same second
        (tmp_path / "f").write_bytes(content)
        folder.upload(tmp_path / "f", at("a"))
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        assert until(lambda etag=etag: s3.head_object(Bucket="buck", Key="a")["ETag"] == etag)


def test_what_is_put_over_http_lies_in_the_folder(server, folder, tmp_path):
    s3 = server.client()
    s3.put_object(Bucket="buck", Key="a/b", Body=b"put")
    assert folder.read(at("a/b")) == b"put"
    os.link(folder.find(at("a/b")).path, tmp_path / "snapshot")
    s3.put_object(Bucket="buck", Key="a/b", Body=b"new")
    assert folder.read(at("a/b")) == b"new"
    assert (tmp_path / "snapshot").read_bytes() == b"put"
    s3.delete_object(Bucket="buck", Key="a/b")
    assert not folder.exists(at("a/b"))
    assert (tmp_path / "snapshot").read_bytes() == b"put"


@pytest.mark.parametrize(
    "key", ["a", "a/b/c", "ü €+%20&?=#", " x ", "a\\b", "．．/x", "‛．", "␀", "Ａ", "x" * 255, "~", "a:b*c|d\"e'<f>"]
)
def test_keys_are_the_same_from_both_sides(server, folder, tmp_path, key):
    s3 = server.client()
    s3.put_object(Bucket="buck", Key=key, Body=b"put")
    assert [item.key for item in folder.list(at(""))] == [key]
    assert folder.read(at(key)) == b"put"
    (tmp_path / "f").write_bytes(b"new")
    folder.upload(tmp_path / "f", at(key))
    assert until(lambda: s3.get_object(Bucket="buck", Key=key)["Body"].read() == b"new")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="buck")["Contents"]] == [key]
