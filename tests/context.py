"""A server's parts without processes: the real families, store and loop over a simulated backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from clary.artifacts.logs import LogStreams
from clary.control.effects import World
from clary.control.loop import Loop
from clary.control.sweep import sweep
from clary.core.changes import Changes
from clary.core.credentials import Credentials
from clary.core.decisions import Family
from clary.core.errors import ObjectStoreError
from clary.core.records import Ref
from clary.core.settings import Settings
from clary.resources import FAMILIES, OPERATIONS
from clary.resources.children import Children
from clary.resources.context import Context
from clary.resources.long_poll import DescribedStatuses
from clary.store.base import Store
from clary.store.memory import MemoryStore
from clary.store.reporting import ReportingStore
from clary.testing.clock import ManualClock
from clary.testing.doubles import FakeBackend, FullObjectStore, HeldLeases

W = TypeVar("W", bound=World)

ROLE = "arn:aws:iam::000000000000:role/anybody"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


class EmptyObjectStore(FullObjectStore):
    """Has no object."""

    def exists(self, uri):
        return False

    def list(self, prefix):
        return iter(())


class FailingObjectStore(FullObjectStore):
    """Does not answer."""

    def exists(self, uri):
        raise ObjectStoreError("connection refused")

    def list(self, prefix):
        raise ObjectStoreError("connection refused")


class Server:
    """Operations, a loop that is stepped by hand, and a world that a test moves."""

    def __init__(
        self,
        folder: Path,
        store: Store | None = None,
        families: Sequence[Family] = FAMILIES,
        node: str = "node",
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.settings = Settings(home=folder, **{"describe_wait_s": 0.0, **settings})
        self.clock = ManualClock()
        self.changes = Changes()
        self.changes.subscribe(lambda ref: self.loop.queue.put(ref))  # noqa: PLW0108 - the loop of that moment
        self.store: Store = ReportingStore(store or MemoryStore(), self.changes.notify_of)
        self.leases = HeldLeases(node)
        self.families = {family.kind: family for family in families}
        self.backend = FakeBackend(lambda owner: self.loop.queue.put(Ref(owner[0], owner[1])))
        folder.joinpath("routes").mkdir(parents=True, exist_ok=True)
        self.world = self.new_world(World)
        self.loop = self.new_loop()
        self.context = Context(
            settings=self.settings,
            account=self.settings.account,
            credentials=Credentials("AKIATEST", "secret"),
            clock=self.clock,
            store=self.store,
            backend=self.backend,
            object_store=FullObjectStore(),
            log_streams=LogStreams(folder / "logs"),
            machine=self.backend.machine,
            families=self.families,
            image_problem=lambda uri: "",
            changes=self.changes,
            described=DescribedStatuses(),
        )

    def new_world(self, kind: type[W]) -> W:
        children = Children(self.families, self.settings, self.backend.machine, self.clock)
        return kind(self.store, self.backend, self.folder / "routes", self.folder / "run", children.new_record)

    def new_loop(self) -> Loop:
        return Loop(self.store, self.families.values(), self.world, self.clock, self.leases)

    async def work_on_everything(self) -> None:
        """What a server does when it starts, and every `resync_s`."""
        for ref in await self.loop.unfinished():
            self.loop.queue.put(ref)
        await sweep(self.loop, self.backend)
        await self.settle()

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """An operation of SageMaker, without the wire."""
        return await OPERATIONS["sagemaker", operation](self.context, request)

    async def settle(self) -> None:
        """Have the loop work until it may rest."""
        for _ in range(10_000):
            if self.loop.queue.idle:
                return
            ref = await self.loop.queue.get()
            try:
                await self.loop.work_on(ref)
            finally:
                self.loop.queue.done(ref)
        raise AssertionError("the loop never rests")


def a_training_job(name: str, **members: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **members,
    }


def a_processing_job(name: str, **members: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"]},
        "RoleArn": ROLE,
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
        **members,
    }


def a_processing_input(name: str = "data", **source: str) -> dict[str, Any]:
    defaults = {"S3Uri": f"s3://bucket/{name}/", "S3DataType": "S3Prefix", "LocalPath": f"/opt/ml/processing/{name}"}
    return {"InputName": name, "S3Input": {**defaults, **source}}


def a_processing_output(name: str = "out", **target: str) -> dict[str, Any]:
    defaults = {"S3Uri": f"s3://bucket/{name}", "S3UploadMode": "EndOfJob", "LocalPath": f"/opt/ml/processing/{name}"}
    return {"OutputName": name, "S3Output": {**defaults, **target}}


def a_model(name: str, **members: Any) -> dict[str, Any]:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}
    return {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE, **members}


def a_config(name: str, model: str, *, count: int = 1, weights: tuple[float, ...] = (1.0,)) -> dict[str, Any]:
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {
                "VariantName": f"v{index}",
                "ModelName": model,
                "InitialInstanceCount": count,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": weight,
            }
            for index, weight in enumerate(weights)
        ],
    }
