"""A processing job's supervisor as a real process: its view of /opt/ml, its message, uploads while it runs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clary.artifacts.folder import HIDDEN
from clary.compute.plan import PLAN_FILE
from clary.core.tasks import Cause, Input, Output, Phase, TaskState
from tests.faults.supervised import SANDBOXES, Make, Running, maker, until
from tests.s3server import running_s3

PLAIN: dict[str, Any] = {"archive": False, "always": True, "links": False}
OUT = Output("processing/out", "s3://bucket/job/out/", **PLAIN)
CONTINUOUS = replace(OUT, continuous=True)
CONFIG = {
    "ProcessingInputs": [{"InputName": "data", "S3Input": {"LocalPath": "/opt/ml/processing/in/data"}}],
    "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": {"LocalPath": "/opt/ml/processing/out"}}]},
}
PROCESSING: dict[str, Any] = {
    "owner": ("processing-job", "job", "uid"),
    "command": "",
    "layout": "processing",
    "files": {"config/processingjobconfig.json": json.dumps(CONFIG)},
    "host_files": {"config/resourceconfig.json": '{"current_host": "{host}", "hosts": ["algo-1"]}'},
}
# What every program of these tests begins with.
PLACES = """
import os, pathlib, sys, time
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
out = base / "processing/out"
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    makes = next(making := maker(tmp_path))

    def make(program: str, kind: str = "none", **task: Any) -> Running:
        return makes(PLACES + textwrap.dedent(program), kind, **PROCESSING | task)

    yield make
    for _ in making:
        pass


def stored(running: Running, folder: str = "job/out") -> dict[str, str]:
    """The objects below a folder of the bucket; what is still being written is none."""
    top = running.home / "s3/bucket" / folder
    found = [path for path in sorted(top.rglob("*")) if not path.name.startswith(HIDDEN)]
    return {str(path.relative_to(top)): path.read_text() for path in found if path.is_file()}


def signal(running: Running, name: str) -> None:
    """Let a program go on that waits for a file of this name."""
    (running.folder / "hosts/algo-1/tmp" / name).touch()


# Files are stable after a moment, and checked often.
QUICK = """
import clary.artifacts.uploaded_files, clary.supervisor.continuous_upload
clary.artifacts.uploaded_files.REST_S = 0.05
clary.supervisor.continuous_upload._EVERY_S = 0.05
"""

# The program's side of `signal`.
WAIT = """
def wait(name):
    while not os.path.exists(os.environ["TMPDIR"] + "/" + name):
        time.sleep(0.01)
"""


# what the program finds


@SANDBOXES
def test_a_program_finds_its_data_and_leaves_its_results(make: Make, kind: str) -> None:
    running = make(
        """
        import json
        config = json.loads((base / "config/processingjobconfig.json").read_text())
        data = pathlib.Path(config["ProcessingInputs"][0]["S3Input"]["LocalPath"])
        assert data == base / "processing/in/data" == pathlib.Path(os.environ["SM_PROCESSING_INPUT_DATA"])
        assert out == pathlib.Path(os.environ["SM_PROCESSING_OUTPUT_OUT"])
        assert json.loads((base / "config/resourceconfig.json").read_text())["current_host"] == "algo-1"
        assert os.environ["SM_CURRENT_HOST"] == "algo-1" and json.loads(os.environ["SM_HOSTS"]) == ["algo-1"]
        assert not {"SM_MODEL_DIR", "SM_CHANNELS", "SM_HPS", "SM_TRAINING_ENV"} & set(os.environ)
        print(sorted(path.name for path in base.iterdir()), os.listdir(out))
        (out / "sub/empty").mkdir(parents=True)
        (out / "sub/rows.csv").write_text((data / "a.csv").read_text() * 2)
        (out / "link").symlink_to("sub/rows.csv")
        (out / "folder").symlink_to("sub")
        (base / "output/message").write_text("two rows: ä")
        """,
        kind,
        inputs=(Input("prefix", "s3://bucket/in/", "processing/in/data"),),
        outputs=(OUT,),
    )
    (running.home / "s3/bucket/in").mkdir()
    (running.home / "s3/bucket/in/a.csv").write_text("1,2\n")
    state = running.finish()
    assert (state.phase, state.exit_code, state.failure) == (Phase.EXITED, 0, ""), running.log()
    assert running.log() == "['code', 'config', 'output', 'processing'] []\n"
    assert stored(running) == {"sub/rows.csv": "1,2\n1,2\n"}, "sub-folders are kept, links are not followed"
    assert state.uploaded == {"processing/out": OUT.uri}
    assert state.message == "two rows: ä"


