"""Any request at all: the control API answers it with an error that AWS has, never with a 5xx or a traceback."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.test_bad_requests import APP, SERVICE, call

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
def test_any_request_is_answered(case):
    operation, request = case
    status, answer = call(operation, request)
    if status != 200:
        assert status == 400
        assert answer["__type"] in ("ValidationException", "SerializationException")
        assert answer["message"]
        assert len(answer["message"]) < 100_000


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()))
def test_any_body_is_answered(body):
    answer = APP.call("SageMaker.CreateTrainingJob", body)
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] in ("ValidationException", "SerializationException")


@settings(max_examples=100, deadline=None)
@given(
    header=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=100),
    query=st.binary(max_size=50),
)
def test_any_signature_is_answered(header, query):
    escaped = "".join(f"%{byte:02x}" if byte % 2 else chr(byte) for byte in query if byte > 32 and byte not in b"#[]?")
    for authorization in (header, f"AWS4-HMAC-SHA256 {header}"):
        headers = {"Authorization": authorization.encode("latin-1"), "X-Amz-Target": "SageMaker.ListModels"}
        answer = APP.send("POST", f"http://h/?X-Amz-Algorithm=x&{escaped}", headers, b"{}")
        assert answer.status in (400, 403)
