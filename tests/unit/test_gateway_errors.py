"""The wording of errors, and that AWS's parser finds every member in them."""

import json

import botocore.loaders
import botocore.model
import botocore.parsers
import pytest

from clary.core.arns import Account
from clary.core.errors import InternalFailure, ServiceError, ServiceUnavailable, ValidationError
from clary.gateway.errors import MESSAGE_LIMIT, ErrorFactory, ModelError, error_body

ERRORS = ErrorFactory(Account("123456789012", "eu-west-1"), "http://127.0.0.1:8721")
MODEL = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("sagemaker-runtime", "service-2"))


def parsed(error: ServiceError) -> dict:
    answer = {
        "status_code": error.status,
        "headers": {"x-amzn-errortype": error.code, "content-type": "application/json"},
        "body": error_body(error),
    }
    shape = MODEL.operation_model("InvokeEndpoint").output_shape
    return botocore.parsers.create_parser("rest-json").parse(answer, shape)


@pytest.mark.parametrize(
    "error", [ValidationError("v"), ServiceUnavailable("s"), InternalFailure("i"), ERRORS.model_error("e", 500, "x")]
)
def test_status_and_code_are_the_models(error):
    declared = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for shape in MODEL.operation_model("InvokeEndpoint").error_shapes
    }
    assert declared[error.code] == error.status
    assert parsed(error)["Error"]["Code"] == error.code
    assert parsed(error)["Error"]["Message"] == error.message


@pytest.mark.parametrize(
    ("status", "blame", "code"),
    [
        (400, "client", "CLIENT_ERROR_FROM_MODEL"),
        (499, "client", "CLIENT_ERROR_FROM_MODEL"),
        (500, "server", "INTERNAL_FAILURE_FROM_MODEL"),
        (302, "server", "INTERNAL_FAILURE_FROM_MODEL"),
        (0, "server", None),
    ],
)
def test_a_model_error(status, blame, code):
    answer = parsed(ERRORS.model_error("e", status, "its own message"))
    assert answer["Error"]["Message"] == (
        f'Received {blame} error ({status}) from primary with message "its own message". See '
        "http://127.0.0.1:8721/cloudwatch/home?region=eu-west-1#logEventViewer:group=/aws/sagemaker/Endpoints/e "
        "in account 123456789012 for more information."
    )
    assert json.loads(error_body(ERRORS.model_error("e", status, "its own message"))) == {
        **({"ErrorCode": code} if code else {}),
        "Message": answer["Error"]["Message"],
        "OriginalMessage": "its own message",
        "OriginalStatusCode": status,
        "LogStreamArn": "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/e",
    }


@pytest.mark.parametrize("length", [0, 1800, 2048, 2049, 100_000])
def test_no_text_is_longer_than_the_model_allows(length):
    error = ERRORS.model_error("e" * 63, 500, "x" * length)
    assert isinstance(error, ModelError)
    assert len(error.message) <= MESSAGE_LIMIT
    assert len(error.original_message) == min(length, MESSAGE_LIMIT)
    assert error.message.endswith("for more information.")


def test_an_unknown_endpoint():
    assert ERRORS.not_found("e").message == "Endpoint e of account 123456789012 not found."