@SANDBOXES
def test_a_script_that_is_an_input_runs_with_the_paths_it_is_given(make: Make, kind: str) -> None:
    argv = ("python3", "/opt/ml/processing/code/run.py", "--to=/opt/ml/processing/out/x")
    running = make(
        "", kind, argv=argv, inputs=(Input("prefix", "s3://bucket/code/", "processing/code"),), outputs=(OUT,)
    )
    (running.home / "s3/bucket/code").mkdir()
    (running.home / "s3/bucket/code/run.py").write_text("import sys; open(sys.argv[1][5:], 'w').write('made')")
    assert running.finish().failure == ""
    assert stored(running) == {"x": "made"}


def test_without_a_sandbox_a_path_in_the_script_itself_does_not_exist_and_the_reason_names_it(make: Make) -> None:
    state = make("open('/opt/' + 'ml/processing/out/x', 'w')", outputs=(OUT,)).finish()
    assert state.exit_code == 1
    assert "No such file or directory: '/opt/ml/processing/out/x'" in state.failure


@pytest.mark.parametrize("mode", [OUT, CONTINUOUS], ids=["EndOfJob", "Continuous"])
def test_the_output_of_a_failed_program_is_uploaded(make: Make, mode: Output) -> None:
    running = make(
        """
        (out / "half").write_text("half")
        (base / "output/message").write_text("row 7")
        (base / "output/failure").write_text("no such column")
        sys.exit(3)
        """,
        outputs=(mode,),
    )
    state = running.finish()
    assert (state.exit_code, state.failure) == (3, "AlgorithmError: no such column")
    assert (state.message, stored(running)) == ("row 7", {"half": "half"})


# the message


MESSAGES = {
    "of two hosts": ("host", "algo-1algo-2", ""),
    "no UTF-8": (r"'\udcff'", "", "ClientError: /opt/ml/output/message is not valid UTF-8: invalid start byte"),
}


@pytest.mark.parametrize(("text", "message", "failure"), MESSAGES.values(), ids=MESSAGES)
def test_the_message(make: Make, text: str, message: str, failure: str) -> None:
    """Its own rules are tested with `exit_message`."""
    running = make(
        f"""
        host = os.environ["SM_CURRENT_HOST"]
        (base / "output/message").write_bytes({text}.encode(errors="surrogateescape"))
        """,
        hosts=("algo-1", "algo-2"),
    )
    state = running.finish()
    assert (state.exit_code, state.message, state.failure) == (0, message, failure)


def test_a_training_jobs_message_is_not_read(make: Make) -> None:
    running = make("(base / 'output/message').write_text('x')", layout="training")
    assert running.finish().message == ""


# uploads while it runs


