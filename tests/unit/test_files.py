"""Files that are whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.core import files
from clary.core.files import sweep, write_whole


def test_only_incomplete_files_of_a_killed_writer_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_whole(tmp_path / "route.json", "old")
    monkeypatch.setattr(files.Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(files.Path, "unlink", lambda *_, **__: None)  # killed: it does not tidy up either
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "route.json", "new")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["route.json"]
    assert (tmp_path / "route.json").read_text() == "old"
