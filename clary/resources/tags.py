"""Tags, on every kind of resource alike.

Reference: AddTags, ListTags, DeleteTags (SageMaker API Reference).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clary.core import arns
from clary.core.errors import RecordMissing, StaleWrite, ValidationException
from clary.core.records import Record
from clary.resources.common import MOST_TAGS, Request, Response, tags_in
from clary.resources.context import Context

DEFAULT_PAGE = 50


async def add_tags(context: Context, request: Request) -> Response:
    added = tags_in(request["Tags"])

    def with_added(tags: dict[str, str]) -> dict[str, str]:
        if len(merged := {**tags, **added}) > MOST_TAGS:
            raise ValidationException(f"The resource would have {len(merged)} tags: at most {MOST_TAGS} are allowed.")
        return merged

    return {"Tags": _as_list(await _retag(context, request["ResourceArn"], with_added))}


async def list_tags(context: Context, request: Request) -> Response:
    tags = _as_list((await _resource(context, request["ResourceArn"])).tags)
    try:
        start = int(request.get("NextToken", "0"))
    except ValueError:
        start = -1
    if not 0 <= start <= len(tags):
        raise ValidationException("NextToken is invalid: pass it back as it was given, or leave it out.")
    end = start + request.get("MaxResults", DEFAULT_PAGE)
    return {"Tags": tags[start:end]} | ({"NextToken": str(end)} if end < len(tags) else {})


async def delete_tags(context: Context, request: Request) -> Response:
    gone = set(request["TagKeys"])
    await _retag(
        context, request["ResourceArn"], lambda tags: {key: value for key, value in tags.items() if key not in gone}
    )
    return {}


async def _resource(context: Context, arn: str) -> Record:
    kind, name = arns.parse(arn) or ("", "")
    if kind not in context.families or arn.lower() != context.account.arn(kind, name).lower():
        raise ValidationException(
            f"ResourceArn {arn!r} names no resource that can have tags in account {context.account.id}, region "
            f"{context.account.region}."
        )
    try:
        return await context.store.find(kind, name)
    except RecordMissing:
        raise ValidationException(f"Could not find resource {arn!r}. Check its name with the Describe call.") from None


async def _retag(context: Context, arn: str, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
    """Change a resource's tags; somebody else's write in between is kept."""
    while True:
        record = await _resource(context, arn)
        tags = change(dict(record.tags))
        try:
            await context.store.replace(record, replace(record, tags=tags))
        except StaleWrite:
            continue
        return tags


def _as_list(tags: object) -> list[dict[str, str]]:
    assert isinstance(tags, dict)
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


OPERATIONS = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}
