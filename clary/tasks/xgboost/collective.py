"""XGBoost's own communication between hosts: a tracker on the first one, to which the members connect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clary.tasks.algorithm.cluster import Cluster
from clary.tasks.failure import ClientError
from clary.tasks.xgboost.library import xgboost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_trackers: list[Any] = []  # a tracker lives as long as there is a reference to it


def start_tracker(members: int, address: str) -> Mapping[str, Any]:
    """What xgboost.collective needs to reach it."""
    library = xgboost()
    from xgboost.tracker import RabitTracker

    if not hasattr(RabitTracker, "worker_args"):
        raise ClientError(f"Training on several hosts needs XGBoost 2.1 or newer, and this is {library.__version__}.")
    tracker = RabitTracker(n_workers=members, host_ip=address, sortby="task")
    tracker.start()
    _trackers.append(tracker)
    arguments: Mapping[str, Any] = {"dmlc_communicator": "rabit", **tracker.worker_args()}
    return arguments


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Inside, XGBoost trains with the other members."""
    if not cluster.coordinator:
        yield
        return
    # Ranks follow the task ids, so the member that leads has rank 0.
    arguments = {**cluster.coordinator, "dmlc_task_id": f"{cluster.rank:06d}"}
    with xgboost().collective.CommunicatorContext(**arguments):
        yield


def total(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Summed over the hosts that train together."""
    collective = xgboost().collective
    if not collective.is_distributed():
        return part
    summed: NDArray[np.float64] = collective.allreduce(part, collective.Op.SUM)
    return summed
