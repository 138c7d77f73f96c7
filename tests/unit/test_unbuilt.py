"""What SageMaker can and Clary cannot yet: each such member is one of the model's, and is refused by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from clary.resources import FAMILIES, OPERATIONS, UNBUILT
from tests.context import a_config, a_model, a_processing_job, a_training_job
from tests.unit.client import SAGEMAKER, Client, refusal

GOOD: dict[str, dict[str, Any]] = {
    "CreateTrainingJob": a_training_job("x"),
    "CreateProcessingJob": a_processing_job("x"),
    "CreateModel": a_model("x"),
    "CreateEndpointConfig": a_config("x", "m"),
    "CreateEndpoint": {"EndpointName": "x", "EndpointConfigName": "c"},
    "UpdateEndpoint": {"EndpointName": "e", "EndpointConfigName": "c"},
    "UpdateEndpointWeightsAndCapacities": {
        "EndpointName": "e",
        "DesiredWeightsAndCapacities": [{"VariantName": "v0"}],
    },
}
CASES = [(operation, member) for operation, members in UNBUILT.items() for member in members]
EACH = pytest.mark.parametrize(("operation", "member"), CASES, ids=[" ".join(case) for case in CASES])


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    client.create_model(**a_model("m"))
    client.create_endpoint_config(**a_config("c", "m"))
    client.create_endpoint(EndpointName="e", EndpointConfigName="c")
    yield client
    client.close()


def test_each_is_of_an_operation_that_is_built():
    assert {("sagemaker", operation) for operation in UNBUILT} <= set(OPERATIONS)


@EACH
def test_it_is_a_member_of_the_model(operation, member):
    path, _, value = member.partition("=")
    shape = SAGEMAKER.shapes[SAGEMAKER.operations[operation].input]
    for step in path.split("."):
        shape = SAGEMAKER.shapes[shape["members"][step.removesuffix("[]")]["shape"]]
        if step.endswith("[]"):
            shape = SAGEMAKER.shapes[shape["member"]["shape"]]
    assert not value or value in shape["enum"]


@EACH
def test_it_is_refused_by_name_with_what_to_do_instead(server, operation, member):
    path, _, value = member.partition("=")
    request = copy.deepcopy(GOOD[operation])
    value = value or "something"
    put(request, path.split("."), value)
    before = contents(server)
    # Past the wire: what the member holds does not matter.
    code, message = refusal(lambda: server.run(server.server.call(operation, **request)))
    assert code == "NotImplementedByClary"
    assert message.startswith(
        f"{operation}: {path.replace('[]', '[0]')} = {value or 'something'} is not built in Clary"
    )
    assert message.endswith(f"; {UNBUILT[operation][member]}.")
    assert contents(server) == before


def test_a_member_whose_value_turns_it_off_is_accepted(server):
    capture = {
        "EnableCapture": False,
        "InitialSamplingPercentage": 1,
        "DestinationS3Uri": "s3://b/c",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    server.create_endpoint_config(**a_config("x", "m"), DataCaptureConfig=capture)


def put(value: dict[str, Any], steps: list[str], new_value: str) -> None:
    """Set a member, making what lies on the way to it."""
    name, inner = steps[0].removesuffix("[]"), value
    if steps[0].endswith("[]"):
        inner = value.setdefault(name, [{}])[0]
    elif len(steps) > 1:
        inner = value.setdefault(name, {})
    if len(steps) > 1:
        put(inner, steps[1:], new_value)
    else:
        value[name] = new_value


def contents(server: Client) -> list[dict[str, Any]]:
    """All there is, without times."""
    families = [family.kind for family in FAMILIES]
    return [server.run(server.server.store.count(kind)) for kind in families]
