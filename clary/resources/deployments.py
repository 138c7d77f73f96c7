"""Deployments: an endpoint's own copy of its configuration and models, and the replicas it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clary.core.facts import Facts
from clary.core.instances import resources_for
from clary.core.records import JSON, Record, Ref
from clary.core.tasks import Input, Resources, Serve, Task
from clary.resources import checks, endpoint_configs, models, pipelines
from clary.resources.common import find
from clary.resources.context import Context

# A container that is not healthy within 4 minutes makes the endpoint fail.
STARTUP_TIMEOUT_S = 240
# A replica is told to end by SIGTERM and has so long until SIGKILL.
STOP_GRACE_S = 30


async def records_of(context: Context, config_name: str) -> list[Record]:
    """A configuration and its models. Raises ValidationException where one of them does not exist."""
    config = await find(context, endpoint_configs.KIND, config_name, endpoint_configs.MISSING)
    names = dict.fromkeys(variant["ModelName"] for variant in config.spec["ProductionVariants"])
    return [config, *[await find(context, models.KIND, name, models.MISSING) for name in names]]


def new_deployment(config_name: str, number: int, facts: Facts) -> dict[str, JSON]:
    """A copy of a configuration with its models, which are among `facts.records`."""
    config = facts.records[Ref(endpoint_configs.KIND, config_name)]
    return {
        "number": number,
        "name": config_name,
        "started": facts.now.timestamp(),
        "variants": [_variant(variant, facts) for variant in config.spec["ProductionVariants"]],
    }


def _variant(variant: Mapping[str, Any], facts: Facts) -> dict[str, JSON]:
    model = facts.records[Ref(models.KIND, variant["ModelName"])]
    containers = [_container(name, one) for name, one in models.containers_of(model).items()]
    held, _ = resources_for(variant["InstanceType"], facts.machine)
    settings = facts.settings
    replica = Resources(settings.replica_cpus, settings.replica_memory_mib, held.gpus, held.accelerator)
    return {
        "name": variant["VariantName"],
        **{key: containers[0][key] for key in ("image", "environment", "model")},
        "containers": containers,
        "fused": len(containers) > 1 and pipelines.fusible(containers, settings),
        "isolated": model.spec.get("EnableNetworkIsolation", False),
        "resources": asdict(replica),
        "count": variant["InitialInstanceCount"],
        "weight": endpoint_configs.weight_of(dict(variant)),
        "startup_timeout_s": variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S),
    }


def _container(name: str, container: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "image": container["Image"],
        "environment": container.get("Environment", {}),
        "model": _model_input(container),
    }


def _model_input(container: Mapping[str, Any]) -> dict[str, JSON] | None:
    """The model data as an Input, None where the container has none."""
    uri, is_prefix = checks.model_location(container)
    if not uri:
        return None
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    packed = not is_prefix and source.get("CompressionType", "Gzip") == "Gzip"
    return asdict(Input("archive" if packed else "prefix", uri, "model", writable=False))


def replica_task(endpoint: Record, task_id: str, variant: Mapping[str, Any]) -> Task:
    """One replica of a variant as a task."""
    serial = task_id.rpartition("-")[2]
    link = pipelines.link_of(variant)
    task = Task(
        id=task_id,
        owner=(endpoint.kind, endpoint.name, endpoint.uid),
        image=link.image,
        command="serve",
        environment=link.environment,
        inputs=link.inputs,
        resources=Resources(**variant["resources"]),
        log_group=f"/aws/sagemaker/Endpoints/{endpoint.name}",
        log_stream=f"{variant['name']}/{endpoint.uid}-{serial}",
        grace_s=STOP_GRACE_S,
        serve=Serve(startup_timeout_s=variant["startup_timeout_s"]),
        queued_at=endpoint.created.timestamp(),
        isolated=variant["isolated"],
    )
    containers = variant.get("containers", ())  # endpoints made before there were pipelines do not have them
    return pipelines.as_pipeline(task, containers, fused=variant["fused"]) if len(containers) > 1 else task