def test_files_that_do_not_change_any_more_are_uploaded_while_the_program_runs(make: Make) -> None:
    running = make(
        WAIT
        + """
growing = open(out / "growing", "w")
(out / "sub").mkdir()
(out / "sub/done").write_text("first")
while not os.path.exists(os.environ["TMPDIR"] + "/change"):
    growing.write("x"); growing.flush(); time.sleep(0.05)
(out / "sub/done").write_text("other")
wait("end")
(out / "last").write_text("last")
""",
        outputs=(CONTINUOUS,),
    )
    running.start()
    until(lambda: stored(running).get("sub/done") == "first")
    assert "growing" not in stored(running), "what is still written to is left alone"
    signal(running, "change")
    until(lambda: stored(running).get("sub/done") == "other" and "growing" in stored(running))
    (before,) = (path.stat() for path in (running.home / "s3/bucket/job/out").glob("growing"))
    assert running.state().phase is Phase.RUNNING
    signal(running, "end")
    state = running.over()
    assert (state.exit_code, state.failure, state.uploaded) == (0, "", {"processing/out": CONTINUOUS.uri})
    assert set(stored(running)) == {"growing", "last", "sub/done"}
    (after,) = (path.stat() for path in (running.home / "s3/bucket/job/out").glob("growing"))
    assert before.st_ino == after.st_ino, "it is not uploaded twice"


def test_a_file_that_changed_at_the_very_end_is_uploaded_as_it_is(make: Make) -> None:
    running = make(
        WAIT + '(out / "a").write_text("old")\nwait("end")\n(out / "a").write_text("new")\n', outputs=(CONTINUOUS,)
    )
    running.start(QUICK)
    until(lambda: stored(running) == {"a": "old"})
    signal(running, "end")
    running.over()
    assert stored(running) == {"a": "new"}


def test_of_two_hosts_the_first_hosts_file_counts(make: Make) -> None:
    running = make(
        WAIT
        + """
host = os.environ["SM_CURRENT_HOST"]
(out / "same").write_text(host)
(out / host).write_text(host)
wait("end") if host == "algo-1" else None
""",
        hosts=("algo-1", "algo-2"),
        outputs=(CONTINUOUS,),
    )
    running.start(QUICK)
    expected = {"algo-1": "algo-1", "algo-2": "algo-2", "same": "algo-1"}
    until(lambda: stored(running) == expected)
    signal(running, "end")
    assert running.over().exit_code == 0
    assert stored(running) == expected


@SANDBOXES
def test_nothing_outside_of_the_output_is_uploaded_whatever_the_program_does(
    make: Make, kind: str, tmp_path: Path
) -> None:
    """It puts links in place of folders while its files are uploaded."""
    (prey := tmp_path / "prey").mkdir()
    (prey / "secret").write_text("secret")
    (prey / "out").mkdir()
    (prey / "out/secret").write_text("secret")
    running = make(
        WAIT
        + """
prey, out = pathlib.Path(os.environ["PREY"]), base / "processing/a/out"
(out / "file").symlink_to(prey / "secret")
(out / "folder").symlink_to(prey)
os.mkfifo(out / "fifo")
print("links in it"); wait("0")
out.rename(base / "processing/moved")
out.symlink_to(prey)
print("it is a link"); wait("1")
out.unlink(); out.parent.rmdir()
out.parent.symlink_to(prey)
print("a link leads to it"); wait("2")
out.parent.unlink(); out.parent.mkdir()
(base / "processing/moved").rename(out)
(out / "seen").write_text("seen")
""",
        kind,
        environment={"PREY": str(prey)},
        outputs=(
            Output("processing/a/out", "s3://bucket/job/out/", continuous=True, **PLAIN),
            Output("processing/rounds", "s3://bucket/job/rounds/", continuous=True, **PLAIN),
        ),
    )
    running.start(QUICK)
    for number in range(3):
        until(lambda number=number: len(running.log().splitlines()) > number)
        # A file written to the other output now is uploaded when both have been checked.
        (running.folder / f"hosts/algo-1/ml/processing/rounds/{number}").write_text("x")
        until(lambda number=number: str(number) in stored(running, "job/rounds"))
        signal(running, str(number))
    state = running.over()
    assert (state.exit_code, state.failure) == (0, ""), running.log()
    assert stored(running) == {"seen": "seen"}


