from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from clary.compute.environment import (
    HostPaths,
    Ports,
    at_base,
    container_environment,
    host_gpus,
    process_environment,
)
from clary.compute.plan import Container, Plan, Platform, Process
from clary.core.tasks import Resources, Serve, Task

PLATFORM = Platform(
    logs="/home/logs",
    events_socket="/home/run/events.sock",
    endpoint_url="http://127.0.0.1:8721",
    s3_endpoint_url="http://127.0.0.1:8723",
    s3_folder="/home/s3",
    access_key_id="AKIACONTROL",
    secret_access_key="control",
    s3_access_key_id="",
    s3_secret_access_key="",
    region="eu-west-1",
    account_id="000000000000",
)
PLAN = Plan(Process(("python", "-m", "x"), "/rt/bin/python", {"RUNTIME": "1"}, "bubblewrap"), PLATFORM)
OPT = HostPaths("/opt/ml", "/t/venv", "/t/home", "/tmp")
HYPERPARAMETERS = {"alpha": "0.5", "b": '"x y"', "batch-size": "[1, 2]", "sagemaker_program": '"train.py"'}


def a_task(**changes: Any) -> Task:
    files = {
        "input/config/hyperparameters.json": json.dumps(HYPERPARAMETERS),
        "input/config/inputdataconfig.json": json.dumps({"train": {}, "a.b": {}}),
    }
    host_files = {
        "input/config/resourceconfig.json": json.dumps(
            {
                "current_host": "{host}",
                "current_instance_type": "ml.m5.xlarge",
                "current_group_name": "homogeneousCluster",
                "hosts": ["algo-1", "algo-2"],
                "instance_groups": [
                    {
                        "instance_group_name": "homogeneousCluster",
                        "instance_type": "ml.m5.xlarge",
                        "hosts": ["algo-1", "algo-2"],
                    }
                ],
                "network_interface_name": "{network_interface}",
            }
        )
    }
    task = Task("t", ("training-job", "n", "u"), "image", hosts=("algo-1", "algo-2"), files=files)
    return replace(task, **{"host_files": host_files, "resources": Resources(3.5), **changes})


def environment(
    task: Task | None = None, plan: Plan = PLAN, paths: HostPaths = OPT, **inherited: str
) -> dict[str, str]:
    return process_environment(task or a_task(), plan, "algo-2", paths, None, inherited)


def test_nothing_of_the_servers_own_is_handed_on() -> None:
    made = environment(
        PATH="/bin", LANG="C.UTF-8", LC_TIME="de_DE", TZ="UTC", AWS_PROFILE="mine", CLARY_HOME="/h", PYTHONPATH="/p",
        SECRET="s",
    )  # fmt: skip
    assert made["PATH"] == "/t/venv/bin:/rt/bin:/bin"
    assert (made["LANG"], made["LC_TIME"], made["TZ"], made["HOME"]) == ("C.UTF-8", "de_DE", "UTC", "/t/home")
    assert not {"AWS_PROFILE", "CLARY_HOME", "PYTHONPATH", "SECRET", "NO_PROXY"} & made.keys()


def test_a_proxy_does_not_stand_before_the_platform() -> None:
    made = environment(HTTPS_PROXY="http://proxy:3128", NO_PROXY="corp")
    assert made["HTTPS_PROXY"] == "http://proxy:3128"
    assert made["NO_PROXY"] == "corp,localhost,127.0.0.1"
    assert made["no_proxy"] == "localhost,127.0.0.1"


