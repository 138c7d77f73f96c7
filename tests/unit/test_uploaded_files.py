"""Files that do not change any more while others are written: which are uploaded, when, and once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clary.artifacts import uploaded_files as module
from clary.artifacts.archives import collect
from clary.artifacts.base import S3Uri, TransferCancelled, never
from clary.artifacts.folder import FolderStore
from clary.artifacts.uploaded_files import UploadedFiles
from clary.core.errors import ObjectStoreError
from clary.core.tasks import Output

TO = S3Uri("b", "out")
OUTPUT = Output("processing/out", "s3://b/out/", archive=False, links=False, continuous=True)


class CountingStore(FolderStore):
    """Keeps which keys were uploaded, in order."""

    def __init__(self, folder):
        super().__init__(folder)
        self.uploads = []

    def upload(self, file, uri, cancelled=never):
        super().upload(file, uri, cancelled)
        self.uploads.append(uri.key)


@pytest.fixture
def store(tmp_path):
    store = CountingStore(tmp_path / "s3")
    store.make_bucket("b")
    return store


@pytest.fixture(autouse=True)
def stable_at_once(monkeypatch):
    monkeypatch.setattr(module, "STABLE_AFTER_S", 0.0)


@contextmanager
def opened(*tops) -> Iterator[list[int]]:
    handles = [os.open(top, os.O_RDONLY | os.O_DIRECTORY) for top in tops]
    try:
        yield handles
    finally:
        for handle in handles:
            os.close(handle)


def upload(files, store, *tops, to=TO, cancelled=never):
    """The keys that this call uploaded."""
    before = len(store.uploads)
    with opened(*tops) as handles:
        files.upload_stable(store, to, handles, cancelled)
    return store.uploads[before:]


@pytest.fixture
def top(tmp_path):
    (tmp_path / "top/sub").mkdir(parents=True)
    return tmp_path / "top"


@pytest.mark.parametrize(("key", "object_key"), [("out", "out/sub/a"), ("out/", "out/sub/a"), ("", "sub/a")])
def test_each_file_is_uploaded_once_as_long_as_it_stays_the_same(store, top, key, object_key):
    files = UploadedFiles()
    (top / "sub/a").write_text("1")
    assert upload(files, store, top, to=S3Uri("b", key)) == [object_key]
    assert upload(files, store, top, to=S3Uri("b", key)) == []
    (top / "sub/a").write_text("2")
    os.utime(top / "sub/a", (0, 0))  # a time that is set back changes nothing
    assert upload(files, store, top, to=S3Uri("b", key)) == [object_key]
    assert store.read(S3Uri("b", object_key)) == b"2"


def test_a_file_that_was_just_written_is_left_alone(store, top, monkeypatch):
    monkeypatch.setattr(module, "STABLE_AFTER_S", 3600.0)
    (top / "a").write_text("1")
    os.utime(top / "a", (0, 0))
    assert upload(UploadedFiles(), store, top) == []


def test_another_file_of_the_same_name_is_another(store, top):
    files = UploadedFiles()
    (top / "a").write_text("1")
    upload(files, store, top)
    (top / "b").write_text("2")
    (top / "b").rename(top / "a")
    assert upload(files, store, top) == ["out/a"]
    assert store.read(S3Uri("b", "out/a")) == b"2"


def test_a_file_that_changes_while_it_is_uploaded_is_uploaded_again(store, top, monkeypatch):
    files = UploadedFiles()
    (top / "a").write_text("1")
    upload_whole = CountingStore.upload

    def meanwhile(self, file, uri, cancelled=never):
        upload_whole(self, file, uri, cancelled)
        (top / "a").write_text("22")

    monkeypatch.setattr(CountingStore, "upload", meanwhile)
    upload(files, store, top)
    monkeypatch.setattr(CountingStore, "upload", upload_whole)
    assert upload(files, store, top) == ["out/a"]
    assert store.read(S3Uri("b", "out/a")) == b"22"


def test_links_pipes_and_what_is_behind_them_are_left_alone(store, top, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/one").write_text("secret")
    (top / "a").write_text("1")
    (top / "file").symlink_to(tmp_path / "secret")
    (top / "inside").symlink_to("a")
    (top / "folder").symlink_to(tmp_path / "secrets")
    (top / "nowhere").symlink_to("gone")
    os.mkfifo(top / "fifo")
    assert upload(UploadedFiles(), store, top) == ["out/a"]
    assert collect(store, OUTPUT, [top]) == OUTPUT.uri
    assert store.uploads == ["out/a", "out/a"], "nor are they at the end"


def test_of_equal_names_the_first_directory_counts(store, tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    for top in (first, second):
        top.mkdir()
        (top / "same").write_text(top.name)
        (top / top.name).write_text("x")
    files = UploadedFiles()
    assert upload(files, store, first, second) == ["out/one", "out/same", "out/two"]
    assert store.read(S3Uri("b", "out/same")) == b"one"
    (first / "same").unlink()
    assert upload(files, store, first, second) == ["out/same"]
    assert store.read(S3Uri("b", "out/same")) == b"two"


def test_at_the_end_only_what_is_not_there_yet_is_uploaded(store, top):
    files = UploadedFiles()
    for name in ("same", "changes"):
        (top / name).write_text("1")
    upload(files, store, top)
    (top / "changes").write_text("2")
    (top / "sub/new").write_text("3")
    assert collect(store, OUTPUT, [top], uploaded_files=files) == OUTPUT.uri
    assert store.uploads == ["out/changes", "out/same", "out/changes", "out/sub/new"]
    assert store.read(S3Uri("b", "out/changes")) == b"2"


def test_it_can_be_cancelled(store, top):
    (top / "a").write_text("1")
    assert upload(UploadedFiles(), store, top, cancelled=lambda: True) == []
    answers = iter([False, True])
    with pytest.raises(TransferCancelled):
        upload(files := UploadedFiles(), store, top, cancelled=lambda: next(answers, True))
    assert (files.uploaded, list(store.list(S3Uri("b", "")))) == ({}, [])


def test_what_cannot_be_uploaded_is_tried_again(store, top):
    files = UploadedFiles()
    (top / "a").write_text("1")
    (store.folder / "b").rename(store.folder / "c")
    with pytest.raises(ObjectStoreError, match='the bucket "b" does not exist'):
        upload(files, store, top)
    (store.folder / "c").rename(store.folder / "b")
    assert upload(files, store, top) == ["out/a"]


def test_a_file_that_can_never_be_uploaded_does_not_hold_up_others(store, top):
    files = UploadedFiles()
    for name in ("a", "b\n", "c"):
        (top / name).write_text(name)
    for uploaded in (["out/a"], ["out/c"], []):
        before = len(store.uploads)
        with pytest.raises(ObjectStoreError, match="control character"):
            upload(files, store, top)
        assert store.uploads[before:] == uploaded


def test_what_vanishes_meanwhile_does_no_harm(store, top, monkeypatch):
    for name in ("a", "b"):
        (top / name).write_text(name)
    upload_whole = CountingStore.upload

    def remove(self, file, uri, cancelled=never):
        upload_whole(self, file, uri, cancelled)
        (top / "b").unlink()
        (top / "sub").rmdir()

    monkeypatch.setattr(CountingStore, "upload", remove)
    assert upload(UploadedFiles(), store, top) == ["out/a"]
