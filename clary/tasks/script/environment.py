"""The SM_* variables and the arguments that a script gets."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from clary.tasks import hardware, paths
from clary.tasks.failure import ClientError
from clary.tasks.script.configuration import PREFIX, TOOLKIT, Configuration

# Of one argument or variable, for Linux (MAX_ARG_STRLEN).
LONGEST = 128 * 1024 - 1

# Members of SM_TRAINING_ENV that are variables of their own, too.
VARIABLES = """
    hosts current_host network_interface_name resource_config input_data_config topology log_level
    current_instance_type current_instance_group current_instance_group_hosts instance_groups instance_groups_dict
    distribution_instance_groups is_hetero user_entry_point module_name module_dir framework_module
    input_dir input_config_dir output_dir output_data_dir output_intermediate_dir model_dir
    num_cpus num_gpus num_neurons
"""

DISTRIBUTED = (
    "mpi_enabled",
    "parameter_server_enabled",
    "distributed_dataparallel_enabled",
    "pytorch_ddp_enabled",
    "pytorch_xla_multi_worker_enabled",
    "multi_worker_mirrored_strategy_enabled",
)


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """`--key value` pairs by key, `-k value` for a key of one letter; a mapping becomes `a=1,b=2`."""
    pairs: list[str] = []
    for key in sorted(hyperparameters):
        value = hyperparameters[key]
        if isinstance(value, dict):
            value = ",".join(f"{name}={value[name]}" for name in sorted(value))
        text = "" if value is None else str(value)
        if "\0" in key + text or len(text.encode(errors="surrogatepass")) > LONGEST:
            raise ClientError(f"hyperparameter {key!r} cannot be an argument: it holds a NUL character or is too long.")
        pairs += [f"--{key}" if len(key) > 1 else f"-{key}", text]
    return pairs


def variables(job: Configuration, framework_module: str = "") -> dict[str, str]:
    """SM_* and what AWS's toolkit sets beside them."""
    members = describe(job, framework_module)
    named = {
        **{key: members[key] for key in VARIABLES.split()},
        "hps": members["hyperparameters"],
        "channels": sorted(members["channel_input_dirs"]),
        "framework_params": members["additional_framework_parameters"],
        "user_args": arguments(job.hyperparameters),
        "training_env": members,
        **{f"channel_{name}": path for name, path in members["channel_input_dirs"].items()},
        **{f"hp_{name}": value for name, value in job.hyperparameters.items()},
    }
    texts = {f"SM_{name.upper()}": _text(value) for name, value in named.items()}
    texts["CURRENT_HOST"] = members["current_host"]
    texts["SAGEMAKER_JOB_NAME"] = _text(job.settings.get(f"{PREFIX}job_name"))
    texts["SAGEMAKER_REGION"] = _text(job.settings.get(f"{PREFIX}region") or os.environ.get("AWS_REGION"))
    return {name: text for name, text in texts.items() if _fits(name, text)}


def describe(job: Configuration, framework_module: str) -> dict[str, Any]:
    """The job, as SM_TRAINING_ENV describes it."""
    resources = job.resources
    group = resources.get("current_group_name", "homogeneousCluster")
    groups = {item["instance_group_name"]: item for item in resources.get("instance_groups", [])}
    distributed = any(job.settings.get(PREFIX + name) for name in DISTRIBUTED)
    distribution_groups = job.settings.get(f"{PREFIX}distribution_instance_groups", [group] if distributed else [])
    distribution_hosts = [host for name in groups if name in distribution_groups for host in groups[name]["hosts"]]
    if not groups:
        distribution_hosts = list(resources["hosts"])
    master = (distribution_hosts or resources["hosts"])[0]
    output = paths.output_dir()
    return {
        "additional_framework_parameters": {key: job.settings[key] for key in job.settings if key not in TOOLKIT},
        "channel_input_dirs": {name: str(paths.data_dir() / name) for name in job.channels},
        "current_host": resources["current_host"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups.get(group, {}).get("hosts", []),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_hosts": distribution_hosts,
        "distribution_instance_groups": distribution_groups,
        "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE") or framework_module,
        "hosts": resources["hosts"],
        "hyperparameters": job.hyperparameters,
        "input_config_dir": str(paths.config_dir()),
        "input_data_config": job.channels,
        "input_dir": str(paths.config_dir().parent),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_master": resources["current_host"] == master,
        "job_name": os.environ.get("TRAINING_JOB_NAME") or job.settings.get(f"{PREFIX}job_name"),
        "log_level": job.settings.get(f"{PREFIX}container_log_level", 20),
        "master_hostname": master,
        "model_dir": str(paths.model_dir()),
        "module_dir": job.submit_directory,
        "module_name": job.program.removesuffix(".py"),
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": _number("SM_NUM_CPUS", hardware.cpus),
        "num_gpus": _number("SM_NUM_GPUS", hardware.gpus),
        "num_neurons": 0,
        "output_data_dir": str(output / "data"),
        "output_dir": str(output),
        "output_intermediate_dir": str(output / "intermediate"),
        "resource_config": resources,
        "topology": resources.get("topology"),
        "user_entry_point": job.program,
    }


def _number(name: str, available: Callable[[], int]) -> int:
    granted = hardware.granted(name)
    return available() if granted is None else granted


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _fits(name: str, text: str) -> bool:
    if len(name) + 1 + len(text.encode(errors="surrogatepass")) <= LONGEST and "\0" not in text + name:
        return True
    print(f"{name} is left out: it is too long for a variable, or holds a NUL character.", file=sys.stderr)
    return False
