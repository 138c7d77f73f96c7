import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from botocore.exceptions import ClientError
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from clary.core.clock import SystemClock
from clary.core.errors import ResourceInUse, ResourceLimitExceeded, StoreError
from clary.core.settings import Settings
from clary.core.sigv4 import sign
from clary.wire.server import make_app
from clary.wire.shapes import SERVICES, Services
from tests.wire.asgi import KEYS, URL, App, MovedClock
from tests.wire.requests import GOOD


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_request_becomes_a_dict_and_a_dict_an_answer():
    arn = "arn:aws:sagemaker:us-east-1:000000000000:training-job/xgb-1"
    app = App({("sagemaker", "CreateTrainingJob"): {"TrainingJobArn": arn}})
    answer = app.client("sagemaker").create_training_job(**GOOD["CreateTrainingJob"])
    assert answer["TrainingJobArn"] == arn
    assert app.seen == [("CreateTrainingJob", GOOD["CreateTrainingJob"])]
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


def test_times_go_both_ways():
    noon = datetime(2024, 1, 31, 12, tzinfo=UTC)
    app = App({("sagemaker", "ListModels"): {"Models": [{"ModelName": "m", "ModelArn": "a", "CreationTime": noon}]}})
    answer = app.client("sagemaker").list_models(CreationTimeAfter=noon)
    assert app.seen == [("ListModels", {"CreationTimeAfter": noon})]
    assert answer["Models"][0]["CreationTime"] == noon


def test_a_session_token_changes_nothing():
    app = App({("sagemaker", "ListModels"): {"Models": []}})
    assert app.client("sagemaker", token="whatever").list_models()["Models"] == []


@pytest.mark.parametrize("error", [ResourceInUse("taken"), ResourceLimitExceeded("too many")])
def test_an_operations_error_is_returned_with_its_code(error):
    app = App({("sagemaker", "CreateTrainingJob"): error})
    client = app.client("sagemaker")
    with pytest.raises(getattr(client.exceptions, error.code), match=error.message) as caught:
        client.create_training_job(**GOOD["CreateTrainingJob"])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_violation_is_refused_before_the_operation_runs():
    app = App({("sagemaker", "CreateModel"): {}})
    code, message = refused(app.client("sagemaker").create_model, ModelName="x_y")
    assert code == "ValidationException"
    assert "Value 'x_y' at 'modelName' failed to satisfy constraint" in message
    assert app.seen == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_of_the_models_has_an_answer(service):
    app = App()
    for operation in Services().named(service).operations:
        if Services().named(service).target:
            answer = app.call(f"{Services().named(service).target}.{operation}", "{}")
        else:
            answer = query(app, f"Action={operation}&Version=1", service)
        assert answer.status == 400
        assert "NotImplementedByClary" in answer.text
        assert f"{operation} of {service} is not built in Clary." in answer.text


def query(app, form, service="sts", **options):
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    keys = {"region": "us-east-1", "service": service, "now": datetime.now(UTC)}
    return app.send("POST", f"{URL}/", sign("POST", f"{URL}/", headers, form.encode(), KEYS, **keys), form)


def test_an_operation_that_is_not_built_names_similar_ones():
    app = App({("sagemaker", "DescribeTrainingJob"): {}})
    code, message = refused(app.client("sagemaker").describe_transform_job, TransformJobName="a")
    assert code == "NotImplementedByClary"
    assert message == "DescribeTransformJob of sagemaker is not built in Clary. There is DescribeTrainingJob."


def test_an_unknown_operation_is_refused():
    app = App()
    answer = app.call("SageMaker.CreateTrainingJub", "{}")
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "UnknownOperationException")
    assert "CreateTrainingJob" in answer.text
    for target in ("SageMaker", "Nothing.ListModels", ".", "SageMaker.", "SageMaker.ListModels.x", "é.é"):
        answer = app.call(target, "{}")
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "UnknownOperationException")
    assert "InvalidAction" in query(app, "Action=Nothing").text
    assert "InvalidAction" in query(app, "Version=1").text


@pytest.mark.parametrize(
    ("service", "call", "request_", "text"),
    [
        ("s3", "list_buckets", {}, "Set AWS_ENDPOINT_URL_S3=http://127.0.0.1:8723."),
        ("ecr", "describe_repositories", {}, "It answers for sagemaker, logs, sts, iam."),
        ("ec2", "describe_instances", {}, "Clary has nothing for the service 'ec2'."),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b"1"},
         "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:8722"),
    ],
)  # fmt: skip
def test_a_request_for_another_service_names_its_address(service, call, request_, text):
    assert text in refused(getattr(App().client(service), call), **request_)[1]


def test_an_invocation_of_the_control_api_is_a_validation_error():
    client = App().client("sagemaker-runtime")
    with pytest.raises(client.exceptions.ValidationError):
        client.invoke_endpoint(EndpointName="e", Body=b"1")


def test_a_database_that_cannot_write_is_an_internal_failure():
    app = App({("sagemaker", "ListModels"): StoreError("the database refused: database or disk is full")})
    answer = app.call("SageMaker.ListModels", "{}")
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (500, "InternalFailure")
    assert b"database or disk is full" in answer.body


def test_an_internal_failure_shows_only_the_request_id():
    app = App({("sagemaker", "ListModels"): RuntimeError("secret detail")})
    with structlog.testing.capture_logs() as logs:
        answer = app.call("SageMaker.ListModels", "{}")
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (500, "InternalFailure")
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    (line,) = (line for line in logs if line["log_level"] == "error")
    assert line["request_id"] == answer.headers["x-amzn-requestid"]
    assert line["request_id"] in answer.text


