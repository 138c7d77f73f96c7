from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clary.core.errors import ObjectStoreError
from clary.core.tasks import Phase, Task, TaskState
from clary.supervisor import state_file
from clary.supervisor.folders import HostFolder, host_address, inside, make_folder, remove_tree
from clary.supervisor.memory import held_bytes, tree
from clary.supervisor.outcome import LONGEST, CannotRun, exit_message, failure_reason, with_log
from clary.supervisor.state_file import StateFile
from clary.supervisor.stop_request import StopRequest
from clary.supervisor.timers import Timers
from clary.supervisor.venv_layer import make_venv_layer, prefixes

TASK = Task("t", ("training-job", "n", "u"), "image", log_stream="n/{host}-1")


# reasons


def test_the_last_lines_fill_the_failure_reason() -> None:
    text = with_log("AlgorithmError: , exit code: 1", [f"{n:03} " + "x" * 96 for n in range(50)])
    assert len(text) <= LONGEST
    assert text.endswith("x")
    assert "\n049 " in text
    assert "\n010 " not in text
    assert len(with_log("E", ["y" * 5000])) == LONGEST
    assert with_log("E", [" ", ""]) == "E"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ObjectStoreError("There is no object s3://b/k"), "ClientError: There is no object s3://b/k"),
        (ObjectStoreError("InternalServerError: x"), "InternalServerError: x"),
        (OSError(errno.ENOSPC, "full"), "ClientError: No space left on the disk of this machine while it was moved"),
        (PermissionError(13, "no"), "InternalServerError: PermissionError while it was moved: [Errno 13] no"),
        (ValueError("\x1b[0m" + "x" * 2000), ("InternalServerError: ValueError while it was moved: [0m" + "x" * 2000)),
    ],
)
def test_the_prefix_of_a_failure_reason(error: Exception, text: str) -> None:
    assert failure_reason(error, "it was moved") == text[:LONGEST]


# folders


@pytest.mark.parametrize("path", ["", "/", "/etc", "../x", "a/../../b", "a//b", "a/./b", "x\0"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(CannotRun):
        inside(path)


# messages


def hosts_with(tmp_path: Path, *messages: bytes | None) -> list[Path]:
    """Folders of hosts that left these messages; None for none."""
    folders = []
    for number, message in enumerate(messages):
        (folder := tmp_path / str(number) / "output").mkdir(parents=True)
        if message is not None:
            (folder / "message").write_bytes(message)
        folders.append(folder.parent)
    return folders


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((None,), ""),
        ((b"",), ""),
        ((b"one\n", None, b"two"), "one\ntwo"),
        ((b"x" * 1024,), "x" * 1024),
        ((b"x" * 5000,), "x" * 1024),
        ((b"x" * 1000, b"y" * 1000), "x" * 1000 + "y" * 24),
        (("ä" * 512).encode(), "ä" * 512),
        (("x" + "ä" * 600,), "x" + "ä" * 511),
        (("x" + "ä" * 600, "y"), "x" + "ä" * 511 + "y"),
        (("xy" + "🌿" * 300, "ä"), "xy" + "🌿" * 255 + "ä"),
    ],
)
def test_the_exit_message_is_a_kilobyte_of_whole_characters(tmp_path: Path, messages: Any, expected: str) -> None:
    messages = [messages] if isinstance(messages, bytes) else messages
    encoded = [message.encode() if isinstance(message, str) else message for message in messages]
    message = exit_message(hosts_with(tmp_path, *encoded))
    assert message == expected
    assert len(message.encode()) <= 1024


@pytest.mark.parametrize("message", [b"\xff", b"a\xc3", b"ok \xed\xa0\x80", b"x" * 100 + b"\x80"])
def test_a_message_that_is_not_utf8_is_a_client_error(tmp_path: Path, message: bytes) -> None:
    with pytest.raises(CannotRun, match="ClientError: /opt/ml/output/message is not valid UTF-8: "):
        exit_message(hosts_with(tmp_path, b"good", message))


def put_a_link(output: Path) -> None:
    (output.parent / "secret").write_text("secret")
    (output / "message").symlink_to(output.parent / "secret")


def put_a_folder_behind_a_link(output: Path) -> None:
    output.rename(output.with_name("other"))
    (output.with_name("other") / "message").write_text("secret")
    output.symlink_to("other")


@pytest.mark.parametrize(
    "hostile",
    [
        put_a_link,
        put_a_folder_behind_a_link,
        lambda output: os.mkfifo(output / "message"),
        lambda output: (output / "message").mkdir(),
        lambda output: output.rmdir(),
    ],
)
def test_a_message_that_is_not_a_regular_file_is_not_read(tmp_path: Path, hostile: Callable[[Path], None]) -> None:
    (folder,) = hosts_with(tmp_path, None)
    hostile(folder / "output")
    assert exit_message([folder]) == ""


