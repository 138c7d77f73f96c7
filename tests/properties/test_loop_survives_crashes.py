"""Hypothesis plays caller, world and crashes: whatever happens in whatever order, nothing is lost, doubled or stuck.

The machine's model is small: which jobs and endpoints were asked for. What must hold of them is checked after every
step that lets the loop come to rest, and at the end, when every task has been let run to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from clary.core.errors import ServiceError
from clary.core.records import Ref
from clary.core.tasks import Cause, Phase
from clary.resources import FAMILIES
from clary.resources.jobs.status import FINISHED
from clary.store.base import Query
from tests import batches
from tests.context import Server, a_config, a_model, a_processing_job, a_training_job
from tests.crashes import Crash, CrashPoints, DyingStore, DyingWorld


class Loop(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    processing = Bundle("processing")
    endpoints = Bundle("endpoints")
    owners = Bundle("owners")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.events = asyncio.new_event_loop()
        self.points = CrashPoints()
        self.server = Server(self.folder, DyingStore(self.points), [*FAMILIES, batches.FAMILY])
        self.server.world = self.server.new_world(DyingWorld)
        self.server.world.points = self.points
        self.server.loop = self.server.new_loop()
        self.serial = 0
        self.job_names: set[str] = set()
        self.processing_names: set[str] = set()
        self.endpoint_names: set[str] = set()
        self.batch_names: set[str] = set()
        self.at_rest = True

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.events.run_until_complete(work)

    def call(self, operation: str, **request: Any) -> bool:
        """True where the server took it."""
        try:
            self.run(self.server.call(operation, **request))
        except ServiceError:
            return False
        self.at_rest = False
        return True

    def name(self) -> str:
        self.serial += 1
        return f"n{self.serial}"

    # ---- the caller ----

    @initialize()
    def prepare(self) -> None:
        assert self.call("CreateModel", **a_model("m"))

    @rule(target=jobs)
    def create_job(self) -> str:
        name = self.name()
        assert self.call("CreateTrainingJob", **a_training_job(name, RetryStrategy={"MaximumRetryAttempts": 1}))
        self.job_names.add(name)
        return name

    @rule(name=jobs)
    def stop_job(self, name: str) -> None:
        self.call("StopTrainingJob", TrainingJobName=name)

    @rule(name=consumes(jobs))
    def delete_job(self, name: str) -> None:
        if self.call("DeleteTrainingJob", TrainingJobName=name):
            self.job_names.discard(name)

    @rule(target=processing)
    def create_processing_job(self) -> str:
        name = self.name()
        assert self.call("CreateProcessingJob", **a_processing_job(name))
        self.processing_names.add(name)
        return name

    @rule(name=processing)
    def stop_processing_job(self, name: str) -> None:
        self.call("StopProcessingJob", ProcessingJobName=name)

    @rule(name=consumes(processing))
    def delete_processing_job(self, name: str) -> None:
        if self.call("DeleteProcessingJob", ProcessingJobName=name):
            self.processing_names.discard(name)

    @rule(target=endpoints, count=st.integers(1, 2), variants=st.integers(1, 2))
    def create_endpoint(self, count: int, variants: int) -> str:
        name = self.name()
        assert self.call("CreateEndpointConfig", **a_config(name, "m", count=count, weights=(1.0,) * variants))
        assert self.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
        self.endpoint_names.add(name)
        return name

    @rule(name=endpoints, count=st.integers(0, 3))
    def scale(self, name: str, count: int) -> None:
        wanted = [{"VariantName": "v0", "DesiredInstanceCount": count, "DesiredWeight": 2.0}]
        self.call("UpdateEndpointWeightsAndCapacities", EndpointName=name, DesiredWeightsAndCapacities=wanted)

    @rule(name=endpoints, other=endpoints)
    def update_endpoint(self, name: str, other: str) -> None:
        self.call("UpdateEndpoint", EndpointName=name, EndpointConfigName=other)

    @rule(name=endpoints)
    def delete_endpoint(self, name: str) -> None:
        if self.call("DeleteEndpoint", EndpointName=name):
            self.endpoint_names.discard(name)

    @rule(target=owners, count=st.integers(0, 4))
    def create_batch(self, count: int) -> str:
        name = self.name()
        self.run(self.server.store.create(batches.a_batch(self.server.clock, name, count)))
        self.batch_names.add(name)
        self.at_rest = False
        return name

    @rule(name=consumes(owners))
    def delete_batch(self, name: str) -> None:
        self.run(batches.delete(self.server.store, name))
        self.batch_names.discard(name)
        self.at_rest = False

    # ---- the world ----

    @rule(data=st.data(), phase=st.sampled_from([Phase.STAGING, Phase.RUNNING, Phase.READY, Phase.EXITED, Phase.LOST]))
    def something_happens_to_a_task(self, data: st.DataObject, phase: Phase) -> None:
        alive = sorted(self.server.backend.alive())
        if not alive:
            return
        task_id = data.draw(st.sampled_from(alive))
        if phase is Phase.READY and self.server.backend.tasks[task_id].serve is None:
            phase = Phase.RUNNING
        code = data.draw(st.sampled_from([0, 1])) if phase is Phase.EXITED else None
        failure = "AlgorithmError: , exit code: 1" if code else ""
        self.server.backend.move(task_id, phase, exit_code=code, failure=failure)
        self.at_rest = False

    @rule()
    def tasks_go_on_for_a_while(self) -> None:
        """Without this most runs would end before an endpoint ever served."""
        self.work()
        self.let_tasks_go_on()
        self.at_rest = True

    @rule()
    def stopped_tasks_end(self) -> None:
        self.server.backend.end_stopped()
        self.at_rest = False

    @rule(seconds=st.sampled_from([1, 10, 100]))
    def time_passes(self, seconds: int) -> None:
        self.server.clock.advance(seconds)
        self.at_rest = False

    # ---- the server ----

    @rule()
    def work(self) -> None:
        self.run(self.server.settle())
        self.at_rest = True

    @rule(steps=st.integers(0, 12))
    def work_and_die(self, steps: int) -> None:
        self.points.left = steps
        with contextlib.suppress(Crash):
            self.run(self.server.settle())
        self.points.left = None
        self.start_anew()

    @rule()
    def start_anew(self) -> None:
        """What a new server does first (control.run), on what the old one left."""
        self.server.loop = self.server.new_loop()
        self.run(self.server.work_on_everything())
        self.at_rest = True

    # ---- what must hold ----

    @invariant()
    def nothing_is_launched_twice(self) -> None:
        assert all(count == 1 for count in self.server.backend.launched.values())

    @invariant()
    def a_finished_job_leaves_nothing_running(self) -> None:
        if self.at_rest:
            for name in self.job_names:
                job = self.run(self.server.call("DescribeTrainingJob", TrainingJobName=name))
                if job["TrainingJobStatus"] in FINISHED:
                    assert not [t for t in self.server.backend.states if t.startswith(f"{name}-")]
            for name in self.processing_names:
                if self.processing_job(name)["ProcessingJobStatus"] in FINISHED:
                    assert not [t for t in self.server.backend.states if t.startswith(f"{name}-")]

    def processing_job(self, name: str) -> dict[str, Any]:
        job: dict[str, Any] = self.run(self.server.call("DescribeProcessingJob", ProcessingJobName=name))
        return job

    @invariant()
    def the_gateway_is_sent_to_living_replicas_only(self) -> None:
        if self.at_rest:
            for file in (self.folder / "routes").glob("*.json"):
                route = self.server.world._read_route(file.stem)
                assert route is not None
                for variant in route.variants:
                    for replica in variant.replicas:
                        assert self.server.backend.states[replica.task_id].phase is Phase.READY

    def teardown(self) -> None:
        try:
            self.everything_comes_to_its_end()
        finally:
            self.events.close()
            shutil.rmtree(self.folder)

    def everything_comes_to_its_end(self) -> None:
        """Once nothing bad happens any more, every job ends and every endpoint serves, has failed or is deleted."""
        self.start_anew()
        for _ in range(30):
            self.let_tasks_go_on()
            self.server.clock.advance(70)
            self.start_anew()
        for name in self.job_names:
            job = self.run(self.server.call("DescribeTrainingJob", TrainingJobName=name))
            assert job["TrainingJobStatus"] in FINISHED
            stages = [entry["Status"] for entry in job["SecondaryStatusTransitions"]]
            assert stages[0] == "Starting"
            assert stages[-1] == job["SecondaryStatus"]
        self.batches_are_complete()
        for name in self.processing_names:
            job = self.processing_job(name)
            assert job["ProcessingJobStatus"] in FINISHED
            assert "ProcessingEndTime" in job
        listed = self.run(self.server.call("ListProcessingJobs", MaxResults=100))["ProcessingJobSummaries"]
        assert {summary["ProcessingJobName"] for summary in listed} == self.processing_names
        served = {t.id for t in self.server.backend.tasks.values() if t.serve}
        assert self.server.backend.alive() <= served, "no job's task is left running"
        wanted = 0
        for name in self.endpoint_names:
            endpoint = self.run(self.server.call("DescribeEndpoint", EndpointName=name))
            assert endpoint["EndpointStatus"] in ("InService", "Failed")
            if endpoint["EndpointStatus"] == "InService":
                for variant in endpoint["ProductionVariants"]:
                    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"]
                    wanted += variant["DesiredInstanceCount"]
        assert len(self.server.backend.alive()) == wanted, "no replica too many"
        names = {file.stem for file in (self.folder / "routes").glob("*.json")}
        assert names == self.endpoint_names, "no route without an endpoint"

    def batches_are_complete(self) -> None:
        assert self.run(self.server.store.count(batches.KIND)) == (
            {"Completed": len(self.batch_names)} if self.batch_names else {}
        )
        for name in self.batch_names:
            batch = self.run(self.server.store.get(Ref(batches.KIND, name)))
            children = self.run(self.server.store.list(Query(batches.JOBS, owned_by=batch, limit=100))).records
            assert sorted(child.name for child in children) == batches.job_names(batch)
            assert {child.status for child in children} <= set(FINISHED)

    def let_tasks_go_on(self) -> None:
        self.server.backend.end_stopped()
        for task_id in sorted(self.server.backend.alive()):
            if self.server.backend.tasks[task_id].serve:
                self.server.backend.move(task_id, Phase.READY)
            else:
                self.server.backend.move(task_id, Phase.EXITED, exit_code=0, cause=Cause.NONE)
        self.server.clock.advance(timedelta(seconds=1).total_seconds())
        self.run(self.server.settle())


Loop.TestCase.settings = settings(
    max_examples=int(os.environ.get("CLARY_HISTORIES", "80")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLoopSurvivesCrashes = Loop.TestCase