def test_a_response_that_cannot_be_written_is_an_internal_failure():
    app = App({("sagemaker", "ListModels"): {"Models": object()}})
    with structlog.testing.capture_logs():
        assert app.call("SageMaker.ListModels", "{}").status == 500


# ---- who is calling ----


def test_signatures_are_verified():
    answers = {("sagemaker", "ListModels"): {"Models": []}, ("sts", "GetCallerIdentity"): {}}
    app = App(answers)
    list_models = App(answers).client("sagemaker", secret_access_key="wrong").list_models
    assert refused(list_models)[0] == "InvalidSignatureException"
    list_models = app.client("sagemaker", access_key_id="AKIAWRONG").list_models
    assert refused(list_models)[0] == "UnrecognizedClientException"
    assert refused(app.client("sts", secret_access_key="x").get_caller_identity)[0] == "SignatureDoesNotMatch"
    answer = app.send("POST", f"{URL}/", {"X-Amz-Target": "SageMaker.ListModels"}, "{}")
    assert answer.status == 403
    assert "MissingAuthenticationTokenException" in answer.text
    assert app.seen == []


def test_a_wrong_clock_is_named():
    app = App({("sagemaker", "ListModels"): {}}, clock=MovedClock(timedelta(minutes=16)))
    code, message = refused(app.client("sagemaker").list_models)
    assert code == "InvalidSignatureException"
    assert message.startswith("Signature expired: ")


def test_another_region_is_refused_with_a_remedy():
    app = App({("sagemaker", "ListModels"): {"Models": []}, ("sts", "GetCallerIdentity"): {"Account": "1"}})
    code, message = refused(app.client("sagemaker", region="eu-west-1").list_models)
    assert code == "InvalidSignatureException"
    assert "AWS_DEFAULT_REGION" in message
    assert app.client("sts", region="eu-west-1").get_caller_identity()["Account"] == "1"


def test_a_signature_for_another_service_is_refused():
    answer = App({("logs", "DescribeLogGroups"): {}})
    headers = {"X-Amz-Target": "Logs_20140328.DescribeLogGroups"}
    signed = sign(
        "POST", f"{URL}/", headers, b"{}", KEYS, region="us-east-1", service="sagemaker", now=datetime.now(UTC)
    )
    assert "Credential should be scoped to correct service: 'logs'" in answer.send("POST", f"{URL}/", signed, "{}").text


def test_a_presigned_query_works():
    app = App({("sts", "GetCallerIdentity"): {"Account": "1"}})
    url = app.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    answer = app.send("GET", url, {})
    assert answer.status == 200
    assert "<Account>1</Account>" in answer.text
    assert app.send("GET", url.replace("Version=2011-06-15", "Version=2011-06-16"), {}).status == 403


# ---- bodies ----


def small():
    return App({("sagemaker", "ListModels"): {"Models": []}}, Settings(home=Path("/nowhere"), max_request_mib=1))


def test_a_body_that_is_too_large_is_refused_and_its_rest_read():
    request = {"NameContains": "x" * 2**20}
    code, message = refused(small().client("sagemaker").list_models, **request)
    assert code == "RequestEntityTooLarge"
    assert "max_request_mib" in message


def test_a_body_without_an_announced_length_is_bounded_too():
    answer = small().send("POST", f"{URL}/", {"X-Amz-Target": "SageMaker.ListModels"}, *[b"x" * 2**18] * 1000)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


def test_a_body_in_pieces_is_one_body():
    app = small()
    headers = {"X-Amz-Target": "SageMaker.ListModels"}
    body = b'{"NameContains": "a"}'
    signed = sign(
        "POST", f"{URL}/", headers, body, KEYS, region="us-east-1", service="sagemaker", now=datetime.now(UTC)
    )
    assert app.send("POST", f"{URL}/", signed, *[body[i : i + 1] for i in range(len(body))]).status == 200
    assert app.seen == [("ListModels", {"NameContains": "a"})]


def test_a_long_body_is_read_in_a_thread():
    app = App({("sagemaker", "AddTags"): {"Tags": []}})
    tags = [{"Key": f"k{i}", "Value": "é" * 200} for i in range(50)]
    body = {"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:model/m", "Tags": tags, "Ignored": "x" * 100_000}
    app.client("sagemaker").add_tags(**{key: body[key] for key in ("ResourceArn", "Tags")})
    assert app.seen[0][1]["Tags"] == tags


# ---- beside the API ----


def test_health_needs_no_signature():
    answer = App().send("GET", f"{URL}/healthz", {})
    assert answer.status == 200
    assert '"status":"ok"' in answer.text


def test_other_routes_come_first():
    app = App()

    async def page(request):
        return PlainTextResponse("hello")

    app.app = make_app({}, KEYS, app.settings, SystemClock(), [Route("/console", page)])
    assert app.send("GET", f"{URL}/console", {}).text == "hello"


@pytest.mark.parametrize("path", ["/", "/healthz/", "/%0a", "/a/../b", "/%ff", "/healthz%2f"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_paths_and_methods_are_refused(method, path):
    answer = App().send(method, f"{URL}{path}", {})
    assert answer.status == 403
    assert "MissingAuthenticationToken" in answer.text


def test_a_client_that_disconnects_is_not_an_error():
    async def leave():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
        await App().app(scope, receive, send)

    asyncio.run(leave())
