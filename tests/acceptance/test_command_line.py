"""The command line as a person and a script meet it: what it prints, what it exits with, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary import __version__
from clary.cli import VERBS
from clary.demo.server import free_port
from tests.acceptance.aws import XGBOOST
from tests.live import LiveServer, live_server, until

CLARY = [sys.executable, "-m", "clary"]
DONE, COULD_NOT, WRONG_USAGE, UNHEALTHY = 0, 1, 2, 3


def clary(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}
    return subprocess.run(
        [*CLARY, *arguments], capture_output=True, text=True, check=False, env={**clean, **variables}, timeout=100
    )


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server with a job that has ended and one that runs."""
    with live_server() as server:
        start(server, "ended", "printf 'first line\\nlast line\\n'")
        server.job("ended")
        start(server, "running", "echo here I am; sleep 600")
        server.job("running", "Training")
        yield server


def start(server: LiveServer, name: str, script: str) -> None:
    server.sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": XGBOOST,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c", script],
        },
        RoleArn=server.role,
        OutputDataConfig={"S3OutputPath": f"s3://{server.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )


# ---- help and wrong usage ----


def test_help_lists_all_there_is():
    done = clary("--help")
    assert done.returncode == DONE
    for verb, help_text in VERBS.items():
        assert verb in done.stdout
        assert help_text in done.stdout
    assert clary().stderr == done.stdout


def test_the_version():
    assert clary("--version").stdout == f"clary, version {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb):
    for flag in ("--help", "-h"):
        done = clary(verb, flag)
        assert done.returncode == DONE
        assert done.stdout.startswith(f"Usage: clary {verb}")


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [
        ([], "Usage: clary"),
        (["nothing"], "No such command 'nothing'"),
        (["up", "--prot", "1"], "No such option '--prot'"),
        (["up", "--port", "abc"], "'abc' is not a valid integer"),
        (["up", "more"], "unexpected extra argument"),
        (["status", "--home"], "requires an argument"),
        (["status", "--home", "/etc/hostname"], "is a file"),
        (["logs"], "Missing argument 'NAME'"),
    ],
)
def test_wrong_usage_has_its_own_exit_code(arguments, expected_text):
    done = clary(*arguments)
    assert done.returncode == WRONG_USAGE
    assert expected_text in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [
        (["--port", "70000"], "port = 70000: must be from 1 to 65533"),
        (["--port", "0"], "port = 0: must be from 1 to 65533"),
        (["--host", "0.0.0.0"], "listening beyond this machine demands TLS"),
        (["--host", "no.such.host.invalid", "--detach"], "no.such.host.invalid"),
    ],
)
def test_a_server_that_could_not_be_is_not_started(tmp_path, arguments, expected_text):
    done = clary("up", "--home", str(tmp_path), *arguments)
    assert done.returncode == COULD_NOT
    assert expected_text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "expected_text"),
    [
        ("prot = 1", "there is no setting 'prot'; docs/settings.md lists them all"),
        ('port = "many"', "port = 'many': must be a whole number"),
        ('validation = "harsh"', "must be one of strict, lenient"),
        ("port = ", "is not valid TOML"),
    ],
)
def test_a_setting_that_does_not_fit_is_reported_by_every_verb(tmp_path, file, expected_text):
    (tmp_path / "clary.toml").write_text(file)
    for verb in ("up", "status", "env", "down"):
        done = clary(verb, "--home", str(tmp_path))
        assert done.returncode == COULD_NOT
        assert done.stderr.startswith("clary: ")
        assert expected_text in done.stderr


def test_a_home_that_cannot_be_made_is_reported_in_a_line(tmp_path):
    for verb in ("up", "env"):
        done = clary(verb, "--home", "/proc/no/home")
        assert done.returncode == COULD_NOT
        assert done.stderr == "clary: /proc/no: No such file or directory\n"