def test_the_platforms_endpoints_are_in_the_environment() -> None:
    made = environment()
    assert made["AWS_REGION"] == made["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert made["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:8723"
    assert (made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"]) == ("AKIACONTROL", "control")
    assert (made["RUNTIME"], made["PYTHONUNBUFFERED"], made["OMP_NUM_THREADS"]) == ("1", "1", "4")


def test_an_s3_of_its_own_has_keys_of_its_own() -> None:
    platform = replace(PLATFORM, s3_access_key_id="AKIAS3", s3_secret_access_key="s3")
    made = environment(plan=replace(PLAN, platform=platform))
    assert (made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"]) == ("AKIAS3", "s3")


def test_an_isolated_program_gets_no_keys() -> None:
    made = environment(a_task(isolated=True))
    assert made["AWS_REGION"] == "eu-west-1"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} & made.keys()


def test_scripts_find_what_the_toolkit_would_set() -> None:
    made = environment()
    assert made["SM_HPS"] == '{"alpha": 0.5, "b": "x y", "batch-size": [1, 2]}'
    assert (made["SM_HP_ALPHA"], made["SM_HP_B"], made["SM_HP_BATCH-SIZE"]) == ("0.5", "x y", "[1, 2]")
    assert json.loads(made["SM_USER_ARGS"]) == ["--alpha", "0.5", "-b", "x y", "--batch-size", "[1, 2]"]
    assert (made["SM_USER_ENTRY_POINT"], made["SM_MODULE_NAME"]) == ("train.py", "train")
    assert json.loads(made["SM_CHANNELS"]) == ["a.b", "train"]
    assert (made["SM_CHANNEL_TRAIN"], made["SM_CHANNEL_A.B"]) == ("/opt/ml/input/data/train", "/opt/ml/input/data/a.b")
    assert (made["SM_CURRENT_HOST"], made["SM_HOSTS"]) == ("algo-2", '["algo-1", "algo-2"]')
    assert json.loads(made["SM_CURRENT_INSTANCE_GROUP_HOSTS"]) == ["algo-1", "algo-2"]
    assert json.loads(made["SM_RESOURCE_CONFIG"])["current_host"] == "algo-2"
    assert made["SM_NETWORK_INTERFACE_NAME"] == json.loads(made["SM_RESOURCE_CONFIG"])["network_interface_name"] == "lo"
    assert json.loads(made["SM_TRAINING_ENV"])["hps"]["alpha"] == 0.5


@pytest.mark.parametrize(
    "hyperparameters", [{"a=b": "1"}, {"a\0": "1"}, {"\ud800": "1"}, {f"k{i}": "v" * 2500 for i in range(100)}]
)
def test_what_the_kernel_would_not_take_is_left_out(hyperparameters: dict[str, str]) -> None:
    files = {"input/config/hyperparameters.json": json.dumps(hyperparameters)}
    made = environment(a_task(files=files))
    assert made["SM_CURRENT_HOST"] == "algo-2"
    for name, value in made.items():
        assert "=" not in name
        assert "\0" not in name
        assert len(f"{name}={value}".encode()) < 128 << 10


def test_the_requests_environment_wins_but_for_what_belongs_to_others() -> None:
    task = a_task(environment={"SM_HPS": "{}", "PATH": "/mine", "CUDA_VISIBLE_DEVICES": "0,1,2,3"})
    made = environment(task, replace(PLAN, gpus=(4, 5)))
    assert (made["SM_HPS"], made["PATH"], made["CUDA_VISIBLE_DEVICES"]) == ("{}", "/mine", "5")


def test_each_host_has_its_own_accelerators() -> None:
    plan = replace(PLAN, gpus=(2, 3, 6, 7))
    assert host_gpus(a_task(), plan, "algo-1") == (2, 3)
    assert host_gpus(a_task(), plan, "algo-2") == (6, 7)
    assert environment(plan=plan)["SM_NUM_GPUS"] == "2"
    assert environment()["CUDA_VISIBLE_DEVICES"] == ""


def test_without_opt_ml_paths_are_those_of_the_folder_in_its_place() -> None:
    paths = HostPaths("/data/ml", "/t/venv", "/t/home", "/t/tmp")
    task = a_task(environment={"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code", "OTHER": "/opt/mlflow"})
    made = environment(task, paths=paths)
    assert made["SAGEMAKER_BASE_DIR"] == "/data/ml"
    assert made["SM_CHANNEL_TRAIN"] == "/data/ml/input/data/train"
    assert (made["SAGEMAKER_SUBMIT_DIRECTORY"], made["OTHER"]) == ("/data/ml/model/code", "/opt/mlflow")


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("chmod +x /opt/ml/input/data/sm_drivers/sm_train.sh", "chmod +x /B/input/data/sm_drivers/sm_train.sh"),
        ("cd '/opt/ml'", "cd '/B'"),
        ("/opt/ml:/opt/ml/code", "/B:/B/code"),
        ("/data/opt/ml", "/data/opt/ml"),
        ("/opt/mlx", "/opt/mlx"),
    ],
)
def test_paths_move_to_the_base_folder(text: str, moved: str) -> None:
    assert at_base(text, "/B") == moved


