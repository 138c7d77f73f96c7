"""The operations of CloudWatch Logs that are built.

Reference: CloudWatch Logs API Reference, DescribeLogGroups, DescribeLogStreams, GetLogEvents, FilterLogEvents.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

from clary.artifacts.logs import Event, InvalidOffset, LogNotFound, Page, Stream, Window
from clary.core.arns import Account
from clary.core.decisions import Operation
from clary.core.errors import InvalidParameterException, ResourceNotFoundException
from clary.resources.context import Context
from clary.resources.logs.filter_pattern import parse as parse_pattern
from clary.resources.logs.merged import Merged

Request = dict[str, Any]
Response = dict[str, Any]

MAX_EVENTS = 10_000
MAX_DESCRIBED = 50
# FilterLogEvents stops here and hands out a token, so that a pattern nothing matches costs each call the same.
MAX_SCANNED_BYTES = 16 * 2**20
MAX_RETURNED_BYTES = 2**20


async def describe_log_groups(context: Context, request: Request) -> Response:
    prefix = request.get("logGroupNamePrefix", "")
    names = await asyncio.to_thread(context.log_streams.groups, prefix)
    if part := request.get("logGroupNamePattern"):
        names = [name for name in names if part in name]
    after = _start_after(request)
    page, token = _first_page(
        [name for name in names if name > after], request.get("limit", MAX_DESCRIBED), lambda name: name
    )
    groups = [
        {"logGroupName": name, "arn": _group_arn(context.account, name), "storedBytes": 0, "metricFilterCount": 0}
        for name in page
    ]
    return {"logGroups": groups, "nextToken": token}


async def describe_log_streams(context: Context, request: Request) -> Response:
    return await _in_thread(_describe_streams, context, request, _group(request))


async def get_log_events(context: Context, request: Request) -> Response:
    return await _in_thread(_get_events, context, request, _group(request))


async def filter_log_events(context: Context, request: Request) -> Response:
    if "logStreamNames" in request and "logStreamNamePrefix" in request:
        raise InvalidParameterException("logStreamNames and logStreamNamePrefix cannot be given together.")
    return await _in_thread(_filter_events, context, request, _group(request))


async def _in_thread(operation: Any, context: Context, request: Request, group: str) -> Response:
    """Files are read in a thread; what is wrong with them becomes AWS's error."""
    try:
        response: Response = await asyncio.to_thread(operation, context, request, group)
        return response
    except LogNotFound as error:
        raise ResourceNotFoundException(str(error)) from None
    except InvalidOffset as error:
        raise InvalidParameterException(str(error)) from None


def _group(request: Request) -> str:
    """The group's name: as logGroupName has it, or as the name or ARN in logGroupIdentifier."""
    if ("logGroupName" in request) == ("logGroupIdentifier" in request):
        raise InvalidParameterException("Give one of logGroupName and logGroupIdentifier.")
    if "logGroupName" in request:
        return str(request["logGroupName"])
    identifier = str(request["logGroupIdentifier"])
    return identifier.split(":", 6)[6].removesuffix(":*") if identifier.startswith("arn:") else identifier


def _describe_streams(context: Context, request: Request, group: str) -> Response:
    by_time = request.get("orderBy") == "LastEventTime"
    prefix = request.get("logStreamNamePrefix", "")
    if by_time and prefix:
        raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
    # A stream's place in the order; by time it may move while pages are read, as it does at AWS.
    keys = [(at if by_time else 0, name) for name, at in context.log_streams.names(group, prefix)]
    keys.sort(reverse=(descending := request.get("descending", False)))
    if "nextToken" in request:
        after = _read_token(request["nextToken"], int, str)
        keys = [key for key in keys if (key < after if descending else key > after)]
    page, token = _first_page(keys, request.get("limit", MAX_DESCRIBED), list)
    streams = []
    for _, name in page:
        try:
            streams.append(_stream(context.account, group, context.log_streams.stream(group, name)))
        except LogNotFound:
            continue  # removed meanwhile
    return {"logStreams": streams, "nextToken": token}


