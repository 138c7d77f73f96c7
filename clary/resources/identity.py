"""The caller's identity and the roles: everybody with the keys is the account's only role, which may do everything.

Reference: STS API Reference, GetCallerIdentity, AssumeRole; IAM API Reference, GetRole, SimulatePrincipalPolicy.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from clary.core.decisions import Operation
from clary.resources.context import Context

Request = dict[str, Any]
Response = dict[str, Any]

SESSION = "clary"
SESSION_S = 3600

# Roles exist from the beginning.
_CREATED = datetime(2024, 1, 1, tzinfo=UTC)

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


async def get_caller_identity(context: Context, request: Request) -> Response:
    # Both SDKs refuse a user as execution role, so the caller is an assumed role.
    role = context.account.role_arn.rpartition("/")[2]
    return {
        "UserId": f"{_id('AROA', role)}:{SESSION}",
        "Account": context.account.id,
        "Arn": _session_arn(context, role, SESSION),
    }


async def assume_role(context: Context, request: Request) -> Response:
    """The same keys again: there is one pair, and every role may do the same."""
    role, session = request["RoleArn"].rpartition("/")[2], request["RoleSessionName"]
    lasts = timedelta(seconds=request.get("DurationSeconds", SESSION_S))
    return {
        "Credentials": {
            "AccessKeyId": context.credentials.access_key_id,
            "SecretAccessKey": context.credentials.secret_access_key,
            "SessionToken": _id("FwoG", session),
            "Expiration": context.clock.now() + lasts,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{_id('AROA', role)}:{session}",
            "Arn": _session_arn(context, role, session),
        },
    }


async def get_role(context: Context, request: Request) -> Response:
    """Every role of the account exists."""
    name = request["RoleName"]
    return {
        "Role": {
            "Path": "/",
            "RoleName": name,
            "RoleId": _id("AROA", name),
            "Arn": f"arn:aws:iam::{context.account.id}:role/{name}",
            "CreateDate": _CREATED,
            "AssumeRolePolicyDocument": quote(json.dumps(_TRUST)),
            "MaxSessionDuration": SESSION_S,
        }
    }


async def simulate_principal_policy(context: Context, request: Request) -> Response:
    """Each action on each resource is allowed."""
    return {
        "EvaluationResults": [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "allowed",
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in request["ActionNames"]
            for resource in request.get("ResourceArns", ["*"])
        ],
        "IsTruncated": False,
    }


def _session_arn(context: Context, role: str, session: str) -> str:
    return f"arn:aws:sts::{context.account.id}:assumed-role/{role}/{session}"


def _id(kind: str, name: str) -> str:
    """AWS's form of an id, the same for the same name."""
    return kind + hashlib.sha256(name.encode()).hexdigest()[:17].upper()


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("sts", "GetCallerIdentity"): get_caller_identity,
    ("sts", "AssumeRole"): assume_role,
    ("iam", "GetRole"): get_role,
    ("iam", "SimulatePrincipalPolicy"): simulate_principal_policy,
}
