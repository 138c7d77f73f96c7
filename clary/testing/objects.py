"""What every object store must do, as tests. A subclass gives the fixture `store`, with the bucket `buck` in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clary.artifacts.base import ObjectStore, S3Uri, TransferCancelled
from clary.core.errors import ObjectStoreError

BUCKET = "buck"


def at(key: str, bucket: str = BUCKET) -> S3Uri:
    return S3Uri(bucket, key)


class ObjectStoreContract:
    """Run over FolderStore and S3Store."""

    hostile = ("", "../x", "a/../../x", "/a", "a//b", "./a", "a/..")

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        file = tmp_path / "source"
        file.write_bytes(b"what is stored")
        return file

    def put(self, store: ObjectStore, source: Path, *keys: str) -> None:
        for key in keys:
            store.upload(source, at(key))

    def test_an_uploaded_object_is_found_read_and_downloaded(
        self, store: ObjectStore, source: Path, tmp_path: Path
    ) -> None:
        store.upload(source, at("a/b.csv"))
        assert store.exists(at("a/b.csv"))
        assert store.read(at("a/b.csv")) == b"what is stored"
        store.download(at("a/b.csv"), tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"what is stored"

    def test_an_upload_replaces(self, store: ObjectStore, source: Path) -> None:
        store.upload(source, at("a"))
        source.write_bytes(b"new")
        store.upload(source, at("a"))
        assert store.read(at("a")) == b"new"
        assert [item.size for item in store.list(at(""))] == [3]

    def test_an_empty_file_is_an_object(self, store: ObjectStore, source: Path) -> None:
        source.write_bytes(b"")
        store.upload(source, at("empty"))
        assert store.read(at("empty")) == b""

    def test_a_download_replaces_the_file_and_not_its_hard_links(
        self, store: ObjectStore, source: Path, tmp_path: Path
    ) -> None:
        store.upload(source, at("a"))
        original, target = tmp_path / "original", tmp_path / "target"
        original.write_bytes(b"a link's other name")
        os.link(original, target)
        store.download(at("a"), target)
        assert target.read_bytes() == b"what is stored"
        assert original.read_bytes() == b"a link's other name"

    def test_find_gives_the_size_and_takes_only_the_whole_key(self, store: ObjectStore, source: Path) -> None:
        self.put(store, source, "folder/a.csv")
        found = store.find(at("folder/a.csv"))
        assert found is not None
        assert (found.key, found.size) == ("folder/a.csv", 14)
        for key in ("folder/a", "folder", "folder/", "", "folder/a.csv2"):
            assert store.find(at(key)) is None, key
            assert not store.exists(at(key)), key

    def test_a_list_is_by_string_prefix(self, store: ObjectStore, source: Path) -> None:
        self.put(store, source, "train/x", "train-old/y", "trail", "test/z")
        assert [item.key for item in store.list(at("train"))] == ["train-old/y", "train/x"]
        assert [item.key for item in store.list(at("train-"))] == ["train-old/y"]
        assert [item.key for item in store.list(at("train/"))] == ["train/x"]

    def test_a_list_is_sorted_as_bytes(self, store: ObjectStore, source: Path) -> None:
        keys = ["a.txt", "a/x", "a/y/z", "a0", "B", "é", "\uffee", "\U0001f600", "a-b/c", "a/y.z", "b c+d%20&?=#"]
        self.put(store, source, *keys)
        assert [item.key for item in store.list(at(""))] == sorted(keys, key=str.encode)
        assert [item.key for item in store.list(at("a"))] == ["a-b/c", "a.txt", "a/x", "a/y.z", "a/y/z", "a0"]
        assert [item.key for item in store.list(at("a/y"))] == ["a/y.z", "a/y/z"]
        assert [item.key for item in store.list(at("a/y/"))] == ["a/y/z"]

    @pytest.mark.parametrize("key", ["nothing", "nothing/", "a/nothing", "a/x/y", "..", "../", "a//"])
    def test_a_list_below_a_prefix_without_objects_is_empty(self, store: ObjectStore, source: Path, key: str) -> None:
        self.put(store, source, "a/x")
        assert list(store.list(at(key))) == []

    def test_a_bucket_that_does_not_exist_holds_nothing(self, store: ObjectStore) -> None:
        for bucket in ("missing", "..", "", "a/b", "buck/.."):
            assert list(store.list(at("", bucket))) == []
            assert not store.exists(at("a", bucket))

    def test_a_bucket_is_made_once(self, store: ObjectStore, source: Path) -> None:
        store.make_bucket("another")
        store.upload(source, at("a", "another"))
        store.make_bucket("another")
        assert store.read(at("a", "another")) == b"what is stored"

    @pytest.mark.parametrize("bucket", ["..", "a/b", ""])
    def test_a_bucket_with_an_impossible_name_is_an_error(self, store: ObjectStore, bucket: str) -> None:
        with pytest.raises(ObjectStoreError, match="cannot be"):
            store.make_bucket(bucket)

    def test_an_object_that_is_missing_is_an_error_that_names_it(self, store: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(ObjectStoreError, match="s3://buck/gone"):
            store.read(at("gone"))
        with pytest.raises(ObjectStoreError, match="s3://buck/gone"):
            store.download(at("gone"), tmp_path / "to")
        assert not (tmp_path / "to").exists()

    def test_an_upload_to_a_missing_bucket_is_an_error_that_names_it(self, store: ObjectStore, source: Path) -> None:
        with pytest.raises(ObjectStoreError, match='bucket "missing" does not exist'):
            store.upload(source, at("a", "missing"))

    def test_a_hostile_key_is_refused(self, store: ObjectStore, source: Path) -> None:
        for key in self.hostile:
            with pytest.raises(ObjectStoreError, match="Could not write s3://buck/"):
                store.upload(source, at(key))
            assert list(store.list(at(""))) == []

    def test_a_cancelled_upload_leaves_the_old_object(self, store: ObjectStore, source: Path) -> None:
        store.upload(source, at("a"))
        source.write_bytes(b"new")
        with pytest.raises(TransferCancelled):
            store.upload(source, at("a"), cancelled=lambda: True)
        assert store.read(at("a")) == b"what is stored"
        assert [item.key for item in store.list(at(""))] == ["a"]

    def test_a_cancelled_download_leaves_no_file(self, store: ObjectStore, source: Path, tmp_path: Path) -> None:
        store.upload(source, at("a"))
        with pytest.raises(TransferCancelled):
            store.download(at("a"), tmp_path / "to", cancelled=lambda: True)
        assert not (tmp_path / "to").exists()

    def test_an_object_larger_than_a_part_is_whole(self, store: ObjectStore, source: Path, tmp_path: Path) -> None:
        size = 40 << 20  # above what S3Store sends in one piece
        with source.open("wb") as file:
            file.write(os.urandom(1 << 20))
            file.truncate(size)
        store.upload(source, at("large"))
        store.download(at("large"), tmp_path / "to")
        assert (tmp_path / "to").read_bytes() == source.read_bytes()