@pytest.mark.parametrize(
    ("layout", "base", "path"),
    [
        ("processing", "/opt/ml", "/opt/ml/processing/in"),
        ("processing", '/t/"q"/ml', '/t/"q"/ml/processing/in'),
        ("training", "/t/ml", "/opt/ml/processing/in"),
    ],
)
def test_a_processing_jobs_configuration_has_the_real_paths_of_its_folders(
    tmp_path: Path, layout: Any, base: str, path: str
) -> None:
    files = {"config/processingjobconfig.json": json.dumps({"LocalPath": "/opt/ml/processing/in"})}
    task = Task("t", ("k", "n", "u"), "", files=files, layout=layout)
    folder = HostFolder(tmp_path / "hosts/algo-1")
    make_folder(folder, task, "algo-1", open_to_all=False, base=base)
    written = (folder.ml / "config/processingjobconfig.json").read_text()
    assert json.loads(written) == {"LocalPath": path}


def test_hosts_have_addresses_of_their_own() -> None:
    task = Task("t", TASK.owner, "", hosts=tuple(f"algo-{n}" for n in range(1, 200)))
    addresses = {host_address(task, host) for host in task.hosts}
    assert len(addresses) == 199
    assert all(address.startswith("127.") for address in addresses)
    other = Task("other", TASK.owner, "", hosts=task.hosts)
    assert not addresses & {host_address(other, host) for host in other.hosts}


def test_a_folder_without_rights_can_be_removed(tmp_path: Path) -> None:
    closed = tmp_path / "hosts" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").write_text("x")
    (tmp_path / "kept").write_text("x")
    (closed / "link").symlink_to(tmp_path / "kept")
    closed.chmod(0)
    remove_tree(tmp_path / "hosts")
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    "settings", ["home = /base/bin\nversion = 3.11.7\n", "home = /base/bin\nversion_info = 3.11.7.final.0\n"]
)
def test_a_venv_layer_sees_the_runtimes_packages(tmp_path: Path, settings: str) -> None:
    runtime = tmp_path / "runtime"
    (runtime / "bin").mkdir(parents=True)
    (runtime / "bin" / "python").symlink_to(sys.executable)
    (runtime / "pyvenv.cfg").write_text(settings)
    make_venv_layer(tmp_path / "venv", str(runtime / "bin" / "python"))
    assert "home = /base/bin\n" in (tmp_path / "venv/pyvenv.cfg").read_text()
    assert (
        str(runtime / "lib/python3.11/site-packages")
        in (tmp_path / "venv/lib/python3.11/site-packages/runtime.pth").read_text()
    )
    assert {entry.name for entry in (tmp_path / "venv/bin").iterdir()} == {
        *("python", "python3", "python3.11", "pip", "pip3", "pip3.11")
    }
    assert {str(runtime), "/base"} <= set(prefixes(str(runtime / "bin" / "python")))


# the state


def test_on_a_full_disk_the_last_state_is_written_to_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = StateFile(tmp_path, TaskState(Phase.STAGING), "/none")
    kept.reserve()
    write_whole = state_file.write_whole

    def write(path: Path, text: str, **options: Any) -> None:
        if (tmp_path / "reserve").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, text, **options)

    monkeypatch.setattr(state_file, "write_whole", write)
    kept.move(Phase.EXITED, failure="ClientError: full")
    assert TaskState.from_json((tmp_path / "state.json").read_text()).failure == "ClientError: full"


def test_a_state_that_could_not_be_written_stays_marked_as_changed(tmp_path: Path) -> None:
    kept = StateFile(tmp_path / "gone", TaskState(Phase.RUNNING), "/none")
    kept.set_metric("loss", 1.0, 2.0)
    with pytest.raises(FileNotFoundError):
        kept.write()
    assert kept.changed


# stop requests, timers, memory


@pytest.mark.parametrize(("text", "grace_s"), [("5\n", 5.0), ("-1", 0.0), ("", 120.0), ("nan", 120.0), ("x", 120.0)])
def test_the_grace_in_a_stop_file(tmp_path: Path, text: str, grace_s: float) -> None:
    stop_request = StopRequest(tmp_path, 120.0)
    assert not stop_request.requested()
    (tmp_path / "stop").write_text(text)
    assert stop_request.requested()
    assert stop_request.grace_s == grace_s


def test_timers_run_once_and_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("clary.supervisor.timers.time.monotonic", lambda: now)
    timers, ran = Timers(), list[str]()
    note: Callable[[str], Callable[[], None]] = lambda name: lambda: ran.append(name)  # noqa: E731
    assert timers.wait_s is None
    timers.after("first", 1, lambda: timers.cancel("second"))
    timers.after("second", 1, note("cancelled"))
    timers.after("moved", 5, note("never"))
    timers.sooner("moved", 9, note("nor this"))
    timers.sooner("moved", 2, note("moved"))
    timers.after("later", 4, note("later"))
    assert timers.wait_s == 1
    now = 3.0
    timers.run_due()
    assert ran == ["moved"]
    assert timers.wait_s == 1
    now = 4.0
    timers.run_due()
    timers.run_due()
    assert ran == ["moved", "later"]
    assert timers.wait_s is None


def test_memory_is_counted_with_all_child_processes() -> None:
    assert os.getpid() in tree(os.getpid())
    assert 5 << 20 < held_bytes(os.getpid(), 1 << 40) < 4 << 30
    assert held_bytes(2**22 + 1, 0) == 0
