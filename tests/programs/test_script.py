"""Script mode: what a user's training script gets, and what becomes of its exit code and output."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clary.tasks.script import virtual_environment
from clary.tasks.script.training import invocation
from tests.programs.running import environment_of, opt_ml, run, until, wheel

TRAIN = ("clary.tasks.scikit_learn", "train")

# Writes down how it was started, where the test reads it.
WITNESS = """
import json, os, sys
with open(os.path.join(os.environ["SM_MODEL_DIR"], "seen.json"), "w") as file:
    json.dump({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "python": sys.executable}, file)
"""


def a_job(base: Path, script: str = WITNESS, name: str = "train.py", /, **hyperparameters: Any) -> Path:
    """A job whose script is in /opt/ml/code already; values as the SDK writes them, JSON inside strings."""
    values = {"sagemaker_program": name, **hyperparameters}
    opt_ml(base, {key: json.dumps(value) for key, value in values.items()})
    (base / "code").mkdir(exist_ok=True)
    (base / "code" / name).write_text(script)
    return base


def seen(base: Path) -> Any:
    return json.loads((base / "model" / "seen.json").read_text())


def failure(base: Path) -> str:
    return (base / "output" / "failure").read_text()


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class TestArguments:
    def test_hyperparameters_become_sorted_arguments(self, tmp_path: Path) -> None:
        values = {"n": 3, "alpha": 0.5, "name": 'it\'s "x" $HOME', "b-size": True, "none": None, "list": [1, "a"]}
        base = a_job(tmp_path, **values, map={"y": 2, "x": 1}, sagemaker_region="eu-west-1")
        result = run(base, *TRAIN)
        assert result.returncode == 0, result.stderr
        assert seen(base)["argv"] == [
            "train.py", "--alpha", "0.5", "--b-size", "True", "--list", "[1, 'a']", "--map", "x=1,y=2",
            "-n", "3", "--name", 'it\'s "x" $HOME', "--none", "",
        ]  # fmt: skip

    def test_a_value_that_is_not_json_stands_for_itself(self, tmp_path: Path) -> None:
        base = a_job(tmp_path)
        opt_ml(base, {"sagemaker_program": "train.py", "kind": "plain text", "eta": "0.3"})
        assert run(base, *TRAIN).returncode == 0
        assert seen(base)["argv"] == ["train.py", "--eta", "0.3", "--kind", "plain text"]

    def test_a_shell_script_gets_them_quoted(self, tmp_path: Path) -> None:
        script = '#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done; echo "$PWD"; exit 7\n'
        base = a_job(tmp_path, script, "run.sh", name="it's; exit 1", n=1)
        result = run(base, *TRAIN)
        assert result.returncode == 7
        assert result.stdout.splitlines()[1:] == ["<-n>", "<1>", "<--name>", "<it's; exit 1>", str(base / "code")]

    def test_a_value_that_cannot_be_an_argument_is_named(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, bad="a\0b")
        assert run(base, *TRAIN).returncode == 1
        assert failure(base).startswith("ClientError: hyperparameter 'bad' cannot be an argument")

    def test_a_hundred_long_hyperparameters_do_not_keep_a_script_from_starting(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, **{f"p{number}": "x" * 2000 for number in range(98)})
        assert run(base, *TRAIN).returncode == 0
        assert len(seen(base)["argv"]) == 1 + 2 * 98
        assert "SM_HPS" not in seen(base)["env"]


class TestEnvironment:
    def test_every_variable_of_the_toolkit_is_there(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, alpha=0.5, name="x", sagemaker_container_log_level=20, sagemaker_job_name="j-1")
        group = {"instance_group_name": "workers", "instance_type": "ml.m5.large", "hosts": ["algo-1", "algo-2"]}
        hosts = {
            "current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "current_instance_type": "ml.m5.large",
            "current_group_name": "workers", "instance_groups": [group], "network_interface_name": "lo",
        }  # fmt: skip
        channels = {"train": {"TrainingInputMode": "File"}, "My-test": {"TrainingInputMode": "File"}}
        opt_ml(base, json.loads((base / "input/config/hyperparameters.json").read_text()),
               resourceconfig=hosts, inputdataconfig=channels)  # fmt: skip
        assert run(base, *TRAIN, CUDA_VISIBLE_DEVICES="0,1", PYTHONPATH="/elsewhere").returncode == 0
        environment = seen(base)["env"]
        assert {name: environment[name] for name in PLAIN} == {
            **PLAIN,
            "SM_MODEL_DIR": f"{base}/model",
            "SM_INPUT_DIR": f"{base}/input",
            "SM_INPUT_CONFIG_DIR": f"{base}/input/config",
            "SM_OUTPUT_DIR": f"{base}/output",
            "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
            "SM_OUTPUT_INTERMEDIATE_DIR": f"{base}/output/intermediate",
            "SM_CHANNEL_TRAIN": f"{base}/input/data/train",
            "SM_CHANNEL_MY-TEST": f"{base}/input/data/My-test",
            "SM_MODULE_DIR": f"{base}/code",
            "SM_RESOURCE_CONFIG": json.dumps(hosts, sort_keys=True, separators=(",", ":")),
            "SM_INSTANCE_GROUPS_DICT": json.dumps({"workers": group}, sort_keys=True, separators=(",", ":")),
            "SM_INPUT_DATA_CONFIG": json.dumps(channels, sort_keys=True, separators=(",", ":")),
            "SM_NUM_CPUS": str(len(os.sched_getaffinity(0))),
        }
        assert environment["PYTHONPATH"] == f"{base}/code:/elsewhere"
        training = json.loads(environment["SM_TRAINING_ENV"])
        assert training["hyperparameters"] == {"alpha": 0.5, "name": "x"}
        assert training["is_master"] is False
        assert training["master_hostname"] == "algo-1"
        assert seen(base)["cwd"] == f"{base}/code"

    def test_the_platforms_variables_stay(self, tmp_path: Path) -> None:
        base = a_job(tmp_path)
        assert run(base, *TRAIN, MY_OWN="kept", TRAINING_JOB_NAME="job").returncode == 0
        assert seen(base)["env"]["MY_OWN"] == "kept"
        assert json.loads(seen(base)["env"]["SM_TRAINING_ENV"])["job_name"] == "job"

    def test_the_script_may_be_named_by_the_environment(self, tmp_path: Path) -> None:
        base = a_job(tmp_path)
        opt_ml(base)
        assert run(base, *TRAIN, SAGEMAKER_PROGRAM="train.py").returncode == 0
        assert seen(base)["env"]["SM_USER_ENTRY_POINT"] == "train.py"


# Those whose text does not depend on the folder, and placeholders for those that do.
PLAIN = {
    "SM_HOSTS": '["algo-1","algo-2"]',
    "SM_CURRENT_HOST": "algo-2",
    "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
    "SM_CURRENT_INSTANCE_GROUP": "workers",
    "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1","algo-2"]',
    "SM_INSTANCE_GROUPS": '["workers"]',
    "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
    "SM_IS_HETERO": "false",
    "SM_NETWORK_INTERFACE_NAME": "lo",
    "SM_CHANNELS": '["My-test","train"]',
    "SM_HPS": '{"alpha":0.5,"name":"x"}',
    "SM_HP_ALPHA": "0.5",
    "SM_HP_NAME": "x",
    "SM_NUM_GPUS": "2",
    "SM_NUM_NEURONS": "0",
    "SM_USER_ENTRY_POINT": "train.py",
    "SM_MODULE_NAME": "train",
    "SM_USER_ARGS": '["--alpha","0.5","--name","x"]',
    "SM_FRAMEWORK_MODULE": "sagemaker_sklearn_container.training:main",
    "SM_FRAMEWORK_PARAMS": "{}",
    "SM_LOG_LEVEL": "20",
    "SM_TOPOLOGY": "",
    "SAGEMAKER_JOB_NAME": "j-1",
    "CURRENT_HOST": "algo-2",
} | dict.fromkeys(
    [
        "SM_MODEL_DIR", "SM_INPUT_DIR", "SM_INPUT_CONFIG_DIR", "SM_OUTPUT_DIR", "SM_OUTPUT_DATA_DIR",
        "SM_OUTPUT_INTERMEDIATE_DIR", "SM_CHANNEL_TRAIN", "SM_CHANNEL_MY-TEST", "SM_MODULE_DIR", "SM_RESOURCE_CONFIG",
        "SM_INSTANCE_GROUPS_DICT", "SM_INPUT_DATA_CONFIG", "SM_NUM_CPUS",
    ],
    "",
)  # fmt: skip


class TestEnd:
    def test_a_failing_script_reports_the_reason(self, tmp_path: Path) -> None:
        script = (
            "import sys\nprint('loading', file=sys.stderr)\ndef f():\n    raise ValueError('no column \"y\"')\nf()\n"
        )
        base = a_job(tmp_path, script, alpha=0.5)
        result = run(base, *TRAIN)
        assert result.returncode == 1
        assert "loading" in result.stderr
        assert failure(base).startswith('ExecuteUserScriptError:\nExitCode 1\nErrorMessage "  File "')
        assert failure(base).endswith(f'ValueError: no column "y""\nCommand "{sys.executable} train.py --alpha 0.5"')
        assert "loading" not in failure(base)

    def test_a_long_traceback_leaves_room_for_its_end(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, "raise ValueError('x' * 3000 + ' the end')")
        assert run(base, *TRAIN).returncode == 1
        assert "the end" in failure(base)[:1024]

    @pytest.mark.parametrize(("script", "code"), [("import os; os._exit(42)", 42), ("import os; os.abort()", 134)])
    def test_its_exit_code_comes_back(self, tmp_path: Path, script: str, code: int) -> None:
        base = a_job(tmp_path, script)
        assert run(base, *TRAIN).returncode == code
        assert f"ExitCode {code}\n" in failure(base)

    def test_success_leaves_no_failure_file(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, "print('done')")
        result = run(base, *TRAIN)
        assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "done")
        assert not (base / "output" / "failure").exists()

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            ("signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(5)))", 5),
            ("", 143),
        ],
        ids=["it saves a checkpoint", "it does not care"],
    )
    def test_sigterm_reaches_the_script(self, tmp_path: Path, script: str, code: int) -> None:
        wait = "open(os.environ['SM_MODEL_DIR'] + '/runs', 'w').close()\nwhile True: time.sleep(0.01)"
        base = a_job(tmp_path, f"import os, signal, sys, time\n{script}\n{wait}")
        program = subprocess.Popen(
            [sys.executable, "-m", *TRAIN], env=environment_of(base), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            until((base / "model" / "runs").exists, "the script runs")
            program.send_signal(signal.SIGTERM)
            output, _ = program.communicate(timeout=20)
        finally:
            program.kill()
            program.wait()
        assert program.returncode == code
        assert (b"saved" in output) is (code == 5)
        assert not (base / "output" / "failure").exists()

    def test_a_signal_for_the_whole_session_reaches_it_once(self, tmp_path: Path) -> None:
        script = """
            import os, signal, sys, time
            heard = []
            signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
            open(os.environ["SM_MODEL_DIR"] + "/runs", "w").close()
            while not heard: time.sleep(0.01)
            time.sleep(0.3)  # long enough for a second one
            sys.exit(len(heard))
        """
        base = a_job(tmp_path, textwrap.dedent(script))
        environment = environment_of(base, CLARY_TASK_ID="t-0")
        program = subprocess.Popen([sys.executable, "-m", *TRAIN], env=environment, start_new_session=True)
        try:
            until((base / "model" / "runs").exists, "the script runs")
            os.killpg(program.pid, signal.SIGTERM)
            assert program.wait(20) == 1
        finally:
            program.kill()
            program.wait()

    def test_something_it_left_running_does_not_hold_the_job_up(self, tmp_path: Path) -> None:
        script = (
            "import os, subprocess\n"
            "child = subprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL)\n"
            "open(os.environ['SM_MODEL_DIR'] + '/pid', 'w').write(str(child.pid))\n"
        )
        base = a_job(tmp_path, script)
        log = (base / "log").open("wb")
        with log:
            done = subprocess.run(
                [sys.executable, "-m", *TRAIN],
                env=environment_of(base),
                stdout=log,
                stderr=log,
                timeout=20,
                check=False,
            )
        os.kill(int((base / "model" / "pid").read_text()), signal.SIGKILL)
        assert done.returncode == 0


class TestSource:
    @pytest.fixture
    def s3(self) -> Iterator[tuple[str, dict[str, bytes], list[str]]]:
        """A server that knows GetObject: its URL, its objects by path, and the Authorization headers it saw."""
        objects: dict[str, bytes] = {}
        signed: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                signed.append(self.headers.get("Authorization", ""))
                body = objects.get(self.path.partition("?")[0])
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", objects, signed
        server.shutdown()
        thread.join()
        server.server_close()

    KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}  # noqa: RUF012

    def test_it_is_fetched_from_s3(self, tmp_path: Path, s3: Any) -> None:
        url, objects, signed = s3
        objects["/bucket/job/source/sourcedir.tar.gz"] = archive({"train.py": WITNESS, "pkg/helper.py": ""})
        directory = "s3://bucket/job/source/sourcedir.tar.gz"
        base = opt_ml(tmp_path, {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{directory}"'})
        result = run(base, *TRAIN, AWS_ENDPOINT_URL_S3=url, **self.KEYS)
        assert result.returncode == 0, result.stderr
        assert seen(base)["env"]["SM_MODULE_DIR"] == directory
        assert sorted(path.name for path in (base / "code").iterdir()) == ["pkg", "train.py"]
        assert "AKIATEST" in signed[0]
        assert "eu-west-1/s3" in signed[0]

    def test_a_missing_archive_is_the_callers_fault(self, tmp_path: Path, s3: Any) -> None:
        base = opt_ml(
            tmp_path, {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://bucket/no.tar.gz"}
        )
        assert run(base, *TRAIN, AWS_ENDPOINT_URL_S3=s3[0], **self.KEYS).returncode == 1
        assert failure(base).startswith(
            'ClientError: sagemaker_submit_directory "s3://bucket/no.tar.gz" cannot be read'
        )

    def test_what_the_platform_has_staged_is_not_fetched_again(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, sagemaker_submit_directory="s3://bucket/source.tar.gz")
        result = run(
            base, *TRAIN, CLARY_STAGED_CODE="s3://bucket/source.tar.gz", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9"
        )
        assert result.returncode == 0

    @pytest.mark.parametrize("source_kind", ["folder", "archive"])
    def test_the_source_may_be_local(self, tmp_path: Path, source_kind: str) -> None:
        source = tmp_path / "elsewhere"
        if source_kind == "folder":
            source.mkdir()
            (source / "train.py").write_text(WITNESS)
        else:
            source.write_bytes(archive({"train.py": WITNESS}))
        base = opt_ml(tmp_path, {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"file://{source}"})
        assert run(base, *TRAIN).returncode == 0
        assert (base / "code" / "train.py").read_text() == WITNESS

    @pytest.mark.parametrize(
        ("content", "fragment"),
        [
            (archive({"../evil.py": "x"}), "outside"),
            (b"no archive", "not a gzip|could not be opened"),
            (archive({"train.py": WITNESS})[:60], "end|ended|could not be opened"),
        ],
        ids=["escapes", "is none", "is cut off"],
    )
    def test_an_archive_that_is_not_safe_or_whole_is_refused(
        self, tmp_path: Path, content: bytes, fragment: str
    ) -> None:
        base = tmp_path / "a" / "ml"
        base.mkdir(parents=True)
        (tmp_path / "source.tar.gz").write_bytes(content)
        opt_ml(base, {"sagemaker_program": "train.py", "sagemaker_submit_directory": str(tmp_path / "source.tar.gz")})
        assert run(base, *TRAIN).returncode == 1
        assert failure(base).startswith(
            f'ClientError: the source archive "{tmp_path}/source.tar.gz" cannot be unpacked'
        )
        assert any(word in failure(base) for word in fragment.split("|")), failure(base)
        assert not list(tmp_path.rglob("evil.py"))

    @pytest.mark.parametrize(
        ("hyperparameters", "fragment"),
        [
            ({}, "ClientError: no script to run: give the hyperparameter sagemaker_program"),
            ({"sagemaker_program": "../train.py"}, "sagemaker_program is '../train.py'; give a path relative"),
            (
                {"sagemaker_program": "other.py"},
                'sagemaker_program is "other.py", but the source directory holds train.py',
            ),
            (
                {"sagemaker_program": "train.py", "sagemaker_submit_directory": "/no/such"},
                'sagemaker_submit_directory is "/no/such": there is no such folder or archive',
            ),
            ({"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b"}, "give s3://bucket/key"),
        ],
    )
    def test_a_wrong_configuration_is_named(
        self, tmp_path: Path, hyperparameters: dict[str, str], fragment: str
    ) -> None:
        base = opt_ml(a_job(tmp_path), hyperparameters)
        assert run(base, *TRAIN).returncode == 1
        assert fragment in failure(base)

    def test_a_broken_configuration_file_is_named(self, tmp_path: Path) -> None:
        base = a_job(tmp_path)
        (base / "input/config/resourceconfig.json").write_text("{")
        assert run(base, *TRAIN).returncode == 1
        assert "resourceconfig.json is not JSON" in failure(base)


class TestRequirements:
    """Offline: what is installed lies in a folder. It must go nowhere but into the task's own environment."""

    def test_requirements_are_installed_beside_the_packages_of_the_image(self, tmp_path: Path) -> None:
        script = WITNESS + "import clary_test_wheel, numpy\nassert clary_test_wheel.answer == 42\n"
        base = a_job(tmp_path, script)
        (base / "code" / "requirements.txt").write_text(
            f"{wheel(tmp_path, 'clary_test_wheel', 'answer = 42')}\nnumpy\n"
        )
        result = run(base, *TRAIN, PIP_NO_INDEX="1")
        assert result.returncode == 0, result.stdout + result.stderr
        assert seen(base)["python"] == str(base / "environment" / "bin" / "python")
        with pytest.raises(ModuleNotFoundError):
            __import__("clary_test_wheel")

    def test_requirements_go_into_the_environment_that_the_platform_made(self, tmp_path: Path) -> None:
        base = a_job(tmp_path, WITNESS + "import clary_test_wheel, numpy")
        (base / "code" / "requirements.txt").write_text(str(wheel(tmp_path, "clary_test_wheel", "")))
        python = virtual_environment.create(tmp_path / "own")
        assert run(base, *TRAIN, PIP_NO_INDEX="1", VIRTUAL_ENV=str(tmp_path / "own")).returncode == 0
        assert seen(base)["python"] == python
        assert len(list((tmp_path / "own").rglob("clary_test_wheel.py"))) == 1

    def test_a_package_runs_as_a_module(self, tmp_path: Path) -> None:
        (tmp_path / "setup.py").touch()
        assert invocation(tmp_path, "pkg/train.py", "python", ["-n", "1"]) == ["python", "-m", "pkg.train", "-n", "1"]

    def test_a_package_that_cannot_be_installed_is_reported(self, tmp_path: Path) -> None:
        base = a_job(tmp_path)
        (base / "code" / "requirements.txt").write_text("clary-no-such-package==9.9\n")
        assert run(base, *TRAIN, PIP_NO_INDEX="1").returncode == 1
        assert failure(base).startswith("InstallRequirementsError:\nExitCode 1\n")
        assert "No matching distribution found for clary-no-such-package==9.9" in failure(base)
        assert not (base / "model" / "seen.json").exists()