def _stream(account: Account, group: str, stream: Stream) -> Response:
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "firstEventTimestamp": stream.first_ms,
        "lastEventTimestamp": stream.last_ms,
        "lastIngestionTime": stream.modified_ms,
        "uploadSequenceToken": f"{stream.size_bytes:020d}",
        "arn": account.log_stream_arn(group, stream.name),
        "storedBytes": 0,  # AWS has given 0 for streams since 2019
    }


def _get_events(context: Context, request: Request, group: str) -> Response:
    stream, limit = request["logStreamName"], request.get("limit", MAX_EVENTS)
    window = Window(request.get("startTime"), request.get("endTime"))
    forward, position = _position(request.get("nextToken"), request.get("startFromHead", False))
    read = context.log_streams.head if forward else context.log_streams.tail
    page: Page = read(group, stream, window, limit, position)
    return {
        "events": [
            {"timestamp": event.at_ms, "message": event.text, "ingestionTime": event.at_ms} for event in page.events
        ],
        "nextForwardToken": f"f/{page.after:020d}",
        "nextBackwardToken": f"b/{page.before:020d}",
    }


def _position(token: str | None, from_head: bool) -> tuple[bool, int | None]:
    if token is None:
        return from_head, None
    if not re.fullmatch(r"[fb]/[0-9]{1,20}", token):
        raise InvalidParameterException("The specified nextToken is invalid.")
    return token.startswith("f"), int(token[2:])


def _filter_events(context: Context, request: Request, group: str) -> Response:
    pattern = parse_pattern(request.get("filterPattern", ""))
    after = _read_token(request["nextToken"], int, str, int) if "nextToken" in request else None
    start_ms = request.get("startTime")
    if after is not None:
        start_ms = max(after[0], start_ms or 0)
    window = Window(start_ms, request.get("endTime"))
    merged = Merged(context.log_streams, group, _streams(context, request, group), window)
    limit, returned, scanned = request.get("limit", MAX_EVENTS), 0, 0
    events: list[Response] = []
    last: tuple[int, str, int] | None = None
    for key, event in merged:
        if after is not None and key <= after:
            continue
        if len(events) >= limit or returned >= MAX_RETURNED_BYTES or scanned >= MAX_SCANNED_BYTES:
            return {"events": events, "searchedLogStreams": [], "nextToken": _token(last)}
        last = key
        scanned += event.end - event.start
        if pattern.matches(event.text):
            returned += len(event.text)
            events.append(_filtered(key[1], event))
    return {"events": events, "searchedLogStreams": []}


def _filtered(stream: str, event: Event) -> Response:
    return {
        "logStreamName": stream,
        "timestamp": event.at_ms,
        "message": event.text,
        "ingestionTime": event.at_ms,
        "eventId": f"{event.at_ms:020d}{event.start:036d}",
    }


def _streams(context: Context, request: Request, group: str) -> list[str]:
    if "logStreamNames" in request:
        for name in request["logStreamNames"]:
            context.log_streams.stream(group, name)  # raises LogNotFound
        return sorted(set(request["logStreamNames"]))
    start_ms = request.get("startTime", 0)
    names = context.log_streams.names(group, request.get("logStreamNamePrefix", ""))
    # File systems keep coarser time than we do.
    return [name for name, modified_ms in names if modified_ms >= start_ms - 1000]


def _group_arn(account: Account, group: str) -> str:
    return f"arn:aws:logs:{account.region}:{account.id}:log-group:{group}:*"


def _start_after(request: Request) -> str:
    return str(_read_token(request["nextToken"], str)[0]) if "nextToken" in request else ""


def _first_page(items: list[Any], limit: int, key: Any) -> tuple[list[Any], str | None]:
    """The first page of these items, and the token of the next."""
    page = items[:limit]
    return page, _token(key(page[-1])) if len(items) > limit else None


def _token(key: Any) -> str:
    values = [key] if isinstance(key, str) else list(key)
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _read_token(token: str, *types: type) -> tuple[Any, ...]:
    """What `_token` was made of. Raises InvalidParameterException for anything else."""
    try:
        values = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(types):
        raise InvalidParameterException("The specified nextToken is invalid.")
    return tuple(values)


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("logs", "DescribeLogGroups"): describe_log_groups,
    ("logs", "DescribeLogStreams"): describe_log_streams,
    ("logs", "GetLogEvents"): get_log_events,
    ("logs", "FilterLogEvents"): filter_log_events,
}
