"""Bad requests, over HTTP, to a server that runs: none gives a 5xx or a traceback, none leaves anything behind, and the
answer names the field and the rule.

Some are chosen; the others are good requests that Hypothesis breaks in one to three members, along the shapes
of the service model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from clary.core.credentials import Credentials
from tests.acceptance.broken_requests import (
    ARN,
    BROKEN,
    BUCKET,
    ROLE,
    broken_requests,
    changed,
    good,
)
from tests.acceptance.raw_client import JSON11, Answer, RawClient
from tests.live import LiveServer, live_server, until
from tests.wire.requests import Path, aws_path


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server with one of each kind: failed jobs, a model, a configuration, a failed endpoint; all called `there`."""
    with live_server("max_request_mib = 1") as server:
        server.s3.put_object(Bucket=BUCKET, Key="train/data.csv", Body=b"1,2\n0,3\n")
        server.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=b"no archive")
        client = RawClient(server.environment)
        made = ("CreateModel", "CreateEndpointConfig", "CreateTrainingJob", "CreateProcessingJob", "CreateEndpoint")
        for operation in made:
            assert client.call(operation, good(operation, "there")).status == 200
        server.job("there")
        until(lambda: _failed(server), 60, "the processing job to fail")
        assert server.endpoint("there")["EndpointStatus"] == "Failed"
        yield server
        log = (server.home / "run" / "server.log").read_text()
        assert "Traceback" not in log
        assert "request failed" not in log


def _failed(server: LiveServer) -> list[Any] | None:
    return server.sagemaker.list_processing_jobs(StatusEquals="Failed")["ProcessingJobSummaries"] or None


@pytest.fixture(scope="module")
def client(server) -> RawClient:
    return RawClient(server.environment)


def contents(client: RawClient) -> list[Any]:
    """All resources, as the List operations return them."""
    nouns = ("TrainingJob", "ProcessingJob", "Model", "EndpointConfig", "Endpoint")
    found = [client.call(f"List{noun}s", {}).json for noun in nouns]
    return [*found, client.call("ListTags", {"ResourceArn": f"{ARN}:model/there"}).json]


@pytest.fixture(scope="module")
def before(client) -> list[Any]:
    """What there is, and still should be after a bad request."""
    return contents(client)


def refused(answer: Answer) -> None:
    """What holds of every refusal."""
    assert 400 <= answer.status < 500, answer.text
    assert answer.code
    assert answer.message
    assert len(answer.message) < 20_000
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    assert answer.headers["x-amzn-requestid"]


# ---- picked by hand: requests of JSON ----


def _id(case: tuple[str, Path, Any, str, str]) -> str:
    operation, path, value, _, _ = case
    return f"{operation} {aws_path(path)}={ascii(value)[:30]}"


@pytest.mark.parametrize("case", BROKEN, ids=_id)
def test_a_broken_member_is_refused_by_name(client, before, case):
    operation, path, value, code, expected_text = case
    answer = client.call(operation, changed(operation, path, value))
    refused(answer)
    assert (answer.code, answer.status) == (code, 400)
    assert expected_text in answer.message
    assert contents(client) == before


# ---- picked by hand: requests that are wrong as HTTP, as JSON, or in who sends them ----