PROCESSING = {
    "ProcessingInputs": [
        {"InputName": "raw data", "S3Input": {"LocalPath": "/opt/ml/processing/in"}},
        {"InputName": "own", "AppManaged": True, "S3Input": {"S3Uri": "s3://b/own"}},
        {"InputName": "a=b", "S3Input": {"LocalPath": "/opt/ml/processing/c"}},
    ],
    "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": {"LocalPath": "/opt/ml/processing/out"}}]},
}


@pytest.mark.parametrize(("paths", "base"), [(OPT, "/opt/ml"), (HostPaths("/t/ml", "/t/v", "/t/h", "/t/t"), "/t/ml")])
def test_a_processing_jobs_program_finds_its_folders_and_hosts(paths: HostPaths, base: str) -> None:
    task = Task(
        "t", ("processing-job", "n", "u"), "", hosts=("algo-1", "algo-2"), layout="processing",
        files={"config/processingjobconfig.json": json.dumps(PROCESSING)},
        host_files={"config/resourceconfig.json": '{"current_host": "{host}", "hosts": ["algo-1", "algo-2"]}'},
    )  # fmt: skip
    found = environment(task, paths=paths)
    assert found["SM_PROCESSING_INPUT_RAW DATA"] == f"{base}/processing/in"
    assert found["SM_PROCESSING_OUTPUT_OUT"] == f"{base}/processing/out"
    assert (found["SM_CURRENT_HOST"], json.loads(found["SM_HOSTS"])) == ("algo-2", ["algo-1", "algo-2"])
    assert found["SM_OUTPUT_DIR"] == f"{base}/output"
    assert json.loads(found["SM_RESOURCE_CONFIG"])["current_host"] == "algo-2"
    assert found.get("SAGEMAKER_BASE_DIR") == (None if paths is OPT else base)
    other = {"SM_PROCESSING_INPUT_OWN", "SM_PROCESSING_INPUT_A=B", "SM_MODEL_DIR", "SM_CHANNELS", "SM_TRAINING_ENV"}
    assert not other & set(found)


def test_a_replica_knows_its_port() -> None:
    task = a_task(serve=Serve(), hosts=("algo-1",), environment={"SAGEMAKER_BIND_TO_PORT": "8080"})
    made = process_environment(task, PLAN, "algo-1", OPT, Ports(20010, (20011, 20019)), {})
    assert (made["SAGEMAKER_BIND_TO_PORT"], made["SAGEMAKER_SAFE_PORT_RANGE"]) == ("20010", "20011-20019")
    assert made["SM_MODEL_DIR"] == "/opt/ml/model"
    assert "SM_HPS" not in made


def test_a_containers_toolkit_sets_its_own_variables() -> None:
    plan = replace(PLAN, execution=Container(("podman",), (), "image", None, None), gpus=(1, 2))
    made = container_environment(a_task(environment={"X": "1"}), plan, "algo-1", None)
    assert (made["X"], made["AWS_REGION"], made["CLARY_TASK_ID"]) == ("1", "eu-west-1", "t")
    assert not [name for name in made if name.startswith("SM_")]
    assert not {"PATH", "HOME", "CUDA_VISIBLE_DEVICES"} & made.keys()
