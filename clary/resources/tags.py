"""Tags, on every kind of resource alike.

Reference: AddTags, ListTags, DeleteTags (SageMaker API Reference).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from clary.core import arns
from clary.core.errors import RecordMissing, ValidationException
from clary.core.records import Record
from clary.resources.context import Context
from clary.resources.operations import MAX_TAGS, Request, Response, tags_in, until_fresh

DEFAULT_PAGE = 50


async def add_tags(context: Context, request: Request) -> Response:
    added = tags_in(request["Tags"])

    def with_added(tags: dict[str, str]) -> dict[str, str]:
        if len(merged := {**tags, **added}) > MAX_TAGS:
            raise ValidationException(f"The resource would have {len(merged)} tags: at most {MAX_TAGS} are allowed.")
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
    removed = set(request["TagKeys"])

    def without_removed(tags: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in tags.items() if key not in removed}

    await _retag(context, request["ResourceArn"], without_removed)
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
    """Change a resource's tags and return them. They do not change the time of its last modification."""

    async def write(record: Record) -> dict[str, str]:
        tags = change(dict(record.tags))
        await context.store.replace(record, replace(record, tags=tags))
        return tags

    return await until_fresh(lambda: _resource(context, arn), write)


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


OPERATIONS = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}