LIST = json.dumps({}).encode()
TARGET = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": JSON11}
BODIES = {
    "nothing at all": (b"", "ValidationException", "'trainingJobName'"),
    "no JSON": (b"TrainingJobName=x", "SerializationException", "not valid JSON"),
    "half of JSON": (b'{"TrainingJobName": "x"', "SerializationException", "not valid JSON"),
    "a list": (b"[]", "SerializationException", "must be a JSON object, not a list"),
    "null": (b"null", "SerializationException", "must be a JSON object, not null"),
    "a number": (b"1", "SerializationException", "must be a JSON object, not a number"),
    "NaN": (b'{"TrainingJobName": NaN}', "SerializationException", "NaN is not a JSON number"),
    "a member twice": (b'{"RoleArn": "a", "RoleArn": "b"}', "SerializationException", "Duplicate field 'RoleArn'"),
    "no UTF-8": (b'{"TrainingJobName": "\xff"}', "SerializationException", "not UTF-8"),
    "UTF-16": ('{"TrainingJobName": "x"}'.encode("utf-16"), "SerializationException", "UTF-8"),
    "XML": (b"<CreateTrainingJob/>", "SerializationException", "not valid JSON"),
    "too deep": (b'{"HyperParameters":' * 40_000, "SerializationException", "nested too deeply"),
    "deep lists": (b'{"Tags":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "SerializationException", "nested too deeply"),
    "a number of very many digits": (b'{"Tags": ' + b"9" * 500_000 + b"}", "SerializationException", "JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code", "expected_text"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_request(client, body, code, expected_text):
    answer = client.post("SageMaker.CreateTrainingJob", body)
    refused(answer)
    assert (answer.status, answer.code) == (400, code)
    assert expected_text in answer.message


def test_a_body_that_is_too_large(client):
    answer = client.post("SageMaker.ListModels", b'{"NameContains": "' + b"x" * 2**20 + b'"}')
    refused(answer)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")
    assert "max_request_mib" in answer.message


@pytest.mark.parametrize(
    ("target", "expected_text"),
    [
        ("SageMaker.CreateTrainingJub", "There is CreateTrainingJob"),
        ("SageMaker.", "no operation ''"),
        ("SageMaker.__class__", "no operation '__class__'"),
        ("SageMaker.createTrainingJob", "no operation"),
        ("CreateTrainingJob", "nothing for X-Amz-Target"),
        ("DynamoDB_20120810.ListTables", "It answers for sagemaker, logs, sts, iam"),
        ("", "X-Amz-Target"),
    ],
)
def test_an_operation_that_does_not_exist(client, target, expected_text):
    answer = client.post(target, b"{}")
    refused(answer)
    assert (answer.status, answer.code) == (400, "UnknownOperationException")
    assert expected_text in answer.message


def test_an_operation_that_is_not_built_is_refused_by_name(client):
    """The request itself is valid. The status is 400 all the same: AWS's clients repeat a 5xx."""
    answer = client.call("CreateAutoMLJob", {})
    assert (answer.status, answer.code) == (400, "NotImplementedByClary")
    assert "CreateAutoMLJob" in answer.message


def test_the_content_type_of_json_does_not_matter(client):
    """AWS's own clients differ in it; the target names the operation."""
    for kind in ("application/json", "text/plain", "application/xml", "application/x-amz-json-1.0", "x", ""):
        assert client.post("SageMaker.ListModels", b"{}", **{"Content-Type": kind}).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
def test_another_method_is_answered_all_the_same(client, method):
    answer = client.send(TARGET, LIST, method=method)
    assert answer.status < 500
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/endpoints/x/invocations",
        "//",
        "/%00",
        "/status/../x",
        "/?a=%ff",
        "/" + "x" * 8000,
    ],
    ids=lambda path: path[:30],
)
def test_another_path_gives_no_file_and_no_error_of_ours(client, path):
    for answer in (client.raw("GET", path, {"Host": "h"}, b""), client.send({}, b"", method="GET", path=path)):
        assert answer.status < 500
        assert b"root:" not in answer.body
        assert "Traceback" not in answer.text


NOW = datetime.now(UTC)
MISMATCH, INCOMPLETE = "InvalidSignatureException", "IncompleteSignatureException"
SIGNATURES: dict[str, tuple[dict[str, Any], dict[str, str], int, str, str]] = {
    # name: how it is signed, headers added to that, status, code, a part of the message
    "another key": (
        {"credentials": Credentials("AKIAAAAAAAAAAAAAAAAA", "x")}, {},
        403, "UnrecognizedClientException", "security token included in the request is invalid",
    ),
    "an old date": ({"now": NOW - timedelta(hours=1)}, {}, 403, MISMATCH, "Signature expired"),
    "a date to come": ({"now": NOW + timedelta(hours=1)}, {}, 403, MISMATCH, "not yet current"),
    "another region": ({"region": "eu-west-1"}, {}, 403, MISMATCH, "valid region, not 'eu-west-1'"),
    "another service": ({"service": "s3"}, {}, 403, MISMATCH, "correct service: 'sagemaker', not 's3'"),
    "no signature": ({}, {"authorization": ""}, 400, INCOMPLETE, "Authorization"),
    "basic": ({}, {"authorization": "Basic dTpw"}, 400, INCOMPLETE, "Unsupported algorithm"),
    "nonsense": ({}, {"authorization": "AWS4-HMAC-SHA256 x"}, 400, INCOMPLETE, "key=value"),
    "half a scope": (
        {}, {"authorization": "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0"},
        400, INCOMPLETE, "exactly 5 slash-delimited elements",
    ),
    "a changed date": ({}, {"x-amz-date": "20200101T000000Z"}, 403, MISMATCH, "Date in Credential scope"),
    "no date": ({}, {"x-amz-date": "today"}, 400, INCOMPLETE, "ISO-8601"),
    "the 31st of June": ({}, {"x-amz-date": "20260631T000000Z"}, 400, INCOMPLETE, "calendar"),
    "a changed header": ({}, {"x-amz-target": "SageMaker.ListEndpoints"}, 403, MISMATCH, "does not match"),
    "a header more": ({}, {"x-amz-meta": "x"}, 403, MISMATCH, "'x-amz-meta' must be a 'SignedHeader'"),
}  # fmt: skip


@pytest.mark.parametrize(("signing", "over", "status", "code", "expected_text"), SIGNATURES.values(), ids=SIGNATURES)
def test_a_signature_that_does_not_hold(client, signing, over, status, code, expected_text):
    answer = client.raw("POST", "/", {**client.signed(TARGET, LIST, **signing), **over}, LIST)
    refused(answer)
    assert (answer.status, answer.code) == (status, code)
    assert expected_text in answer.message


def test_a_request_that_nobody_signed(client):
    answer = client.raw("POST", "/", {**TARGET, "Host": "h"}, LIST)
    refused(answer)
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")


def test_the_right_key_with_the_wrong_secret(client):
    wrong = Credentials(client.keys.access_key_id, "x" * 40)
    answer = client.send(TARGET, LIST, credentials=wrong)
    refused(answer)
    assert (answer.status, answer.code) == (403, "InvalidSignatureException")
    assert client.keys.secret_access_key not in answer.text


def test_a_body_other_than_the_one_that_was_signed(client):
    headers = client.signed({"X-Amz-Target": "SageMaker.DeleteModel"}, b'{"ModelName": "nothing"}')
    answer = client.raw("POST", "/", headers, b'{"ModelName": "there"}')
    refused(answer)
    assert answer.code == "InvalidSignatureException"
    assert client.call("DescribeModel", {"ModelName": "there"}).status == 200


# ---- picked by hand: the other services, and the gateway ----


@pytest.mark.parametrize(
    ("service", "form", "code"),
    [
        ("sts", "Action=Nothing&Version=2011-06-15", "InvalidAction"),
        ("sts", "Version=2011-06-15", "InvalidAction"),
        ("sts", "Action=AssumeRole", "ValidationError"),
        ("sts", "Action=AssumeRole&RoleArn=x&RoleSessionName=..", "ValidationError"),
        ("sts", f"Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=a&DurationSeconds=long", "MalformedQueryString"),
        ("iam", "Action=GetRole", "ValidationError"),
        ("iam", "Action=GetRole&RoleName=a%2Fb", "ValidationError"),
        ("iam", "Action=GetRole&RoleName=a&RoleName=b", "MalformedQueryString"),
        ("iam", "Action=SimulatePrincipalPolicy&ActionNames.member.x=a", "MalformedQueryString"),
        ("iam", "Action=SimulatePrincipalPolicy&ActionNames=a&ActionNames.member.1=b", "MalformedQueryString"),
        ("iam", "Action=GetRole&" + "&".join(f"p{n}=" for n in range(10_001)), "MalformedQueryString"),
        ("iam", "Action=GetRole&RoleName=%ff", "MalformedQueryString"),
    ],
)
def test_forms_that_sts_and_iam_refuse(client, service, form, code):
    answer = client.form(service, form)
    refused(answer)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    ("operation", "request_", "code", "expected_text"),
    [
        ("GetLogEvents", {}, "ValidationException", "'logStreamName'"),
        ("GetLogEvents", {"logStreamName": "a"}, "InvalidParameterException", "logGroupName"),
        ("GetLogEvents", {"logGroupName": "/no/such", "logStreamName": "a"}, "ResourceNotFoundException", "/no/such"),
        ("GetLogEvents", {"logGroupName": "/../../etc", "logStreamName": "passwd"}, "ResourceNotFoundException", ".."),
        ("GetLogEvents", {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": "../../clary"},
         "ResourceNotFoundException", ".."),
        ("GetLogEvents", {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": "nothing"},
         "ResourceNotFoundException", "nothing"),
        ("GetLogEvents", {"logGroupName": "a b", "logStreamName": "a"}, "ValidationException", "'logGroupName'"),
        ("DescribeLogStreams", {"logGroupName": "/aws/sagemaker/TrainingJobs", "nextToken": "x"},
         "InvalidParameterException", "nextToken"),
        ("DescribeLogStreams", {"logGroupName": "/aws/sagemaker/TrainingJobs", "limit": 51},
         "ValidationException", "'limit'"),
        ("FilterLogEvents", {"logGroupName": "/aws/sagemaker/TrainingJobs", "filterPattern": '"open'},
         "InvalidParameterException", "filterPattern"),
        ("FilterLogEvents", {"logGroupName": "/no/such"}, "ResourceNotFoundException", "/no/such"),
    ],
)  # fmt: skip
def test_what_the_logs_refuse(client, operation, request_, code, expected_text):
    answer = client.post(f"Logs_20140328.{operation}", json.dumps(request_).encode())
    refused(answer)
    assert (answer.status, answer.code) == (400, code)
    assert expected_text.lower() in answer.message.lower()


@pytest.mark.parametrize(
    ("endpoint", "verb", "headers", "expected_text"),
    [
        ("nothing", "invocations", {}, "Endpoint nothing of account 000000000000 not found."),
        ("there", "invocations", {}, "there"),
        ("a_b", "invocations", {}, "'endpointName'"),
        ("..", "invocations", {}, "'endpointName'"),
        ("%2e%2e%2fetc", "invocations", {}, "'endpointName'"),
        ("x" * 64, "invocations", {}, "length less than or equal to 63"),
        ("nothing", "async-invocations", {}, "Endpoint nothing of account 000000000000 not found."),
        ("nothing", "invocations", {"X_Amzn_SageMaker_Target_Variant": "a_b"}, "'targetVariant'"),
        ("nothing", "invocations", {"X_Amzn_SageMaker_Inference_Id": "x" * 65}, "'inferenceId'"),
        ("nothing", "invocations", {"X_Amzn_SageMaker_Custom_Attributes": "x" * 1025}, "'customAttributes'"),
        ("nothing", "invocations-response-stream", {"X_Amzn_SageMaker_Accept": "x" * 1025}, "'accept'"),
    ],
)
def test_what_the_gateway_refuses(client, endpoint, verb, headers, expected_text):
    answer = client.invoke(endpoint, verb=verb, **headers)
    assert answer.status == 400
    assert answer.headers["x-amzn-errortype"] == "ValidationError"
    assert expected_text in answer.message


# ---- good requests, with members that violate their shapes ----

ASKED: list[str] = []


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(case=broken_requests())
def test_generated_requests_that_violate_their_shapes(client, server, case):
    operation, request, rules = case
    ASKED.append(operation)
    answer = client.call(operation, request)
    refused(answer)
    assert answer.status == 400
    if any(not expected_text for _, expected_text in rules):
        # One value of the wrong JSON type, and nothing else is checked.
        assert answer.code == "SerializationException"
        assert any(_names_member(path, answer.message) for path, expected_text in rules if not expected_text)
    else:
        assert answer.code == "ValidationException"
        for path, expected_text in rules:
            assert _names_member(path, answer.message)
            assert expected_text in answer.message


def _names_member(path: Path, message: str) -> bool:
    """Whether the message names the member; items of plain lists and maps are named by their container, as at AWS."""
    # The keys of a map are spelled as they came.
    return any(f"at '{aws_path(there)}".lower() in message.lower() for there in (path, path[:-1]))


def test_after_all_refusals_everything_is_as_before(client, before, server):
    assert len(ASKED) >= 200
    assert contents(client) == before
    assert all(server.status()[part]["healthy"] for part in ("server", "gateway", "s3"))
