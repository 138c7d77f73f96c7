"""Tasks outlive the server, so a server reads what one of an earlier version wrote, and its supervisors still write."""

import json

from clary.compute.plan import Container, Plan, Platform, Process
from clary.core.tasks import Input, Phase, PipelineContainer, Task, TaskState

MODEL = Input("archive", "s3://b/model.tar.gz", "model", writable=False)
PLATFORM = Platform(
    **dict.fromkeys(
        ("logs", "events_socket", "endpoint_url", "s3_endpoint_url", "s3_folder", "access_key_id", "secret_access_key"),
        "",
    ),
    s3_access_key_id="",
    s3_secret_access_key="",
    region="us-east-1",
    account_id="000000000000",
)


def renamed(value, **names):
    """JSON with members renamed, at any depth."""
    if isinstance(value, dict):
        return {names.get(name, name): renamed(inner, **names) for name, inner in value.items()}
    return [renamed(inner, **names) for inner in value] if isinstance(value, list) else value


def test_an_input_has_how_for_kind():
    task = Task(
        "t", ("training-job", "n", "u"), "image", inputs=(MODEL,), pipeline={"a": PipelineContainer("b", {}, (MODEL,))}
    )
    earlier = renamed(json.loads(task.to_json()), kind="how")
    assert earlier["inputs"][0]["how"] == earlier["pipeline"]["a"]["inputs"][0]["how"] == "archive"
    assert Task.from_json(json.dumps(earlier)) == task
    assert Input.from_json(earlier["inputs"][0]) == MODEL


def test_a_plan_has_how_for_execution_and_links_for_pipeline():
    process = Process(("python", "-m", "program"), "python", {"A": "b"}, "none")
    container = Container(("podman",), ("--runtime", "runc"), "image", None, ("serve",))
    plan = Plan(process, PLATFORM, (1,), {"first": process, "second": container})
    earlier = renamed(json.loads(plan.to_json()), execution="how", pipeline="links")
    assert earlier["how"]["python"] == "python"
    assert earlier["links"]["second"][0] == "container"
    assert Plan.from_json(json.dumps(earlier)) == plan == Plan.from_json(plan.to_json())


def test_a_state_has_further_for_pipeline_addresses():
    state = TaskState(Phase.READY, address="http://127.0.0.1:1", pipeline_addresses=("http://127.0.0.1:2",))
    earlier = renamed(json.loads(state.to_json()), pipeline_addresses="further")
    assert earlier["further"] == ["http://127.0.0.1:2"]
    assert TaskState.from_json(json.dumps(earlier)) == state == TaskState.from_json(state.to_json())
    del earlier["further"]  # from before there were pipelines
    assert TaskState.from_json(json.dumps(earlier)).pipeline_addresses == ()
