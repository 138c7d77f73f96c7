"""A host's folder inside its task's: made before the program starts, removed when the outputs are collected."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zlib import crc32

from clary.compute.environment import LOOPBACK, OPT_ML, at_base, for_host
from clary.core.tasks import Task
from clary.supervisor.outcome import CannotRun

_ALWAYS = {
    "training": ("input/config", "input/data", "model", "output/data", "checkpoints", "code"),
    "processing": ("config", "processing", "output", "code"),
}


@dataclass(frozen=True, slots=True)
class HostFolder:
    """`<task>/hosts/<host>`: ml is what the program sees as /opt/ml."""

    root: Path

    @property
    def ml(self) -> Path:
        return self.root / "ml"

    @property
    def venv(self) -> Path:
        return self.root / "venv"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def etc_hosts(self) -> Path:
        return self.root / "etc-hosts"


def host_folders(task_folder: Path, task: Task) -> dict[str, HostFolder]:
    return {host: HostFolder(task_folder / "hosts" / inside(host)) for host in task.hosts}


def make_folder(folder: HostFolder, task: Task, host: str, open_to_all: bool, base: str = OPT_ML) -> None:
    """Make it anew: what an earlier start left is removed.

    open_to_all  for a container, whose user may have any uid
    base         as which folder the program sees its /opt/ml
    """
    if folder.root.exists():
        remove_tree(folder.root)
    for own in (folder.ml, folder.home, folder.tmp):
        own.mkdir(parents=True)
    folder.root.parent.chmod(0o700)
    taken = [*(item.path for item in task.inputs), *(output.path for output in task.outputs)]
    for path in (*_ALWAYS[task.layout], *taken):
        (folder.ml / inside(path)).mkdir(parents=True, exist_ok=True)
    own_files = {path: for_host(text, host) for path, text in task.host_files.items()}
    for path, text in (_files_at(task, base) | own_files).items():
        file = folder.ml / inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    folder.etc_hosts.write_text(_host_names(task) + _machine_names())
    if open_to_all:
        for made, _, _ in os.walk(folder.ml):
            Path(made).chmod(0o777)  # the folder above is closed


def host_address(task: Task, host: str) -> str:
    """A loopback address of the host's own, so that hosts, and jobs, do not take each other's ports."""
    block = crc32(task.id.encode()) & 0xFFFF
    return f"127.{1 + block // 256 % 254}.{block % 256}.{1 + task.hosts.index(host) % 254}"


def inside(path: str) -> PurePosixPath:
    """The path, if it is relative and does not lead out of its folder. Raises CannotRun otherwise."""
    parts = path.rstrip("/").split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise CannotRun(f"InternalServerError: {path!r} is not a path inside /opt/ml")
    return PurePosixPath(*parts)


def remove_tree(folder: Path) -> None:
    """Remove what can be removed. A program may have taken its own rights away, or a container left root's files."""
    shutil.rmtree(folder, onerror=_open_and_retry)


def _open_and_retry(function: object, path: str, _: object) -> None:
    parent = Path(path).parent
    try:
        for closed in (parent, Path(path)):
            if closed.is_dir() and not closed.is_symlink():
                closed.chmod(0o700)
        if Path(path).is_dir() and not Path(path).is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)
    except OSError:
        return


def _files_at(task: Task, base: str) -> dict[str, str]:
    """The task's files. Paths in a processing job's files are right also where another folder stands for /opt/ml.

    A training job's hold no paths of ours, and hyperparameters are kept to the letter.
    """
    if base == OPT_ML or task.layout == "training":
        return dict(task.files)
    within_json = json.dumps(base, ensure_ascii=False)[1:-1]
    return {path: at_base(text, within_json) for path, text in task.files.items()}


def _host_names(task: Task) -> str:
    own = "".join(f"{host_address(task, host)} {host}\n" for host in task.hosts)
    return f"{LOOPBACK} localhost\n::1 localhost\n{own}"


def _machine_names() -> str:
    try:
        return Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
