"""What a lock file records of the process that holds it."""

import fcntl
import os

import pytest

from clary.detached.lock import is_locked, read_lock, try_lock, write_fingerprint, write_pid


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("abc\n17\n", ("abc", 17)),
        ("abc\n17\nmore\n", ("abc", 17)),
        ("17\n", ("", 17)),  # a supervisor's, as earlier versions wrote it
        ("17", None),  # half written
        ("abc\n", None),
        ("abc\n17", None),
        ("abc\nx\n", None),
        ("", None),
    ],
)
def test_fingerprint_and_pid_are_read(tmp_path, content, expected):
    (tmp_path / "lock").write_text(content)
    assert read_lock(tmp_path / "lock") == expected


def test_a_missing_or_binary_file_names_no_process(tmp_path):
    assert read_lock(tmp_path / "lock") is None
    (tmp_path / "lock").write_bytes(b"\xff\n17\n")
    assert read_lock(tmp_path / "lock") is None


def test_the_pid_stands_behind_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 4711)
    lock = try_lock(tmp_path / "lock")
    with os.fdopen(lock, "wb") as file:
        for fingerprint in ("a longer fingerprint", "short"):
            write_fingerprint(file.fileno(), fingerprint)
            assert read_lock(tmp_path / "lock") is None
            write_pid(file.fileno())
            assert read_lock(tmp_path / "lock") == (fingerprint, 4711)


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not path.exists()
    with os.fdopen(try_lock(path), "wb") as first:
        assert is_locked(path)
        assert try_lock(path) is None
        fcntl.flock(first, fcntl.LOCK_UN)
        assert not is_locked(path)
