"""A task's supervisor as a real process: what becomes of the program, of the supervisor killed, of a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tarfile
import textwrap
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clary.compute.plan import PLAN_FILE, STATE_FILE, STOP_FILE, Process
from clary.core.metrics import Series, from_line, is_abandoned
from clary.core.tasks import Cause, Input, Output, Phase, Resources, Serve, TaskState
from tests.faults.supervised import BUBBLEWRAP, SANDBOXES, Make, maker, until

MODEL = Output("model", "s3://bucket/job/model.tar.gz", empty=True)
DATA = Output("output/data", "s3://bucket/job/output.tar.gz", always=True)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    yield from maker(tmp_path)


# success


@SANDBOXES
def test_a_program_runs_to_its_end_and_its_outputs_are_in_s3(make: Make, kind: str) -> None:
    running = make(
        """
        import json, os, pathlib
        base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
        config = json.loads((base / "input/config/resourceconfig.json").read_text())
        print("this is", config["current_host"], (base / "input/data/train/a.csv").read_text())
        (base / "model/weights").write_text("w")
        (base / "output/data/report").write_text("r")
        """,
        kind,
        host_files={"input/config/resourceconfig.json": '{"current_host": "{host}"}'},
        inputs=(Input("prefix", "s3://bucket/in/", "input/data/train"),),
        outputs=(MODEL, DATA),
    )
    (running.home / "s3/bucket/in").mkdir()
    (running.home / "s3/bucket/in/a.csv").write_text("1,2")
    state = running.finish()
    assert (state.phase, state.exit_code, state.failure, state.cause) == (Phase.EXITED, 0, "", Cause.NONE)
    assert running.log() == "this is algo-1 1,2\n"
    assert running.stored("model.tar.gz") == {"weights": b"w"}
    assert running.stored("output.tar.gz") == {"report": b"r"}
    assert state.uploaded == {"model": MODEL.uri, "output/data": DATA.uri}
    assert 0 < state.staging_at <= state.started_at <= state.ended_at <= state.over_at
    assert {entry.name for entry in running.folder.iterdir()} == {
        "task.json",
        "plan.json",
        "state.json",
        "supervisor.lock",
    }


def test_the_server_is_notified_of_every_phase(make: Make) -> None:
    running = make("print('x')", outputs=(MODEL,))
    seen: list[tuple[Phase, Any]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        # A path for a socket may be short only: bind by the folder's descriptor.
        folder = os.open(running.home, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/events.sock")
        server.settimeout(20)
        short = running.home.parent / "h"
        short.unlink(missing_ok=True)
        short.symlink_to(running.home)
        plan = replace(running.plan, platform=replace(running.plan.platform, events_socket=f"{short}/events.sock"))
        (running.folder / PLAN_FILE).write_text(plan.to_json())
        running.start()
        while not seen or not seen[-1][0].over:
            owner = json.loads(server.recv(1000))
            seen.append((running.state().phase, owner))
        os.close(folder)
    assert all(owner == ["training-job", "job", "uid"] for _, owner in seen)
    assert len(seen) == 4
    assert running.over().phase is Phase.EXITED


@SANDBOXES
def test_hosts_reach_each_other_by_name(make: Make, kind: str) -> None:
    running = make(
        """
        import os, socket
        own = os.environ["SM_CURRENT_HOST"]
        addresses = set()
        if not os.environ.get("SAGEMAKER_BASE_DIR"):
            assert socket.gethostname() == own
            addresses = {socket.gethostbyname(host) for host in ("algo-1", "algo-2", "algo-3")}
            assert len(addresses) == 3 and all(address.startswith("127.") for address in addresses)
        print(own, os.environ["SM_HOSTS"])
        open(os.environ["SM_MODEL_DIR"] + "/of-" + own, "w").write(own)
        """,
        kind,
        hosts=("algo-1", "algo-2", "algo-3"),
        outputs=(MODEL,),
    )
    state = running.finish()
    assert state.exit_code == 0, [running.log(host) for host in running.task.hosts]
    for host in running.task.hosts:
        assert running.log(host) == f'{host} ["algo-1", "algo-2", "algo-3"]\n'
    assert set(running.stored("model.tar.gz")) == {"of-algo-1", "of-algo-2", "of-algo-3"}


def test_a_second_supervisor_leaves_the_first_alone(make: Make) -> None:
    running = make("import time; print('on'); time.sleep(60)")
    first = running.start()
    until(running.log)
    assert running.start().wait(20) == 0
    assert first.poll() is None
    assert running.state().phase is Phase.RUNNING
    running.supervisors.pop()
    running.stop(0)
    running.over()


# failures


@SANDBOXES
def test_without_a_failure_file_the_last_lines_are_the_reason(make: Make, kind: str) -> None:
    running = make("print('on the way'); raise SystemExit('no such column: y')", kind, outputs=(MODEL, DATA))
    state = running.finish()
    assert state.exit_code == 1
    assert state.failure.startswith("AlgorithmError: , exit code: 1. Last lines of the log:\non the way\nno such col")
    assert not (running.home / "s3/bucket/job/model.tar.gz").exists()
    assert "model" not in state.uploaded


@SANDBOXES
def test_the_failure_file_is_the_reason(make: Make, kind: str) -> None:
    running = make(
        """
        import os, sys
        open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w").write("bad\\0 data: " + "x" * 5000)
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/why", "w").write("see here")
        sys.exit(3)
        """,
        kind,
        outputs=(MODEL, DATA),
    )
    state = running.finish()
    assert state.exit_code == 3
    assert state.failure == ("AlgorithmError: bad data: " + "x" * 5000)[:1024]
    assert running.stored("output.tar.gz") == {"why": b"see here"}
    assert state.uploaded == {"output/data": DATA.uri}


@pytest.mark.parametrize(
    "hostile",
    [
        "os.symlink('/etc/passwd', 'output/failure')",
        "os.mkfifo('output/failure')",
        "os.mkdir('output/failure')",
        "shutil.rmtree('output'); os.symlink(elsewhere, 'output')",
    ],
)
def test_a_failure_file_that_is_not_a_regular_file_is_not_read(make: Make, hostile: str) -> None:
    running = make(
        f"""
        import os, shutil, sys, pathlib
        os.chdir(os.environ["SAGEMAKER_BASE_DIR"])
        elsewhere = pathlib.Path("code").absolute()
        (elsewhere / "failure").write_text("root:x")
        {hostile}
        sys.exit(4)
        """,
    )
    state = running.finish()
    assert state.failure == "AlgorithmError: , exit code: 4"


def test_bytes_that_are_no_text_do_no_harm(make: Make) -> None:
    running = make(
        """
        import os, sys
        open(os.environ["SM_OUTPUT_DIR"] + "/failure", "wb").write(b"\\xff\\xfe broken")
        sys.stdout.buffer.write(b"\\x80abc\\n")
        sys.exit(1)
        """
    )
    assert running.finish().failure == "AlgorithmError: \ufffd\ufffd broken"
    assert running.log() == "\ufffdabc\n"


@SANDBOXES
def test_a_signal_is_named(make: Make, kind: str) -> None:
    running = make("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", kind)
    state = running.finish()
    assert (state.exit_code, state.failure) == (139, "AlgorithmError: , exit code: 139 (SIGSEGV)")


@SANDBOXES
def test_a_program_that_is_not_there(make: Make, kind: str) -> None:
    running = make(kind=kind, argv=("/no/such/program", "train"))
    state = running.finish()
    assert state.phase is Phase.EXITED
    assert state.failure.startswith("ClientError: The program could not be started")
    assert "/no/such/program" in state.failure


def test_one_host_that_fails_ends_the_others(make: Make) -> None:
    running = make(
        """
        import os, signal, sys, time
        if os.environ["SM_CURRENT_HOST"] == "algo-2":
            sys.exit("algo-2 has had enough")
        time.sleep(60)
        """,
        hosts=("algo-1", "algo-2", "algo-3"),
    )
    state = running.finish()
    assert state.exit_code == 1
    assert state.failure.startswith("AlgorithmError: , exit code: 1 (algo-2). Last lines of the log:\nalgo-2 has had")
    assert not running.processes()


@SANDBOXES
def test_a_program_that_takes_more_memory_than_its_instance_has(make: Make, kind: str) -> None:
    running = make(
        """
        import subprocess, sys, time
        subprocess.run([sys.executable, "-c", "held = b'x' * (300 << 20); import time; time.sleep(60)"])
        """,
        kind,
        resources=Resources(1, 128),
    )
    state = running.finish()
    assert state.failure.startswith("AlgorithmError: The program on algo-1 used "), state.failure
    assert "MiB of memory, more than its instance's 128 MiB" in state.failure
    assert state.exit_code is None
    assert not running.processes()


# inputs and outputs that are not as they should be


def test_an_input_that_is_not_there(make: Make) -> None:
    running = make("print('never')", inputs=(Input("prefix", "s3://bucket/none/", "input/data/train"),))
    state = running.finish()
    assert state.failure.startswith("ClientError: No S3 objects found")
    assert (state.exit_code, state.started_at, running.log()) == (None, 0.0, "")
    assert not (running.folder / "hosts").exists()


def test_an_archive_that_leads_outside(make: Make) -> None:
    running = make(inputs=(Input("archive", "s3://bucket/m.tar.gz", "model"),))
    with tarfile.open(running.home / "s3/bucket/m.tar.gz", "w:gz") as archive:
        archive.add(__file__, "../../outside.py")
    state = running.finish()
    assert state.failure.startswith("ClientError: ")
    assert not list(running.home.rglob("outside.py"))


def test_an_s3_that_does_not_answer(make: Make) -> None:
    running = make(outputs=(MODEL,))
    platform = replace(running.plan.platform, s3_folder="")
    (running.folder / PLAN_FILE).write_text(replace(running.plan, platform=platform).to_json())
    quick = """
        import clary.artifacts.stores as stores
        from clary.core.errors import ObjectStoreError
        def open_store(access):
            assert access.folder is None and access.endpoint_url == "http://127.0.0.1:2"
            raise ObjectStoreError("Could not reach S3 at http://127.0.0.1:2")
        stores.open_store = open_store
    """
    state = running.finish(textwrap.dedent(quick))
    assert (state.phase, state.exit_code) == (Phase.EXITED, 0)
    assert state.failure == "ClientError: Could not reach S3 at http://127.0.0.1:2"
    assert state.uploaded == {}


def test_an_output_that_became_a_link_is_not_followed(make: Make) -> None:
    running = make(
        """
        import os, shutil
        shutil.rmtree(os.environ["SM_MODEL_DIR"])
        os.symlink(os.path.abspath("../../../../.."), os.environ["SM_MODEL_DIR"])
        """,
        outputs=(MODEL,),
    )
    state = running.finish()
    assert state.failure == "ClientError: /opt/ml/model is not a directory, or lies behind a symbolic link"
    assert not (running.home / "s3/bucket/job").exists()


@SANDBOXES
def test_a_stored_object_cannot_be_changed_through_an_input(make: Make, kind: str) -> None:
    running = make(
        """
        import os
        path = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml") + "/input/data/train/a.csv"
        try:
            open(path, "r+").write("changed")
        except OSError as error:
            print(type(error).__name__, error.errno)
        print(os.stat(path).st_nlink)
        """,
        kind,
        inputs=(Input("prefix", "s3://bucket/in/", "input/data/train", writable=False),),
    )
    (running.home / "s3/bucket/in").mkdir()
    (stored := running.home / "s3/bucket/in/a.csv").write_text("original")
    assert running.finish().exit_code == 0
    assert stored.read_text() == "original"
    if kind == "bubblewrap":
        assert running.log() == "OSError 30\n2\n"  # a read-only file system, and not a copy
    else:
        assert running.log() == "1\n"


# stop_request and limits


@SANDBOXES
def test_the_model_of_a_stopped_program_is_uploaded(make: Make, kind: str) -> None:
    running = make(
        """
        import os, signal, sys, time
        def save(*_):
            open(os.environ["SM_MODEL_DIR"] + "/checkpoint", "w").write("half")
            print("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        time.sleep(60)
        """,
        kind,
        outputs=(MODEL, DATA),
    )
    running.start()
    until(running.log)
    running.stop(30)
    state = running.over()
    assert (state.phase, state.cause, state.exit_code, state.failure) == (Phase.EXITED, Cause.STOPPED, 0, "")
    assert running.log() == "ready\nsaved\n"
    assert running.stored("model.tar.gz") == {"checkpoint": b"half"}


@SANDBOXES
def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(make: Make, kind: str) -> None:
    running = make(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)", kind
    )
    running.start()
    until(running.log)
    running.stop(0.2)
    state = running.over()
    assert (state.cause, state.exit_code, state.failure) == (Cause.STOPPED, None, "")
    assert not running.processes()


def test_a_second_stop_request_may_shorten_the_grace(make: Make) -> None:
    running = make("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)")
    running.start()
    until(running.log)
    running.stop(1000)
    running.stop(0)
    assert running.over().cause is Cause.STOPPED


def test_a_stop_before_the_supervisor_starts_is_kept(make: Make) -> None:
    running = make("print('never')", outputs=(MODEL,))
    (running.folder / STOP_FILE).write_text("120\n")
    state = running.finish()
    assert (state.phase, state.cause, state.started_at, running.log()) == (Phase.EXITED, Cause.STOPPED, 0.0, "")
    assert state.uploaded == {}


def test_a_stop_while_inputs_are_staged(make: Make) -> None:
    running = make("print('never')", inputs=(Input("prefix", "s3://bucket/in/", "input/data/train"),))
    slow = """
        import time
        from clary.artifacts import channels
        def stage(store, item, target, index, count, in_place, cancelled):
            while not cancelled():
                time.sleep(0.01)
        channels.stage = stage
    """
    running.start(textwrap.dedent(slow))
    until(lambda: running.state().phase is Phase.STAGING)
    running.stop(120)
    state = running.over()
    assert (state.phase, state.cause, state.failure, running.log()) == (Phase.EXITED, Cause.STOPPED, "", "")


@SANDBOXES
def test_the_time_limit(make: Make, kind: str) -> None:
    running = make(
        """
        import os, time
        open(os.environ["SM_MODEL_DIR"] + "/so-far", "w").write("1")
        time.sleep(60)
        """,
        kind,
        max_runtime_s=1.5,
        grace_s=5.0,
        outputs=(MODEL,),
    )
    state = running.finish()
    assert (state.phase, state.cause, state.failure) == (Phase.EXITED, Cause.TIME_LIMIT, "")
    assert running.stored("model.tar.gz") == {"so-far": b"1"}
    assert 1.5 <= state.ended_at - state.started_at < 5


def test_a_shutdown_of_the_machine_is_no_stop_request(make: Make) -> None:
    running = make("import time; print('on'); time.sleep(60)")
    running.start()
    until(running.log)
    running.supervisors[-1].terminate()
    state = running.over()
    assert state.failure.startswith("InternalServerError: The machine was shut down")
    assert state.cause is Cause.NONE


# the supervisor dies


@SANDBOXES
@pytest.mark.parametrize("escape", [False, True])
def test_a_program_dies_with_its_supervisor_and_is_not_run_twice(make: Make, kind: str, escape: bool) -> None:
    running = make(
        f"""
        import os, subprocess, sys, time
        if {escape}:
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/partial", "w").write("p")
        print("run", flush=True)
        time.sleep(60)
        """,
        kind,
        outputs=(MODEL, DATA),
    )
    supervisor = running.start()
    until(running.log)
    assert running.processes()
    supervisor.kill()
    supervisor.wait()
    if kind == "bubblewrap" or not escape:
        until(lambda: not running.processes())
    assert running.state().phase is Phase.RUNNING
    state = running.finish()
    assert (state.phase, state.exit_code) == (Phase.EXITED, None)
    assert state.failure.startswith("InternalServerError: ")
    assert running.log() == "run\n"
    assert not running.processes()
    assert running.stored("output.tar.gz") == {"partial": b"p"}
    assert "model" not in state.uploaded


def test_staging_is_done_anew(make: Make) -> None:
    running = make("import os; print(os.listdir('..'))")
    running.leave_behind(TaskState(Phase.STAGING, staging_at=1.0))
    half = running.folder / "hosts/algo-1/ml/half"
    half.mkdir(parents=True)
    (running.folder / "hosts/algo-1/venv").mkdir()
    state = running.finish()
    assert (state.phase, state.exit_code) == (Phase.EXITED, 0)
    assert "half" not in running.log()


def test_collecting_is_done_again(make: Make) -> None:
    running = make("print('never')", outputs=(MODEL, DATA))
    model = running.folder / "hosts/algo-1/ml/model"
    model.mkdir(parents=True)
    (model / "weights").write_text("w")
    running.leave_behind(TaskState(Phase.COLLECTING, exit_code=0, cause=Cause.TIME_LIMIT, started_at=5.0, ended_at=7.0))
    state = running.finish()
    assert (state.phase, state.exit_code, state.cause) == (Phase.EXITED, 0, Cause.TIME_LIMIT)
    assert (state.started_at, state.ended_at) == (5.0, 7.0)
    assert running.stored("model.tar.gz") == {"weights": b"w"}
    assert running.log() == ""


def test_a_task_that_has_ended_stays_as_it_is(make: Make) -> None:
    running = make("print('never')")
    running.leave_behind(TaskState(Phase.EXITED, exit_code=0, over_at=9.0))
    assert running.finish() == TaskState(Phase.EXITED, exit_code=0, over_at=9.0)


def test_a_damaged_state_is_not_taken_for_a_task_that_never_ran(make: Make) -> None:
    running = make("print('never')")
    (running.folder / STATE_FILE).write_text("")
    assert running.finish().failure.startswith("InternalServerError: ")
    assert running.log() == ""


def test_an_error_of_the_supervisor_ends_the_task_and_its_program(make: Make) -> None:
    running = make("import time; print('on', flush=True); time.sleep(60)")
    broken = """
        import os, sys
        sys.stderr = open(os.devnull, "w")
        from clary.supervisor.logs import Log
        def read_from(self, pipe):
            raise ZeroDivisionError("oops")
        Log.read_from = read_from
    """
    state = running.finish(textwrap.dedent(broken))
    assert state.phase is Phase.EXITED
    assert state.failure == "InternalServerError: ZeroDivisionError while the task was run: oops"
    assert not running.processes()


# the disk is full


def test_a_log_that_cannot_be_written_ends_the_program(make: Make) -> None:
    running = make("import sys\nwhile True: sys.stdout.write('y' * 1000)")
    log = running.home / "logs/aws/sagemaker/TrainingJobs/job/algo-1-1.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    state = running.finish()
    assert state.failure == (
        "ClientError: No space left on the disk of this machine while the program's log was written"
    )
    assert not running.processes()


# output


def _high_water_kib(pid: int) -> int:
    """The most memory a process has held so far. (ru_maxrss would include the process that started it.)"""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def test_a_program_that_prints_very_much_fills_no_memory(make: Make) -> None:
    running = make(
        """
        import sys
        for _ in range(400):
            sys.stdout.write("0123456789" * 10000 + "\\n")
        sys.stdout.write("z" * (20 << 20))
        """
    )
    supervisor = running.start()
    highest_kib = 0
    while supervisor.poll() is None:
        highest_kib = max(highest_kib, _high_water_kib(supervisor.pid))
        time.sleep(0.005)
    assert running.state().exit_code == 0
    lines = running.log().splitlines()
    assert sum(map(len, lines)) == 400 * 100_000 + (20 << 20)
    assert max(map(len, lines)) == 256 << 10
    assert 0 < highest_kib < 150 << 10


def test_a_process_that_left_its_session_does_not_delay_the_end(make: Make) -> None:
    running = make(
        """
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        print("done")
        """
    )
    state = running.finish()
    assert (state.exit_code, running.log()) == (0, "done\n")
    assert not running.processes()


def test_metrics(make: Make) -> None:
    running = make(
        """
        import time
        for value in (3.0, 1.0, 2.0):
            print(f"[0]\\ttrain-rmse:{value}", flush=True)
        print("loss=nan")
        for _ in range(4):
            print("a" * 60 + "!")
        print("loss=0.5")
        print("loss=1e-3x")
        """,
        metric_dimensions={"TrainingJobName": "measured"},
        metrics=(
            ("train:rmse", r".*\[[0-9]+\].*#011train-rmse:(\S+)"),
            ("raw", r"\ttrain-rmse:(\S+)"),
            ("loss", r"loss=(\S+)"),
            ("broken", r"("),
            ("groupless", r"loss"),
            ("slow", r"^(a|aa)+$"),
            ("never", r"never=(\S+)"),
        ),
    )
    state = running.finish()
    assert state.exit_code == 0
    assert {name: metric.value for name, metric in state.metrics.items()} == {
        "train:rmse": 2.0,
        "raw": 2.0,
        "loss": 0.5,
    }
    (spooled,) = (running.home / "metrics").iterdir()
    assert is_abandoned(spooled)
    noted = [from_line(line) for line in spooled.read_text().splitlines()]
    assert [sample.sum for series, sample in noted if series.name == "raw"] == [3.0, 1.0, 2.0]
    raw = Series.of("/aws/sagemaker/TrainingJobs", "raw", {"TrainingJobName": "measured"})
    assert {series for series, _ in noted if series.name == "raw"} == {raw}
    assert "clary: metric 'broken': the regular expression '(' is not valid" in running.log()
    assert "clary: metric 'groupless'" in running.log()
    assert "clary: metric 'slow': the regular expression" in running.log()


def test_metrics_are_seen_while_the_program_runs(make: Make) -> None:
    running = make("import time; print('m=4', flush=True); time.sleep(60)", metrics=(("m", r"m=(\d)"),))
    running.start()
    until(lambda: running.state().metrics)
    assert running.state().phase is Phase.RUNNING
    running.stop(0)
    assert running.over().metrics["m"].value == 4.0


# replicas

SERVER = """
    import http.server, os, pathlib, sys
    sick = pathlib.Path(os.environ["HOME"]) / "sick"
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(500 if sick.exists() else 200)
            self.end_headers()
        def do_POST(self):
            sick.write_text("")
            self.do_GET()
        def log_message(self, *_): pass
    print("serving", flush=True)
    http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@SANDBOXES
def test_a_replica_is_ready_when_it_answers_and_ends_when_stopped(make: Make, kind: str) -> None:
    running = make(SERVER, kind, serve=Serve(), command="serve")
    running.start()
    state = until(lambda: running.state() if running.state().phase is Phase.READY else None)
    with urllib.request.urlopen(f"{state.address}/ping", timeout=5) as answer:
        assert answer.status == 200
    running.stop(5)
    state = running.over()
    assert (state.cause, state.failure, state.address) == (Cause.STOPPED, "", "")
    assert not running.processes()


def test_a_replica_that_stops_answering_fails(make: Make) -> None:
    serve = Serve(ping_interval_s=0.05, ping_timeout_s=1.0, unhealthy_after=3)
    running = make(SERVER, serve=serve)
    running.start()
    state = until(lambda: running.state() if running.state().phase is Phase.READY else None)
    with contextlib.suppress(OSError):
        urllib.request.urlopen(state.address, data=b"x", timeout=5).close()
    state = running.over()
    assert state.failure.startswith("AlgorithmError: The model server did not answer 3 pings in a row")
    assert not running.processes()


def test_a_replica_that_is_never_ready(make: Make) -> None:
    running = make("print('loading', flush=True); import time; time.sleep(60)", serve=Serve(startup_timeout_s=0.5))
    state = running.finish()
    assert state.failure.startswith("AlgorithmError: The model server did not pass the ping health check within 0.5 s")


def test_a_replica_that_ends_by_itself_has_failed(make: Make) -> None:
    running = make("print('bye')", serve=Serve())
    state = running.finish()
    assert (state.phase, state.exit_code) == (Phase.EXITED, 0)
    assert state.failure == "AlgorithmError: , exit code: 0. Last lines of the log:\nbye"


def test_an_idle_replica_costs_almost_no_cpu(make: Make) -> None:
    running = make(SERVER, serve=Serve(ping_interval_s=0.5))
    supervisor = running.start()
    until(lambda: running.state().phase is Phase.READY)
    before, began = _cpu_s(supervisor.pid), time.monotonic()
    until(lambda: time.monotonic() - began > 1.5)
    assert _cpu_s(supervisor.pid) - before <= 0.03


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# the sandbox, and installed packages


@pytest.mark.parametrize("kind", [BUBBLEWRAP])
def test_a_sandboxed_program_sees_what_is_its_own(make: Make, kind: str) -> None:
    running = make(
        """
        import os, pathlib, sys
        home = pathlib.Path(sys.argv[1])
        print((home / "credentials.json").exists(), (home / "tasks" / "other").exists(), (home / "s3").exists())
        try:
            pathlib.Path("/usr/mine").write_text("x")
        except OSError as error:
            print(error.errno)
        pathlib.Path("/tmp/mine").write_text("x")
        print(sorted(os.listdir("/opt/ml")))
        print(len([name for name in os.listdir("/proc") if name.isdigit()]) < 5)
        """,
        kind,
    )
    execution = running.plan.execution
    assert isinstance(execution, Process)
    plan = replace(running.plan, execution=replace(execution, argv=(*execution.argv, str(running.home))))
    (running.folder / PLAN_FILE).write_text(plan.to_json())
    (running.home / "tasks/other").mkdir()
    assert running.finish().exit_code == 0
    assert running.log().splitlines() == [
        "False False False",
        "30",
        "['checkpoints', 'code', 'input', 'model', 'output']",
        "True",
    ]
    assert not Path("/tmp/mine").exists()


@pytest.mark.parametrize("kind", [BUBBLEWRAP])
def test_an_isolated_program_has_no_network(make: Make, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        running = make(
            f"""
            import os, socket
            print("AWS_ENDPOINT_URL" in os.environ)
            print(socket.socket().connect_ex(("127.0.0.1", {server.getsockname()[1]})) != 0)
            """,
            kind,
            isolated=True,
        )
        assert running.finish().exit_code == 0
    assert running.log() == "False\nTrue\n"


def test_isolation_that_is_not_possible_is_refused(make: Make) -> None:
    state = make("print('never')", isolated=True).finish()
    assert state.failure.startswith("ClientError: EnableNetworkIsolation needs bubblewrap")


@SANDBOXES
def test_packages_that_a_job_installs_are_its_own(make: Make, kind: str) -> None:
    running = make(
        """
        import subprocess, sys, os
        import numpy
        base = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
        wheel = base + "/input/data/wheels/thing-1.0-py3-none-any.whl"
        subprocess.run(["pip", "install", "--quiet", "--no-index", "--no-deps", wheel], check=True)
        subprocess.run(["python3", "-c", "import thing; print(thing.__file__)"], check=True)
        """,
        kind,
        inputs=(Input("prefix", "s3://bucket/wheels/", "input/data/wheels"),),
    )
    (wheels := running.home / "s3/bucket/wheels").mkdir()
    with zipfile.ZipFile(wheels / "thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.py", "")
        wheel.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    state = running.finish()
    assert state.exit_code == 0, running.log()
    assert running.log().splitlines()[-1].startswith(str(running.folder / "hosts/algo-1/venv/lib"))
    assert subprocess.run([sys.executable, "-c", "import thing"], capture_output=True, check=False).returncode == 1