def test_the_output_is_uploaded_after_a_time_limit(make: Make) -> None:
    running = make("(out / 'a').write_text('1'); time.sleep(60)", outputs=(CONTINUOUS,), max_runtime_s=0.3, grace_s=0.0)
    state = running.finish()
    assert (state.cause, state.failure, stored(running)) == (Cause.TIME_LIMIT, "", {"a": "1"})


def test_the_output_and_the_message_are_kept_after_a_stop(make: Make) -> None:
    running = make(
        """
        import signal
        def stopped(*_):
            (base / "output/message").write_text("stopped")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stopped)
        (out / "a").write_text("1")
        print("on")
        time.sleep(60)
        """,
        outputs=(OUT,),
    )
    running.start()
    until((running.folder / "hosts/algo-1/ml/processing/out/a").exists)
    until(running.log)
    running.stop(20)
    state = running.over()
    assert (state.cause, state.message, stored(running)) == (Cause.STOPPED, "stopped", {"a": "1"})


# inputs and outputs in one place


def test_a_large_input_is_in_place_only_where_nothing_else_lies_there(make: Make, monkeypatch: Any) -> None:
    """An output's folder has to be writable, and the stored bytes must not be."""
    from clary.supervisor import transfers

    alone = Input("prefix", "s3://bucket/in/", "processing/in")
    outer = Input("prefix", "s3://bucket/in/", "processing/code")
    inner = Input("prefix", "s3://bucket/in/", "processing/code/more")
    both = Input("prefix", "s3://bucket/in/", "processing/out")
    running = make("", inputs=(alone, outer, inner, both), outputs=(OUT,))
    (running.home / "s3/bucket/in").mkdir()
    (running.home / "s3/bucket/in/a").write_text("1")
    monkeypatch.setattr(transfers, "IN_PLACE_FROM_BYTES", 1)
    staged = transfers.large_in_place(running.task, running.plan).inputs
    assert [item.writable for item in staged] == [False, True, True, True]


# deaths


def test_collecting_is_done_again_and_the_message_is_kept(make: Make) -> None:
    running = make("print('never')", outputs=(OUT,))
    (folder := running.folder / "hosts/algo-1/ml/processing/out").mkdir(parents=True)
    (folder / "a").write_text("1")
    running.leave_behind(TaskState(Phase.COLLECTING, exit_code=0, message="kept", started_at=5.0, ended_at=7.0))
    state = running.finish()
    assert (state.phase, state.exit_code, state.message) == (Phase.EXITED, 0, "kept")
    assert (stored(running), running.log()) == ({"a": "1"}, "")


@pytest.mark.slow
def test_an_s3_elsewhere_may_be_away_while_the_program_runs(make: Make, tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3home") as s3:
        output = Output("processing/out", "s3://buck/o/", continuous=True, **PLAIN)
        running = make(
            WAIT + '(out / "a").write_text("1")\nwait("second")\n(out / "b").write_text("2")\nwait("end")\n',
            outputs=(output,),
        )
        platform = replace(
            running.plan.platform,
            s3_folder="",
            s3_endpoint_url=s3.service.url,
            region="us-east-1",
            s3_access_key_id=s3.credentials.access_key_id,
            s3_secret_access_key=s3.credentials.secret_access_key,
        )
        (running.folder / PLAN_FILE).write_text(replace(running.plan, platform=platform).to_json())
        bucket = s3.folder / "buck"
        hidden = s3.folder.parent / "away"
        running.start(QUICK)
        until((bucket / "o/a").exists)
        bucket.rename(hidden)  # S3 answers, and the bucket is not there
        signal(running, "second")
        until((running.folder / "hosts/algo-1/ml/processing/out/b").exists)
        assert running.state().phase is Phase.RUNNING
        hidden.rename(bucket)
        until((bucket / "o/b").exists)
        signal(running, "end")
        state = running.over()
        assert (state.exit_code, state.failure) == (0, "")
        assert {path.name: path.read_text() for path in (bucket / "o").iterdir()} == {"a": "1", "b": "2"}
        assert state.uploaded == {"processing/out": output.uri}
