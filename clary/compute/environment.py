"""The environment a task's program sees: what the platform sets, what bare scripts expect, what the request asked for.

Of the server's own environment only the variables of programs, languages, packages and proxies are handed on.
Reference: "How Amazon SageMaker Runs Your Training Image" (SageMaker Developer Guide); the SM_* names are those of the
SageMaker training toolkit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.compute.plan import Container, Plan, Process
from clary.core.s3_clients import CLIENT_ENVIRONMENT
from clary.core.tasks import Task

OPT_ML = "/opt/ml"
# All hosts of a task are on this machine: this is the address that programs answer at, and the interface over which
# the hosts reach each other (NCCL, Gloo and MPI bind to it).
LOOPBACK = "127.0.0.1"
NETWORK_INTERFACE = "lo"
CONTAINER_PORT = 8080
TASK_VARIABLE = "CLARY_TASK_ID"  # by which processes that a dead supervisor left running are found

_INHERITED = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    | {"CURL_CA_BUNDLE", "PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"}
    | {"PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_RETRIES", "PIP_DEFAULT_TIMEOUT"}
    | {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
)
_OPT_ML_PATH = re.compile(r"(?<![\w.-])/opt/ml(?![\w.-])")
_LONGEST_VARIABLE = 128 << 10
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class HostPaths:
    """A host's own folders, as its program sees them.

    base   /opt/ml, or the folder that stands for it
    venv   its own Python environment: installs go there
    """

    base: str
    venv: str
    home: str
    tmp: str


@dataclass(frozen=True, slots=True)
class Ports:
    """Of a replica: the port it answers on, and the range it may use for itself."""

    bind: int
    safe: tuple[int, int]


def process_environment(
    task: Task, plan: Plan, host: str, paths: HostPaths, ports: Ports | None, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a program of this machine."""
    assert isinstance(plan.execution, Process)
    environment = {name: value for name, value in inherited.items() if _is_inherited(name)}
    environment |= _reach_loopback_directly(environment)
    path = [f"{paths.venv}/bin", _folder(plan.execution.python), environment.get("PATH") or _DEFAULT_PATH]
    environment |= {
        "PATH": ":".join(path),
        "VIRTUAL_ENV": paths.venv,
        "HOME": paths.home,
        "TMPDIR": paths.tmp,
        "OMP_NUM_THREADS": str(_whole_cpus(task)),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    environment |= (
        _platform_variables(task, plan) | plan.execution.environment | _toolkit_variables(task, plan, host, paths.base)
    )
    if paths.base == OPT_ML:
        return environment | dict(task.environment) | _reserved_variables(task, plan, host, ports)
    requested = {name: at_base(value, paths.base) for name, value in task.environment.items()}
    return environment | requested | _reserved_variables(task, plan, host, ports) | {"SAGEMAKER_BASE_DIR": paths.base}


def container_environment(task: Task, plan: Plan, host: str, ports: Ports | None) -> dict[str, str]:
    """What is added to the image's own environment. SM_* variables are its toolkit's to set."""
    assert isinstance(plan.execution, Container)
    return _platform_variables(task, plan) | dict(task.environment) | _reserved_variables(task, plan, host, ports)


def host_gpus(task: Task, plan: Plan, host: str) -> tuple[int, ...]:
    """The accelerators of one host: the plan's are those of all together; the hosts of a pipeline share them."""
    if task.pipeline:
        return plan.gpus
    each = len(plan.gpus) // len(task.hosts)
    first = each * task.hosts.index(host)
    return plan.gpus[first : first + each]


def for_host(text: str, host: str) -> str:
    """A file of Task.host_files, as this host gets it."""
    return text.replace("{host}", host).replace("{network_interface}", NETWORK_INTERFACE)


def at_base(text: str, base: str) -> str:
    """A path or command with another folder in place of /opt/ml."""
    return _OPT_ML_PATH.sub(lambda _: base, text)


def _is_inherited(name: str) -> bool:
    return name in _INHERITED or name.startswith("LC_")


def _reach_loopback_directly(environment: Mapping[str, str]) -> dict[str, str]:
    """A proxy is for the world outside: the platform's own services are on this machine."""
    if not any(name.lower().endswith("_proxy") for name in environment):
        return {}
    own = f"localhost,{LOOPBACK}"
    return {name: ",".join(filter(None, (environment.get(name), own))) for name in ("NO_PROXY", "no_proxy")}


def _platform_variables(task: Task, plan: Plan) -> dict[str, str]:
    """Region, endpoints, keys. A program without a network has no use for keys, and AWS gives it none either."""
    platform = plan.platform
    common = {
        "AWS_REGION": platform.region,
        "AWS_DEFAULT_REGION": platform.region,
        "SAGEMAKER_REGION": platform.region,
        "PYTHONUNBUFFERED": "1",
    }
    if task.isolated:
        return common
    return common | {
        **(CLIENT_ENVIRONMENT if platform.s3_folder else {}),
        "AWS_ENDPOINT_URL": platform.endpoint_url,
        "AWS_ENDPOINT_URL_S3": platform.s3_endpoint_url,
        # All of boto3's clients share one pair of keys, and programs call S3.
        "AWS_ACCESS_KEY_ID": platform.s3_access_key_id or platform.access_key_id,
        "AWS_SECRET_ACCESS_KEY": platform.s3_secret_access_key or platform.secret_access_key,
    }


def _reserved_variables(task: Task, plan: Plan, host: str, ports: Ports | None) -> dict[str, str]:
    """What no request may change: it would take another task's accelerator or port."""
    fixed = {TASK_VARIABLE: task.id, "CUDA_VISIBLE_DEVICES": ",".join(map(str, host_gpus(task, plan, host)))}
    if isinstance(plan.execution, Container) and plan.gpus:
        del fixed["CUDA_VISIBLE_DEVICES"]  # inside, the devices it was given are numbered from zero
    if ports:
        fixed |= {
            "SAGEMAKER_BIND_TO_PORT": str(ports.bind),
            "SAGEMAKER_SAFE_PORT_RANGE": f"{ports.safe[0]}-{ports.safe[1]}",
        }
    return fixed


def _toolkit_variables(task: Task, plan: Plan, host: str, base: str) -> dict[str, str]:
    """SM_* as AWS's training toolkit sets them, for scripts that run without it; a processing job's are our own."""
    known: dict[str, Any] = {
        "output_dir": f"{base}/output",
        "num_cpus": _whole_cpus(task),
        "num_gpus": len(host_gpus(task, plan, host)),
        "num_neurons": 0,
    }
    if task.layout == "processing":
        known |= _processing_values(task, host, base)
    else:
        known |= {
            "model_dir": f"{base}/model",
            "input_dir": f"{base}/input",
            "input_config_dir": f"{base}/input/config",
            "output_data_dir": f"{base}/output/data",
            "output_intermediate_dir": f"{base}/output/intermediate",
        }
        if task.serve is None:
            known |= _training_values(task, host, base)
            known["training_env"] = dict(known)
    made = {f"SM_{name.upper()}": _text(value) for name, value in known.items()}
    return {name: value for name, value in made.items() if _fits(name, value)}


def _processing_values(task: Task, host: str, base: str) -> dict[str, Any]:
    """Who the host is; each input's and output's folder as SM_PROCESSING_INPUT_<NAME>, SM_PROCESSING_OUTPUT_<NAME>."""
    request = _config(task, "config/processingjobconfig", host)
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", ())
    given = [("input", item["InputName"], item["S3Input"]) for item in request.get("ProcessingInputs", ())]
    given += [("output", item["OutputName"], item["S3Output"]) for item in outputs]
    return {
        **_host_values(_config(task, "config/resourceconfig", host), task, host),
        **{
            f"processing_{kind}_{name}": at_base(location["LocalPath"], base)
            for kind, name, location in given
            if "LocalPath" in location
        },
    }


def _host_values(resources: dict[str, Any], task: Task, host: str) -> dict[str, Any]:
    return {
        "hosts": resources.get("hosts", list(task.hosts)),
        "current_host": host,
        "current_instance_type": resources.get("current_instance_type", "local"),
        "current_instance_group": resources.get("current_group_name", "homogeneousCluster"),
        "network_interface_name": resources.get("network_interface_name", NETWORK_INTERFACE),
        "resource_config": resources,
    }


def _training_values(task: Task, host: str, base: str) -> dict[str, Any]:
    resources = _config(task, "input/config/resourceconfig", host)
    channels = _config(task, "input/config/inputdataconfig", host)
    encoded = _config(task, "input/config/hyperparameters", host)
    hyperparameters = {name: _decoded(value) for name, value in encoded.items()}
    own = {name: value for name, value in hyperparameters.items() if not name.startswith("sagemaker_")}
    framework = {name: value for name, value in hyperparameters.items() if name.startswith("sagemaker_")}
    groups = resources.get("instance_groups", [])
    program = str(framework.get("sagemaker_program", task.environment.get("SAGEMAKER_PROGRAM", "")))
    return {
        **_host_values(resources, task, host),
        "current_instance_group_hosts": next(
            (g["hosts"] for g in groups if g["instance_group_name"] == resources.get("current_group_name")), []
        ),
        "instance_groups": [group["instance_group_name"] for group in groups],
        "instance_groups_dict": {group["instance_group_name"]: group for group in groups},
        "distribution_instance_groups": [],
        "is_hetero": len(groups) > 1,
        "channels": sorted(channels),
        "hps": own,
        "user_args": _arguments(own),
        "user_entry_point": program,
        "module_name": program.removesuffix(".py"),
        "module_dir": str(framework.get("sagemaker_submit_directory", f"{base}/code")),
        "framework_module": task.environment.get("SAGEMAKER_TRAINING_MODULE", ""),
        "framework_params": framework,
        "log_level": framework.get("sagemaker_container_log_level", 20),
        "input_data_config": channels,
        "topology": {},
        **{f"channel_{name}": f"{base}/input/data/{name}" for name in channels},
        **{f"hp_{name}": value for name, value in own.items()},
    }


def _config(task: Task, name: str, host: str) -> dict[str, Any]:
    """A configuration file of the task's, as this host sees it; nothing where it has none."""
    path = f"{name}.json"
    text = for_host(task.host_files[path], host) if path in task.host_files else task.files.get(path, "{}")
    return dict(json.loads(text))


def _decoded(value: Any) -> Any:
    """Script mode's values are JSON inside strings; built-in algorithms' are plain."""
    try:
        return json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return value


def _arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """The script's command line: sorted by name, one letter with one hyphen."""
    return [
        word
        for name in sorted(hyperparameters)
        for word in (f"-{name}" if len(name) == 1 else f"--{name}", _text(hyperparameters[name]))
    ]


def _text(value: Any) -> str:
    # An environment cannot hold a NUL; a JSON string can.
    return (value if isinstance(value, str) else json.dumps(value)).replace("\0", "")


def _fits(name: str, value: str) -> bool:
    """Whether the kernel takes it: a hyperparameter may have any name, and all of them together be long."""
    try:
        size = len(f"{name}={value}".encode())
    except UnicodeEncodeError:
        return False
    return "=" not in name and "\0" not in name and size < _LONGEST_VARIABLE


def _whole_cpus(task: Task) -> int:
    return max(1, math.ceil(task.resources.cpus))


def _folder(program: str) -> str:
    return program.rpartition("/")[0] or "/usr/bin"
