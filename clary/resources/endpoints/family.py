"""Endpoints as a family: what the control loop and the API call."""

from __future__ import annotations

from clary.core.decisions import Family
from clary.resources.endpoints import KIND, TRANSITIONS, EndpointStatus, operations
from clary.resources.endpoints.decide import decide, watch

FAMILY = Family(
    kind=KIND,
    status=EndpointStatus,
    transitions=TRANSITIONS,
    watch=watch,
    decide=decide,
    new_record=operations.new_endpoint,
    operations={
        "CreateEndpoint": operations.create,
        "DescribeEndpoint": operations.describe,
        "ListEndpoints": operations.list_endpoints,
        "UpdateEndpoint": operations.update,
        "UpdateEndpointWeightsAndCapacities": operations.update_weights_and_capacities,
        "DeleteEndpoint": operations.delete,
    },
    unbuilt=operations.UNBUILT,
)
