"""`python -m clary.tasks.xgboost` as the platform runs it: a folder, an environment, an exit code, HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer

from clary.formats.recordio import write_rows
from clary.tasks.xgboost import model
from tests.programs.running import environment_of, opt_ml, run, started, until

PROGRAM = "clary.tasks.xgboost"
DATA = load_breast_cancer()
ROWS = DATA.data.astype(np.float32)
LABELS = DATA.target.astype(np.float32)
TEXTS = {"num_round": "5", "objective": "binary:logistic", "eval_metric": "auc", "max_depth": "3", "nthread": "1"}


def csv_of(rows: Any, *before: Any) -> str:
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in np.column_stack([*before, rows]))


def job(
    folder: Path,
    texts: dict[str, str] | None = None,
    content_type: str | None = "text/csv",
    files: dict[str, dict[str, str | bytes]] | None = None,
    **config: Any,
) -> Path:
    """files  contents by channel and file name; train and validation by default"""
    files = files or {
        "train": {"a.csv": csv_of(ROWS[:300], LABELS[:300]), "b/c.csv": csv_of(ROWS[300:400], LABELS[300:400])},
        "validation": {"v.csv": csv_of(ROWS[400:], LABELS[400:])},
    }
    entry = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    entry |= {"ContentType": content_type} if content_type else {}
    base = opt_ml(folder, TEXTS if texts is None else texts, inputdataconfig=dict.fromkeys(files, entry), **config)
    for channel, contents in files.items():
        for name, content in contents.items():
            file = base / "input" / "data" / channel / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return base


def predictions(base: Path) -> Any:
    return model.load(base / "model" / "xgboost-model").predict(xgb.DMatrix(ROWS[400:]))


def plain(**parameters: Any) -> Any:
    parameters = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, **parameters}
    booster = xgb.train(parameters, xgb.DMatrix(ROWS[:400], label=LABELS[:400]), num_boost_round=5)
    return booster.predict(xgb.DMatrix(ROWS[400:]))


def failure(base: Path) -> str:
    return (base / "output" / "failure").read_text()


def test_a_job_trains_what_plain_xgboost_does(tmp_path: Path) -> None:
    base = job(tmp_path)
    done = run(base, PROGRAM, "train")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(predictions(base), plain())
    assert "Train matrix has 400 rows and 30 columns" in done.stdout
    assert "Validation matrix has 169 rows" in done.stdout
    assert "\n[4]\ttrain-auc:" in done.stdout
    assert [file.name for file in (base / "model").iterdir()] == ["xgboost-model"]
    assert not (base / "output" / "failure").exists()


def test_libsvm_is_read_where_no_content_type_is_given(tmp_path: Path) -> None:
    rows = zip(LABELS[:400], ROWS[:400], strict=True)
    text = "\n".join(f"{y:g} " + " ".join(f"{i}:{v:.9g}" for i, v in enumerate(row)) for y, row in rows)
    base = job(tmp_path, content_type=None, files={"train": {"train": text}})
    done = run(base, PROGRAM, "train")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(predictions(base), plain())


def test_weights_in_the_second_column(tmp_path: Path) -> None:
    weights = np.where(LABELS[:400] == 1, 3, 1).astype(np.float32)
    files: dict[str, dict[str, str | bytes]] = {"train": {"w.csv": csv_of(ROWS[:400], LABELS[:400], weights)}}
    base = job(tmp_path, {**TEXTS, "csv_weights": "1"}, files=files)
    assert run(base, PROGRAM, "train").returncode == 0
    matrix = xgb.DMatrix(ROWS[:400], label=LABELS[:400], weight=weights)
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, num_boost_round=5)
    np.testing.assert_array_equal(predictions(base), booster.predict(xgb.DMatrix(ROWS[400:])))


def test_a_pipe_is_read(tmp_path: Path) -> None:
    base = job(tmp_path, content_type="application/x-recordio-protobuf", files={"train": {}})
    config = {"train": {"TrainingInputMode": "Pipe", "ContentType": "application/x-recordio-protobuf"}}
    (base / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(config))
    (base / "input" / "data").mkdir(exist_ok=True)
    os.mkfifo(base / "input" / "data" / "train_0")
    with subprocess.Popen([sys.executable, "-m", PROGRAM, "train"], env=environment_of(base)) as process:
        (base / "input" / "data" / "train_0").write_bytes(write_rows(ROWS[:400], LABELS[:400]))
        assert process.wait(60) == 0
    np.testing.assert_array_equal(predictions(base), plain())


@pytest.mark.parametrize(
    ("texts", "content_type", "files", "fragment"),
    [
        ({"objective": "binary:logistic"}, "text/csv", None, "ClientError: Missing required hyperparameter: num_round"),
        ({**TEXTS, "eta": "2"}, "text/csv", None, "ClientError: Hyperparameter eta: value '2' is not allowed; it must"),
        (TEXTS, "application/json", None, "ClientError: Channel train: application/json is not an accepted Content"),
        (TEXTS, "text/csv;label_size=0", None, "ClientError: Channel train: text/csv;label_size=0 is not an accepted"),
        (TEXTS, "text/csv", {"training": {"a": "1,2\n"}}, "ClientError: Missing required channel: train."),
        (TEXTS, "text/csv", {"train": {"a": "1,2\n"}, "validation": {}}, "ClientError: No data in validation channel"),
        (
            TEXTS,
            "text/csv",
            {"train": {"a": "y,x\n1,2\n"}},
            "ClientError: Failed to load csv data of channel train: a, line 1",
        ),
        (
            TEXTS,
            "text/csv",
            {"train": {"a": "7,1\n0,2\n"}},
            "ClientError: Channel train, row 1: label must be in [0,1] for",
        ),
    ],
)
def test_what_the_user_can_put_right_is_reported(
    texts: dict[str, str], content_type: str, files: Any, fragment: str, tmp_path: Path
) -> None:
    base = job(tmp_path, texts, content_type, files)
    done = run(base, PROGRAM, "train")
    assert done.returncode == 1
    assert failure(base).startswith(fragment)
    assert fragment in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((base / "model").iterdir())


def test_anything_else_is_the_algorithms_fault(tmp_path: Path) -> None:
    base = job(tmp_path)
    (base / "model").rmdir()
    (base / "model").write_text("no folder")
    done = run(base, PROGRAM, "train")
    assert done.returncode == 1
    assert failure(base).startswith("AlgorithmError: FileExistsError: ")
    assert "Traceback" in done.stderr


def test_a_stopped_job_leaves_its_model_and_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
    base = job(tmp_path, {**TEXTS, "num_round": "1000000"}, checkpointconfig=checkpoint)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", PROGRAM, "train"], env=environment_of(base), stdout=output)
    try:
        until(lambda: b"\n[20]\t" in log.read_bytes(), "the twentieth round")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    rounds = model.load(base / "model" / "xgboost-model").num_boosted_rounds()
    assert rounds > 20
    again = job(tmp_path, {**TEXTS, "num_round": str(rounds + 2)}, checkpointconfig=checkpoint)
    done = run(again, PROGRAM, "train")
    assert done.returncode == 0, done.stderr
    assert f"Training 2 rounds of binary:logistic\n[{rounds}]\ttrain-auc:" in done.stdout
    assert model.load(base / "model" / "xgboost-model").num_boosted_rounds() == rounds + 2


def test_hosts_train_one_model_together(tmp_path: Path) -> None:
    """Three hosts, each with a part of the rows, the last with none: as one host with all rows."""
    hosts = ["algo-1", "algo-2", "algo-3"]
    parts = [slice(0, 400, 2), slice(1, 400, 2), slice(0, 0)]
    texts = {**TEXTS, "eval_metric": "auc,accuracy"}
    bases = []
    for host, part in zip(hosts, parts, strict=True):
        train = {"t.csv": csv_of(ROWS[part], LABELS[part])} if len(LABELS[part]) else {}
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
        bases.append(job(tmp_path / host, texts, files={"train": train}, resourceconfig=resources))
    command = [sys.executable, "-m", PROGRAM, "train"]
    processes = [
        subprocess.Popen(
            command,
            env=environment_of(base, TRAINING_JOB_NAME=f"together-{os.getpid()}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for base in bases
    ]
    try:
        logs = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0, 0], logs
    assert [[file.name for file in (base / "model").iterdir()] for base in bases] == [["xgboost-model"], [], []]
    assert logs[0].count("\ttrain-auc:") == 5
    assert "[0]" not in logs[1]
    assert "takes no part" in logs[2]
    together = predictions(bases[0])
    np.testing.assert_allclose(together, plain(), atol=0.15)  # the cuts come from merged sketches
    assert ((together > 0.5) == LABELS[400:]).mean() > 0.9

    all_rows = xgb.DMatrix(ROWS[:400], label=LABELS[:400])
    booster = model.load(bases[0] / "model" / "xgboost-model")
    accuracy = ((booster.predict(all_rows) > 0.5) == LABELS[:400]).mean()
    assert logs[0].rstrip().split("train-accuracy:")[-1].startswith(f"{accuracy:.5f}")


def test_no_host_has_data(tmp_path: Path) -> None:
    resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    base = job(tmp_path, files={"train": {}}, resourceconfig=resources)
    assert run(base, PROGRAM, "train").returncode == 1
    assert failure(base).startswith("ClientError: No data in train channel path ")


def test_a_job_that_names_a_script_runs_it(tmp_path: Path) -> None:
    base = job(
        tmp_path, {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"/opt/ml/code"', "depth": "3"}
    )
    (base / "code").mkdir()
    (base / "code" / "train.py").write_text(
        "import os, sys, xgboost.sklearn\n"
        "print('script', sys.argv[1:], os.environ['SM_FRAMEWORK_MODULE'], xgboost.sklearn.XGBClassifier.__name__)\n"
    )
    done = run(base, PROGRAM, "train")
    assert done.returncode == 0, done.stderr
    assert "script ['--depth', '3'] sagemaker_xgboost_container.training:main XGBClassifier" in done.stdout


def test_a_trained_model_is_served(tmp_path: Path) -> None:
    base = job(tmp_path)
    assert run(base, PROGRAM, "train").returncode == 0
    with started(["-m", PROGRAM, "serve"], base) as host:
        assert host.ping().status == 200
        response = host.invoke(csv_of(ROWS[400:]).encode(), content_type="text/csv")
        assert response.status == 200
        assert response.content_type == "text/csv; charset=utf-8"
        np.testing.assert_array_equal([np.float32(line) for line in response.text.split()], predictions(base))
        response = host.invoke(csv_of(ROWS[:1]).encode(), content_type="text/csv", accept="application/json")
        assert list(json.loads(response.text)["predictions"][0]) == ["score"]
        assert host.invoke(b"", content_type="text/csv").status == 204
        assert host.invoke(b"1,2", content_type="text/csv").status == 400
        assert host.invoke(b"{}", content_type="application/json").status == 415
        parameters = json.loads(host.invoke(path="/execution-parameters", method="GET").text)
        assert parameters["BatchStrategy"] == "MULTI_RECORD"
        assert host.end() in (0, -signal.SIGTERM)


def test_a_broken_model_is_reported_in_the_log(tmp_path: Path) -> None:
    base = job(tmp_path)
    (base / "model" / "xgboost-model").write_bytes(b"")
    with started(["-m", PROGRAM, "serve"], base) as host:
        assert host.process.wait(30) == 1
        assert "xgboost-model is not a model of XGBoost" in host.log.read_text()


def test_a_script_serves_its_own_model(tmp_path: Path) -> None:
    base = job(tmp_path)
    model.save(xgb.train({}, xgb.DMatrix(ROWS, label=LABELS), num_boost_round=2), base / "model" / "mine.ubj")
    (base / "model" / "code").mkdir()
    (base / "model" / "code" / "inference.py").write_text(
        "import os, xgboost\n"
        "def model_fn(model_dir):\n"
        "    return xgboost.Booster(model_file=os.path.join(model_dir, 'mine.ubj'))\n"
    )
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    with started(["-m", PROGRAM, "serve"], base, **environment) as host:
        response = host.invoke(csv_of(ROWS[:2]).encode(), content_type="text/csv")
        booster = model.load(base / "model" / "mine.ubj")
        np.testing.assert_allclose(json.loads(response.text), booster.predict(xgb.DMatrix(ROWS[:2])), rtol=1e-6)


def test_a_wrong_command_line_prints_the_usage(tmp_path: Path) -> None:
    done = run(tmp_path, PROGRAM, "test")
    assert done.returncode == 2
    assert "train|serve" in done.stderr