@pytest.mark.parametrize("arguments", [["--help"], ["env"]])
def test_what_is_asked_for_often_loads_nothing_heavy(tmp_path, arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "clary", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CLARY_HOME": str(tmp_path)},
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {
        "boto3",
        "botocore",
        "uvicorn",
        "starlette",
        "sqlalchemy",
        "numpy",
        "rich",
        "structlog",
        "psutil",
    }


# ---- status ----


def test_status_for_people(server):
    done = server.clary("status")
    assert done.returncode == DONE
    assert done.stdout.count("healthy") == 3
    assert "training-job: 1 Completed, 1 InProgress" in done.stdout
    assert str(server.home) in done.stdout


def test_status_for_scripts(server):
    found = server.status()
    assert set(found) == {"home", "server", "gateway", "s3", "resources"}
    ports = {"server": server.port, "gateway": server.port + 1, "s3": server.port + 2}
    for part, port in ports.items():
        assert found[part] == {"pid": server.pid(part), "url": f"http://127.0.0.1:{port}", "healthy": True}
    assert found["resources"]["training-job"] == {"Completed": 1, "InProgress": 1}


def test_a_home_without_a_server(tmp_path):
    home = tmp_path / "none"
    done = clary("status", "--json", "--home", str(home))
    assert done.returncode == UNHEALTHY
    found = json.loads(done.stdout)
    assert [found[part]["pid"] for part in ("server", "gateway", "s3")] == [None] * 3
    assert clary("status", "--home", str(home)).stdout.count("down") == 3
    stopped = clary("down", "--home", str(home))
    assert (stopped.returncode, stopped.stdout) == (DONE, f"Nothing runs on {home}.\n")
    assert not home.exists(), "reading the status creates nothing"


# ---- env ----


def test_env_is_for_a_shell_and_for_scripts(server):
    printed = server.clary("env").stdout
    assert all(line.startswith("export ") for line in printed.splitlines())
    as_json = server.environment
    assert {line.removeprefix("export ").partition("=")[0] for line in printed.splitlines()} == set(as_json)
    promised = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"}
    promised |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
    assert promised | {"SAGEMAKER_ROLE_ARN", "SAGEMAKER_DEFAULT_BUCKET"} <= set(as_json)
    assert as_json["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("name", ["plain", "with blanks", 'it\'s "quoted" $HOME `id` \\ ключ'])
def test_a_shell_understands_it_whatever_the_home_is_called(tmp_path, name):
    """Also where nothing was started yet: the keys are made, and the next `up` keeps them."""
    home = tmp_path / name
    script = 'eval "$("$0" -m clary env)" && printf %s "$SAGEMAKER_USER_CONFIG_OVERRIDE|$AWS_ACCESS_KEY_ID"'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        env={**os.environ, "CLARY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    keys = json.loads((home / "credentials.json").read_text())
    assert done.stdout == f"{home / 'sagemaker.yaml'}|{keys['access_key_id']}"
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600


# ---- logs ----


def test_the_log_of_a_job(server):
    assert server.clary("logs", "ended").stdout == "first line\nlast line\n"
    with_times = server.clary("logs", "ended", "--timestamps").stdout.splitlines()
    assert [line[15:] for line in with_times] == [" first line", " last line"]
    assert all(line[2] == line[5] == ":" for line in with_times)


def test_a_log_is_followed_until_interrupted(server):
    following = subprocess.Popen(
        [*CLARY, "logs", "running", "--follow", "--home", str(server.home)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert following.stdout is not None
        assert following.stdout.readline() == "here I am\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == DONE
    finally:
        following.kill()
        following.wait()
        following.stdout.close()


@pytest.mark.parametrize("name", ["nothing", "end", "..", "../..", "/etc/passwd", ""])
def test_a_log_that_is_not_there(server, name):
    done = server.clary("logs", name, check=False)
    assert (done.returncode, done.stdout) == (COULD_NOT, "")
    assert repr(name) in done.stderr


# ---- doctor ----


def test_doctor_for_people_and_for_scripts(server):
    done = server.clary("doctor")
    found = json.loads(server.clary("doctor", "--json").stdout)
    assert {"CPUs", "memory", "bubblewrap", "podman", "docker", "rclone"} <= {finding["name"] for finding in found}
    for finding in found:
        assert set(finding) == {"name", "present", "detail", "gives"}
        assert isinstance(finding["present"], bool)
        assert finding["gives"]
        assert finding["name"].split()[0] in done.stdout


# ---- up and down ----


def test_one_server_per_home(server):
    for more in (["--detach"], []):
        done = server.clary("up", *more, "--port", str(free_port()), check=False)
        assert done.returncode == COULD_NOT
        assert "already" in done.stderr
        assert "clary down" in done.stderr
        assert str(server.home) in done.stderr
    assert server.status()["server"]["healthy"]
    assert server.clary("env", "--json").stdout == json.dumps(server.environment, indent=1) + "\n"


@pytest.mark.parametrize("offset", [0, -1, -2])
@pytest.mark.parametrize("more", [["--detach"], []], ids=["detached", "in front"])
def test_a_port_that_is_taken_is_named(server, tmp_path, offset, more):
    """By another home's server, for the control API, the gateway or S3; who has it is not disturbed."""
    done = clary("up", *more, "--home", str(tmp_path), "--port", str(server.port + offset))
    assert done.returncode == COULD_NOT
    assert f"port {server.port} " in done.stderr
    assert "Traceback" not in done.stderr
    assert clary("status", "--home", str(tmp_path)).returncode == UNHEALTHY
    assert server.status()["server"]["healthy"]


def test_a_port_that_another_program_has_is_named(tmp_path):
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        done = clary("up", "--detach", "--home", str(tmp_path), "--port", str(port))
        assert done.returncode == COULD_NOT
        assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
        assert "--port" in done.stderr


def test_a_server_in_the_foreground_ends_at_sigint(tmp_path):
    port = free_port()
    with (tmp_path / "printed").open("w") as printed:
        running = subprocess.Popen(
            [*CLARY, "up", "--home", str(tmp_path / "home"), "--port", str(port)], stdout=printed, stderr=printed
        )
        try:
            until(lambda: clary("status", "--home", str(tmp_path / "home")).returncode == DONE or None, 30, "a server")
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == DONE
        finally:
            running.kill()
            running.wait()
    assert "Traceback" not in (tmp_path / "printed").read_text()
    assert clary("status", "--home", str(tmp_path / "home")).returncode == UNHEALTHY


def test_down_lets_jobs_go_on_and_up_finds_them_again(server):
    """The last of this module: it stops what the others use."""
    stopped = server.clary("down")
    assert stopped.stdout.startswith("Clary is down.\nStill running: running-")
    assert server.clary("status", check=False).returncode == UNHEALTHY
    # The port is remembered only where it was given: it is no setting of this home.
    started = server.clary("up", "--detach", "--port", str(server.port))
    assert started.stdout.splitlines() == [
        f"Clary is up: http://127.0.0.1:{server.port}",
        f'Connect:     eval "$(clary env --home {server.home})"',
    ]
    assert server.job("running", "Training")["TrainingJobStatus"] == "InProgress"
    server.sagemaker.stop_training_job(TrainingJobName="running")
    assert server.job("running")["TrainingJobStatus"] == "Stopped"


def test_the_variable_clary_home_sets_the_home(tmp_path):
    found = json.loads(clary("status", "--json", CLARY_HOME=str(tmp_path / "here")).stdout)
    assert Path(found["home"]) == tmp_path / "here"
