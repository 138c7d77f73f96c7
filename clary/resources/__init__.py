"""The nouns: one family a file. A new one is added to FAMILIES, and that is all."""

from __future__ import annotations

from collections.abc import Mapping

from clary.core.decisions import Family, Operation
from clary.resources import (
    endpoint_configs,
    endpoint_operations,
    endpoints,
    identity,
    logs,
    models,
    processing,
    tags,
    training,
)

FAMILIES: tuple[Family, ...] = (
    training.FAMILY,
    processing.FAMILY,
    models.FAMILY,
    endpoint_configs.FAMILY,
    endpoints.FAMILY,
)

# (service, operation) -> what carries it out
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    **{("sagemaker", name): operation for family in FAMILIES for name, operation in family.operations.items()},
    **{("sagemaker", name): operation for name, operation in tags.OPERATIONS.items()},
    **identity.OPERATIONS,
    **logs.OPERATIONS,
}

# operation -> the members of its request that nothing here would act on (refused), and what to do instead
UNBUILT: Mapping[str, Mapping[str, str]] = {
    "CreateTrainingJob": training.UNBUILT,
    "CreateProcessingJob": processing.UNBUILT,
    "CreateModel": models.UNBUILT,
    "CreateEndpointConfig": endpoint_configs.UNBUILT,
    "CreateEndpoint": endpoint_operations.UNBUILT,
    "UpdateEndpoint": endpoint_operations.UNBUILT,
    "UpdateEndpointWeightsAndCapacities": endpoint_operations.UNBUILT_OF_WEIGHTS,
}
