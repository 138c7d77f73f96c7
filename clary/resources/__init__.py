"""The resources: a file or a folder for each family. Adding a family to FAMILIES is all it takes."""

from __future__ import annotations

from collections.abc import Mapping

from clary.core.decisions import Family, Operation, Unbuilt
from clary.resources import endpoint_configs, identity, models, tags
from clary.resources.endpoints.family import FAMILY as ENDPOINTS
from clary.resources.logs import operations as log_operations
from clary.resources.processing.family import FAMILY as PROCESSING_JOBS
from clary.resources.training.family import FAMILY as TRAINING_JOBS
from clary.resources.unbuilt import refusing_unbuilt

FAMILIES: tuple[Family, ...] = (
    TRAINING_JOBS,
    PROCESSING_JOBS,
    models.FAMILY,
    endpoint_configs.FAMILY,
    ENDPOINTS,
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
    **log_operations.OPERATIONS,
}
