"""Checkpoints of any model."""

from __future__ import annotations

from pathlib import Path

from clary.tasks.algorithm import artifacts
from clary.tasks.algorithm.artifacts import ModelError
from clary.tasks.algorithm.checkpoints import Checkpoints, latest


def write(model: str, file: Path) -> None:
    artifacts.write(file, model.encode())


def load(file: Path) -> str:
    if file.read_bytes().startswith(b"broken"):
        raise ModelError("broken")
    return file.read_text()


def test_checkpoints_are_few_and_a_broken_one_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "model", write)
    for number in range(7):
        checkpoints.save(f"round {number}", number)
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"model.{n}" for n in range(2, 7)]
    (tmp_path / "model.9").write_bytes(b"broken")
    (tmp_path / "model.10.part").write_bytes(b"")
    (tmp_path / "other.11").write_bytes(b"of another algorithm")
    assert latest(tmp_path, "model", load) == "round 6"
    assert latest(tmp_path / "none", "model", load) is None
    assert latest(None, "model", load) is None


def test_checkpoints_take_a_tenth_of_the_time_at_most(tmp_path: Path) -> None:
    now_s = 0.0

    def slow_write(model: str, file: Path) -> None:
        nonlocal now_s
        now_s += 5
        file.touch()

    checkpoints = Checkpoints(tmp_path, "model", slow_write, clock=lambda: now_s)
    for number in range(100):
        now_s += 1
        checkpoints.after_round("model", number)
    assert sorted(int(file.suffix[1:]) for file in tmp_path.iterdir()) == [0, 44, 89]
    checkpoints.finish("model", 89)
    checkpoints.finish("model", 99)
    assert sorted(int(file.suffix[1:]) for file in tmp_path.iterdir()) == [0, 44, 89, 99]
