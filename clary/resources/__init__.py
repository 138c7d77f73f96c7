"""The nouns: one family a file. A new one is added to FAMILIES, and that is all."""

from __future__ import annotations

from collections.abc import Mapping

from clary.core.decisions import Family, Operation, Unbuilt
from clary.resources import (
    endpoint_configs,
    endpoints,
    identity,
    logs,
    models,
    processing,
    tags,
    training,
)
from clary.resources.common import refusing_unbuilt

FAMILIES: tuple[Family, ...] = (
    training.FAMILY,
    processing.FAMILY,
    models.FAMILY,
    endpoint_configs.FAMILY,
    endpoints.FAMILY,
)

# operation -> the members of its request that nothing here would act on (refused), and what to do instead
UNBUILT: Mapping[str, Unbuilt] = {name: members for family in FAMILIES for name, members in family.unbuilt.items()}

# (service, operation) -> what carries it out
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    **{
        ("sagemaker", name): refusing_unbuilt(name, operation, family.unbuilt.get(name, {}))
        for family in FAMILIES
        for name, operation in family.operations.items()
    },
    **{("sagemaker", name): operation for name, operation in tags.OPERATIONS.items()},
    **identity.OPERATIONS,
    **logs.OPERATIONS,
}
