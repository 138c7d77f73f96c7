"""The headers of an invocation against the limits of AWS's own service model."""

import re

import botocore.loaders
import pytest

from clary.core.errors import ValidationError
from clary.core.routes import Mode
from clary.gateway.call import MEMBERS, check_mode, parse_path, read_call
from clary.gateway.errors import UnknownOperationException


@pytest.fixture(scope="module")
def model():
    return botocore.loaders.Loader().load_service_model("sagemaker-runtime", "service-2")


@pytest.mark.parametrize("operation", MEMBERS)
def test_every_header_of_the_model_is_read_with_its_limits(model, operation):
    members = model["shapes"][f"{operation}Input"]["members"]
    expected = {
        (m["locationName"].lower(), shape.get("min", 0), shape["max"])
        for m in members.values()
        if m.get("location") == "header"
        for shape in [model["shapes"][m["shape"]]]
    }
    assert {(m.header, m.min_length, m.max_length) for m in MEMBERS[operation]} == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/endpoints/e-1/invocations", ("e-1", "invocations")),
        ("/endpoints/e/invocations-response-stream", ("e", "invocations-response-stream")),
        ("/endpoints/e/async-invocations", ("e", "async-invocations")),
        ("/endpoints/a%2Fb/invocations", ("a/b", "invocations")),
    ],
)
def test_the_path_names_endpoint_and_operation(path, expected):
    assert parse_path(path) == expected


@pytest.mark.parametrize(
    "path", ["/", "/endpoints/e", "/endpoints/e/invocations/", "/endpoints/a/b/invocations", "*", ""]
)
def test_other_paths_are_not_served(path):
    with pytest.raises(UnknownOperationException, match="There is no operation at"):
        parse_path(path)


PREFIX = "x-amzn-sagemaker-"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (
            {PREFIX + "custom-attributes": "a" * 1025},
            "Value at 'customAttributes' failed.*length less than or equal to 1024",
        ),
        ({PREFIX + "target-variant": "a_b"}, "Value 'a_b' at 'targetVariant' failed.*regular expression pattern"),
        ({PREFIX + "target-variant": "a" * 64}, "length less than or equal to 63"),
        ({PREFIX + "target-variant": ""}, "regular expression pattern"),
        ({PREFIX + "inference-id": ""}, "length greater than or equal to 1"),
        ({PREFIX + "inference-id": " x"}, "regular expression pattern"),
        ({PREFIX + "target-model": "m" * 1025}, "'targetModel'"),
        ({PREFIX + "session-id": "s" * 257}, "'sessionId'"),
        ({PREFIX + "enable-explanations": "x" * 65}, "'enableExplanations'"),
        ({"content-type": "t" * 1025}, "'contentType'"),
        ({"accept": "\xe9"}, "'accept'"),
    ],
)
def test_a_header_out_of_bounds(headers, text):
    with pytest.raises(ValidationError, match=f"^1 validation error detected: .*{text}"):
        read_call("e", "invocations", headers)


def test_all_violations_are_in_one_error():
    with pytest.raises(ValidationError) as caught:
        read_call("-", "invocations", {PREFIX + "inference-id": "", "accept": "a" * 2000})
    assert caught.value.message.startswith("3 validation errors detected: Value '-' at 'endpointName'")
    assert len(re.findall("Member must", caught.value.message)) == 3


@pytest.mark.parametrize("name", ["a" * 64, "-a", "a_b", "a.b", "ü", "a/b", "e\n", ""])
def test_a_bad_endpoint_name(name):
    with pytest.raises(ValidationError, match="'endpointName'"):
        read_call(name, "invocations", {})


def test_hostile_names_take_no_time():
    with pytest.raises(ValidationError):
        read_call("a" + "-" * 60 + "_", "invocations", {PREFIX + "session-id": "a" * 255 + "_"})


def test_the_headers_of_the_container():
    given = {
        "content-type": "text/csv",
        "accept": "a/b",
        "authorization": "secret",
        PREFIX + "custom-attributes": "c",
        PREFIX + "accept": "ignored/here",
    }
    call = read_call("e", "invocations", given)
    assert call.container_headers() == (
        b"content-type: text/csv\r\naccept: a/b\r\nx-amzn-sagemaker-custom-attributes: c\r\n"
    )
    stream = read_call("e", "invocations-response-stream", given)
    assert b"accept: ignored/here\r\n" in stream.container_headers()
    assert b"a/b" not in stream.container_headers()


def test_no_header_is_added():
    assert read_call("e", "invocations", {}).container_headers() == b""


REAL_TIME, SERVERLESS, ASYNC = Mode


@pytest.mark.parametrize("mode", [REAL_TIME, SERVERLESS])
@pytest.mark.parametrize("suffix", ["invocations", "invocations-response-stream"])
def test_an_endpoint_with_replicas_takes_plain_calls(mode, suffix):
    given = {PREFIX + "inference-id": "i", PREFIX + "target-variant": "v", PREFIX + "prefix-aware-id": "p"}
    check_mode(read_call("e", suffix, given), mode)


@pytest.mark.parametrize(
    ("mode", "suffix", "text"),
    [
        (REAL_TIME, "async-invocations", "Endpoint e is real-time, and InvokeEndpointAsync is not built"),
        (SERVERLESS, "async-invocations", "Endpoint e is serverless, and InvokeEndpointAsync is not built"),
        (ASYNC, "async-invocations", "Endpoint e is async, and InvokeEndpointAsync is not built"),
        (ASYNC, "invocations", "Endpoint e is async and does not take InvokeEndpoint; call InvokeEndpointAsync."),
        (ASYNC, "invocations-response-stream", "does not take InvokeEndpointWithResponseStream; call InvokeEndpointA"),
    ],
)
def test_an_operation_that_the_mode_does_not_take(mode, suffix, text):
    with pytest.raises(ValidationError, match=text):
        check_mode(read_call("e", suffix, {}), mode)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("target-model", "not a multi-model endpoint"),
        ("target-container-hostname", "not a multi-container endpoint"),
        ("inference-component", "Inference Component Name header is not allowed"),
        ("session-id", "does not support stateful sessions"),
        ("enable-explanations", "no explainer configured"),
    ],
)
@pytest.mark.parametrize("mode", [REAL_TIME, SERVERLESS])
def test_a_member_that_the_endpoint_does_not_take(mode, header, text):
    with pytest.raises(ValidationError, match=text):
        check_mode(read_call("e", "invocations", {PREFIX + header: "x"}), mode)
