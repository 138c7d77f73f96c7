"""The states of records: what the version before wrote is read, and what is written is read again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clary.core import structured
from clary.core.decisions import Do, Launch, Seen
from clary.core.records import Record
from clary.core.tasks import Input, Phase, TaskState
from clary.resources import FAMILIES
from clary.resources.endpoints.state import EndpointState, Failures
from clary.resources.processing.kind import PROCESSING
from clary.resources.training.kind import TRAINING
from tests.context import Server
from tests.unit.client import Client

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAMILY = {family.kind: family for family in FAMILIES}
READ = {"training-job": TRAINING.read, "processing-job": PROCESSING.read, "endpoint": EndpointState.from_json}
NOUN = {"training-job": "TrainingJob", "processing-job": "ProcessingJob", "endpoint": "Endpoint"}

# Written by the version that had no `version` in its states, of records as they came about there.
VERSION_1: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("version_1_states.json").read_text())
EACH = pytest.mark.parametrize("label", VERSION_1)


def a_record(label: str) -> Record:
    return Record(created=NOW, modified=NOW, **VERSION_1[label])


@EACH
def test_it_is_read_and_written_as_version_2(label):
    record = a_record(label)
    state = READ[record.kind](record.state)
    written = state.to_json()
    assert written["version"] == 2
    assert READ[record.kind](json.loads(json.dumps(written))) == state


@EACH
def test_its_record_goes_on_as_one_of_version_2_does(label):
    record = a_record(label)
    family = FAMILY[record.kind]
    upgraded = replace(record, state=READ[record.kind](record.state).to_json())
    for phase in Phase:
        watched = family.watch(record)
        seen = Seen({task_id: TaskState(phase, staging_at=1.0, address="http://a") for task_id in watched.tasks})
        assert family.watch(upgraded) == watched
        assert family.decide(record, seen, NOW) == family.decide(upgraded, seen, NOW)


@EACH
def test_it_is_described_and_stays_described_once_it_is_written_anew(label, tmp_path):
    server = Client(tmp_path)
    record = a_record(label)
    server.run(server.server.store.create(record))
    noun = NOUN[record.kind]
    described = server.call(f"Describe{noun}", {f"{noun}Name": record.name})
    server.force(record.kind, record.name, state=READ[record.kind](record.state).to_json())
    assert server.call(f"Describe{noun}", {f"{noun}Name": record.name}) == described
    server.close()


def test_members_of_jobs_that_had_other_names():
    training = TRAINING.read(VERSION_1["training-job, completed"]["state"])
    assert training.stages == ("Pending", "Downloading", "Training", "Uploading")
    assert (training.started_at, training.ended_at, training.attempt) == (1767225610.0, 1767225620.0, 1)
    assert (training.metrics, training.model_artifacts) == ({"m": (0.5, 1767225600.0)}, "s3://b/m.tar.gz")
    processing = PROCESSING.read(VERSION_1["processing-job, completed"]["state"])
    assert (processing.started_at, processing.ended_at) == (1767225610.0, 1767225620.0)
    assert (processing.stages, processing.exit_message) == (("Pending", "Downloading", "Processing"), "3 rows")


def test_members_of_endpoints_that_had_other_names():
    state = EndpointState.from_json(VERSION_1["endpoint, updating"]["state"])
    assert state.incoming is not None
    assert (state.current.config_name, state.incoming.config_name) == ("c", "d")
    assert state.incoming.variants[0].containers[0].image == "clary/data"
    failed = EndpointState.from_json(VERSION_1["endpoint, a replica failed"]["state"])
    assert failed.failures == {"v0": Failures(1, 1767225600.0)}
    assert failed.last_serial == 3


def test_the_only_container_of_an_endpoint_from_before_there_were_pipelines():
    record = a_record("endpoint, of before there were pipelines")
    tasks = list(FAMILY["endpoint"].watch(record).tasks)
    seen = Seen({tasks[1]: TaskState(Phase.READY)})
    match FAMILY["endpoint"].decide(record, seen, NOW):
        case Do(Launch(task)):
            assert task.id == tasks[0]
            assert task.inputs == (Input("archive", "s3://bucket/model.tar.gz", "model", writable=False),)
        case other:
            pytest.fail(f"decided {other}")


BROKEN = {
    "a member is missing": ({"version": 2, "arn": "a"}, "TrainingState.resources is missing"),
    "a member of another type": (
        {"version": 2, "arn": 1, "resources": {}},
        "TrainingState.arn: 1 is not str",
    ),
    "deep inside": (
        {"version": 2, "arn": "a", "resources": {"cpus": "many"}},
        "TrainingState.resources: Resources.cpus: 'many' is not a number",
    ),
    "an item of a list": (
        {"version": 2, "arn": "a", "resources": {}, "metric_definitions": [["m"]]},
        "TrainingState.metric_definitions: .* has not 2 items",
    ),
}


@pytest.mark.parametrize(("state", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_state_is_refused_by_member(state, message):
    with pytest.raises(ValueError, match=message):
        TRAINING.read(state)


def test_only_json_is_written():
    with pytest.raises(TypeError, match="is not JSON"):
        structured.to_json(object())


def test_a_home_of_the_version_before_goes_on(tmp_path):
    """A job that ran when the server was replaced ends as it would have."""

    server = Client(tmp_path)
    record = a_record("training-job, running")
    server.run(server.server.store.create(record))
    (task_id,) = FAMILY["training-job"].watch(record).tasks
    server.run(_finish(server.server, task_id))
    job = server.describe_training_job(TrainingJobName="j")
    assert (job["TrainingJobStatus"], job["TrainingStartTime"].timestamp()) == ("Completed", 1767225610.0)
    server.close()


async def _finish(server: Server, task_id: str) -> None:
    server.backend.states[task_id] = TaskState(Phase.EXITED, exit_code=0)
    for ref in await server.new_loop().unfinished():
        server.loop.queue.put(ref)
    await server.settle()
