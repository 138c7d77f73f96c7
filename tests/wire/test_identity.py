import functools
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from clary.core.arns import Account
from clary.core.clock import SystemClock
from clary.resources.identity import OPERATIONS
from tests.wire.asgi import KEYS, App

ACCOUNT = Account("123456789012", "us-east-1")


@pytest.fixture
def app():
    context = SimpleNamespace(account=ACCOUNT, credentials=KEYS, clock=SystemClock())
    return App({key: functools.partial(operation, context) for key, operation in OPERATIONS.items()})


def test_the_caller_is_an_assumed_role_that_can_be_an_execution_role(app):
    """What both SDKs do with it: an ARN of STS becomes a role's name, and IAM is asked for that role."""
    identity = app.client("sts").get_caller_identity()
    assert identity["Account"] == ACCOUNT.id
    role = re.fullmatch(r"arn:aws:sts::\d+:assumed-role/(.+?)/.*", identity["Arn"])[1]
    found = app.client("iam").get_role(RoleName=role)["Role"]
    assert found["Arn"] == ACCOUNT.role_arn
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_every_role_may_do_everything(app):
    answer = app.client("iam").simulate_principal_policy(
        PolicySourceArn=ACCOUNT.role_arn, ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=["a", "b"]
    )
    assert len(answer["EvaluationResults"]) == 4
    assert {result["EvalDecision"] for result in answer["EvaluationResults"]} == {"allowed"}
    without = app.client("iam").simulate_principal_policy(PolicySourceArn=ACCOUNT.role_arn, ActionNames=["s3:Get*"])
    assert without["EvaluationResults"][0]["EvalResourceName"] == "*"


def test_assuming_a_role_gives_keys_that_work(app):
    answer = app.client("sts").assume_role(RoleArn=ACCOUNT.role_arn, RoleSessionName="me", DurationSeconds=900)
    keys = answer["Credentials"]
    again = app.client(
        "sts", access_key_id=keys["AccessKeyId"], secret_access_key=keys["SecretAccessKey"], token=keys["SessionToken"]
    )
    assert again.get_caller_identity()["Account"] == ACCOUNT.id
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/ClaryExecutionRole/me"
    assert keys["Expiration"] - datetime.now(UTC) < timedelta(seconds=901)


def test_bad_names_are_refused_as_query_services_do(app):
    with pytest.raises(ClientError) as caught:
        app.client("iam").get_role(RoleName="a b")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert "Value 'a b' at 'roleName' failed to satisfy constraint" in caught.value.response["Error"]["Message"]
