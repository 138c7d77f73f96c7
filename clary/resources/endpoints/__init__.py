"""Endpoints: fleets of replicas behind a route.

    Creating ──> InService | Failed         InService ──> Updating ──> InService (the new, or on failure the old)
    InService | Failed ──> Deleting ──> gone

An endpoint keeps its own copy of its configuration and models (a *deployment*), so that what they were made from may
be deleted. A replica's task id is written into the record before the task is launched; a replica that has died or is
no longer wanted *retires*: out of the route first, then stopped, then forgotten.
Reference: CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DescribeEndpoint, DeleteEndpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from clary.core.decisions import ERASED

KIND = "endpoint"


class EndpointStatus(StrEnum):
    OUT_OF_SERVICE = "OutOfService"
    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"


Status = EndpointStatus

TRANSITIONS: Mapping[str, Collection[str]] = {
    Status.CREATING: (Status.IN_SERVICE, Status.FAILED),
    Status.IN_SERVICE: (Status.UPDATING, Status.DELETING),
    Status.UPDATING: (Status.IN_SERVICE,),
    Status.FAILED: (Status.DELETING,),
    Status.DELETING: (ERASED,),
    # AWS has these too; no endpoint comes into them here.
    Status.OUT_OF_SERVICE: (),
    Status.SYSTEM_UPDATING: (),
    Status.ROLLING_BACK: (),
    Status.UPDATE_ROLLBACK_FAILED: (),
}
