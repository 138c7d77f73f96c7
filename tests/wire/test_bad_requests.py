"""Requests that are not all right: none gives a 5xx or a traceback, and the answer names the field and the rule."""

import json

import pytest

from clary.wire.shapes import Services
from tests.wire.asgi import App
from tests.wire.requests import GOOD, aws_path, leaves, with_value, without

SERVICE = Services().named("sagemaker")
LOGS = Services().named("logs")

# Everything is built, and answers with nothing: what gets that far was taken for a good request.
APP = App({(service.name, name): {} for service in (SERVICE, LOGS) for name in service.operations})


def call(operation, request):
    answer = APP.call(f"SageMaker.{operation}", json.dumps(request))
    return answer.status, json.loads(answer.body)


def violations(shape, path, operation):
    """(value, rule) pairs that break this member: everything its shape forbids."""
    kind = shape["type"]
    wrong = {"string": 7, "integer": "7", "long": "7", "float": "x", "double": "x", "boolean": "no", "timestamp": []}
    yield wrong.get(kind, "not a container"), "SerializationException"
    if kind == "string":
        if "max" in shape:
            yield "x" * (shape["max"] + 1), f"length less than or equal to {shape['max']}"
        if shape.get("min"):
            yield "", f"length greater than or equal to {shape['min']}"
        if "pattern" in shape and shape["pattern"] not in (".*", r"[\S\s]*"):
            yield "\n\r", f"regular expression pattern: {shape['pattern']}"
        if "enum" in shape:
            yield "Nonsense", f"enum value set: [{shape['enum'][0]}"
    if kind in ("integer", "long", "float"):
        if "max" in shape:
            yield shape["max"] + 1, f"value less than or equal to {shape['max']}"
        if "min" in shape:
            yield shape["min"] - 1, f"value greater than or equal to {shape['min']}"
    if kind == "list" and shape.get("min"):
        yield [], f"length greater than or equal to {shape['min']}"


CASES = [
    (operation, path, value, rule)
    for operation in GOOD
    for path, shape in leaves(SERVICE, operation)
    for value, rule in violations(shape, path, operation)
]


def test_there_are_many_cases():
    assert len(CASES) > 150


@pytest.mark.parametrize(
    ("operation", "path", "value", "rule"),
    CASES,
    ids=[f"{case[0]}-{aws_path(case[1])}-{case[3][:40]}" for case in CASES],
)
def test_a_member_that_breaks_a_rule_is_named_with_the_rule(operation, path, value, rule):
    status, answer = call(operation, with_value(operation, path, value))
    assert status == 400
    # Items of a list and values of a map that are no structures are reported at the container, as AWS does.
    assert f"at '{aws_path(path)}" in answer["message"] or f"at '{aws_path(path[:-1])}'" in answer["message"]
    if rule == "SerializationException":
        assert answer["__type"] == rule
    else:
        assert answer["__type"] == "ValidationException"
        assert rule in answer["message"]


REQUIRED = [
    (operation, (*path, name))
    for operation in GOOD
    for path, shape in [((), SERVICE.shapes[SERVICE.operations[operation].input]), *leaves(SERVICE, operation)]
    for name in shape.get("required", ())
]


@pytest.mark.parametrize(("operation", "path"), REQUIRED, ids=[f"{op}-{aws_path(path)}" for op, path in REQUIRED])
def test_a_member_that_is_missing_is_named(operation, path):
    status, answer = call(operation, without(operation, path))
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert (
        f"Value null at '{aws_path(path)}' failed to satisfy constraint: Member must not be null" in answer["message"]
    )


def test_the_unbroken_requests_are_accepted():
    for operation, request in GOOD.items():
        assert call(operation, request) == (200, {})
