"""Requests that are not all right: none gives a 5xx or a traceback, and the answer names the field and the rule."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.wire.shapes import Services
from tests.wire.asgi import Wired
from tests.wire.requests import GOOD, leaves, spelled, with_value, without

SERVICE = Services().named("sagemaker")
LOGS = Services().named("logs")

# Everything is built, and answers with nothing: what gets that far was taken for a good request.
WIRED = Wired({(service.name, name): {} for service in (SERVICE, LOGS) for name in service.operations})


def ask(operation, request):
    answer = WIRED.call(f"SageMaker.{operation}", json.dumps(request))
    return answer.status, json.loads(answer.body)


def breakages(shape, path, operation):
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
    for value, rule in breakages(shape, path, operation)
]


def test_there_are_many():
    assert len(CASES) > 150


@pytest.mark.parametrize(
    ("operation", "path", "value", "rule"),
    CASES,
    ids=[f"{case[0]}-{spelled(case[1])}-{case[3][:40]}" for case in CASES],
)
def test_a_member_that_breaks_a_rule_is_named_with_the_rule(operation, path, value, rule):
    status, answer = ask(operation, with_value(operation, path, value))
    assert status == 400
    # Items of a list and values of a map that are no structures are told at the container, as AWS does.
    assert f"at '{spelled(path)}" in answer["message"] or f"at '{spelled(path[:-1])}'" in answer["message"]
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


@pytest.mark.parametrize(("operation", "path"), REQUIRED, ids=[f"{op}-{spelled(path)}" for op, path in REQUIRED])
def test_a_member_that_is_missing_is_named(operation, path):
    status, answer = ask(operation, without(operation, path))
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert f"Value null at '{spelled(path)}' failed to satisfy constraint: Member must not be null" in answer["message"]


def test_the_good_ones_are_good():
    for operation, request in GOOD.items():
        assert ask(operation, request) == (200, {})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\x00", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def values(shape, depth=0):
    """Values of about the right form, or anything at all."""
    if depth > 4:
        return JSON
    match shape["type"]:
        case "structure":
            members = {name: values_of(raw["shape"], depth + 1) for name, raw in shape["members"].items()}
            return st.fixed_dictionaries({}, optional=members) | JSON
        case "list":
            return st.lists(values_of(shape["member"]["shape"], depth + 1), max_size=3) | JSON
        case "map":
            return (
                st.dictionaries(st.text(max_size=5), values_of(shape["value"]["shape"], depth + 1), max_size=3) | JSON
            )
        case "string":
            return st.sampled_from(shape["enum"]) | JSON if "enum" in shape else st.text(max_size=30) | JSON
    return JSON


def values_of(name, depth):
    return st.deferred(lambda: values(SERVICE.shapes[name], depth))


@st.composite
def requests(draw):
    operation = draw(st.sampled_from([op for op in SERVICE.operations.values() if op.input]))
    return operation.name, draw(values(SERVICE.shapes[operation.input]))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests())
def test_whatever_is_asked_is_answered_in_good_order(asked):
    operation, request = asked
    status, answer = ask(operation, request)
    if status != 200:
        assert status == 400
        assert answer["__type"] in ("ValidationException", "SerializationException")
        assert answer["message"]
        assert len(answer["message"]) < 100_000


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()))
def test_whatever_bytes_arrive_are_answered_in_good_order(body):
    answer = WIRED.call("SageMaker.CreateTrainingJob", body)
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] in ("ValidationException", "SerializationException")


@settings(max_examples=100, deadline=None)
@given(
    header=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=100),
    query=st.binary(max_size=50),
)
def test_whatever_stands_in_for_a_signature_is_answered_in_good_order(header, query):
    escaped = "".join(f"%{byte:02x}" if byte % 2 else chr(byte) for byte in query if byte > 32 and byte not in b"#[]?")
    for authorization in (header, f"AWS4-HMAC-SHA256 {header}"):
        headers = {"Authorization": authorization.encode("latin-1"), "X-Amz-Target": "SageMaker.ListModels"}
        answer = WIRED.send("POST", f"http://h/?X-Amz-Algorithm=x&{escaped}", headers, b"{}")
        assert answer.status in (400, 403)
