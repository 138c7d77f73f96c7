"""Deployments: an endpoint's own copy of its configuration and models, and the replicas it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.core.facts import Facts
from clary.core.instances import resources_for
from clary.core.records import Record, Ref
from clary.core.tasks import Resources, Serve, Task
from clary.resources import checks, endpoint_configs, models
from clary.resources.context import Context
from clary.resources.endpoints import pipelines
from clary.resources.endpoints.state import Container, Deployment, ModelData, Variant
from clary.resources.operations import find

# A container that is not healthy within 4 minutes makes the endpoint fail.
STARTUP_TIMEOUT_S = 240
# Between a replica's SIGTERM and its SIGKILL.
STOP_GRACE_S = 30


async def records_of(context: Context, config_name: str) -> list[Record]:
    """A configuration and its models. Raises ValidationException where one of them does not exist."""
    config = await find(context, Ref(endpoint_configs.KIND, config_name), endpoint_configs.MISSING)
    names = dict.fromkeys(variant["ModelName"] for variant in config.spec["ProductionVariants"])
    return [config, *[await find(context, Ref(models.KIND, name), models.MISSING) for name in names]]


def new_deployment(config_name: str, number: int, facts: Facts) -> Deployment:
    """A copy of a configuration with its models, which are among `facts.records`."""
    config = facts.records[Ref(endpoint_configs.KIND, config_name)]
    return Deployment(
        number=number,
        config_name=config_name,
        started_at=facts.now.timestamp(),
        variants=tuple(_variant(variant, facts) for variant in config.spec["ProductionVariants"]),
    )


def _variant(variant: Mapping[str, Any], facts: Facts) -> Variant:
    settings = facts.settings
    model = facts.records[Ref(models.KIND, variant["ModelName"])]
    containers = tuple(
        Container(name, definition["Image"], definition.get("Environment", {}), _model_data(definition))
        for name, definition in models.containers_of(model).items()
    )
    instance, _ = resources_for(variant["InstanceType"], facts.machine)
    return Variant(
        name=variant["VariantName"],
        containers=containers,
        # CPUs and memory are the settings', whatever the instance type; accelerators are the type's, and never shared.
        resources=Resources(settings.replica_cpus, settings.replica_memory_mib, instance.gpus, instance.accelerator),
        count=variant["InitialInstanceCount"],
        weight=endpoint_configs.weight_of(variant),
        startup_timeout_s=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S),
        fused=len(containers) > 1 and pipelines.fusible(containers, settings),
        isolated=model.spec.get("EnableNetworkIsolation", False),
    )


def _model_data(container: Mapping[str, Any]) -> ModelData | None:
    """Where the model of a container definition lies, None where it has none."""
    uri, is_prefix = checks.model_location(container)
    if not uri:
        return None
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return ModelData(uri, is_archive=not is_prefix and source.get("CompressionType", "Gzip") == "Gzip")


def replica_task(endpoint: Record, task_id: str, variant: Variant) -> Task:
    """A replica of a variant as a task."""
    serial = task_id.rpartition("-")[2]
    container = pipelines.pipeline_container(variant.containers[0])
    task = Task(
        id=task_id,
        owner=(endpoint.kind, endpoint.name, endpoint.uid),
        image=container.image,
        command="serve",
        environment=container.environment,
        inputs=container.inputs,
        resources=variant.resources,
        log_group=f"/aws/sagemaker/Endpoints/{endpoint.name}",
        log_stream=f"{variant.name}/{endpoint.uid}-{serial}",
        grace_s=STOP_GRACE_S,
        serve=Serve(startup_timeout_s=variant.startup_timeout_s),
        queued_at=endpoint.created.timestamp(),
        isolated=variant.isolated,
    )
    return pipelines.as_pipeline(task, variant) if len(variant.containers) > 1 else task
