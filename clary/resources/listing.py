"""List operations, alike for every family: filters, order, pages.

Reference: any List operation of the SageMaker API Reference, e.g. ListTrainingJobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal

from clary.core.decisions import Operation
from clary.core.errors import ValidationException
from clary.core.records import Record
from clary.resources.context import Context
from clary.resources.operations import Request, Response
from clary.store.base import Query

_ORDERS: Mapping[str, Literal["created", "modified", "name", "status"]] = {
    "Name": "name",
    "CreationTime": "created",
    "LastModifiedTime": "modified",
    "Status": "status",
}
DEFAULT_PAGE = 10
_PAGING = ("NextToken", "MaxResults")


def list_operation(
    kind: str,
    result: str,
    summary: Callable[[Context, Record], Response],
    *,
    sort_by: str = "CreationTime",
    sort_order: Literal["Ascending", "Descending"] = "Descending",
    equals: Mapping[str, tuple[str, ...]] | None = None,
) -> Operation:
    """The List operation of a family.

    result      the member of the response that holds the summaries
    sort_by, sort_order   AWS's defaults for this family
    equals      filter member -> path of the spec or state member it must equal
    """

    async def list_records(context: Context, request: Request) -> Response:
        fingerprint = _fingerprint(request)
        query = Query(
            kind=kind,
            name_contains=request.get("NameContains", ""),
            status=(request["StatusEquals"],) if "StatusEquals" in request else (),
            created_after=request.get("CreationTimeAfter"),
            created_before=request.get("CreationTimeBefore"),
            modified_after=request.get("LastModifiedTimeAfter"),
            modified_before=request.get("LastModifiedTimeBefore"),
            equals=[(path, request[member]) for member, path in (equals or {}).items() if member in request],
            order=_ORDERS[request.get("SortBy", sort_by)],
            descending=request.get("SortOrder", sort_order) == "Descending",
            limit=request.get("MaxResults", DEFAULT_PAGE),
            after=_after(request, fingerprint),
        )
        try:
            page = await context.store.list(query)
        except ValueError:
            raise _bad_token() from None
        response: Response = {result: [summary(context, record) for record in page.records]}
        if page.next:
            response["NextToken"] = f"{fingerprint}.{page.next}"
        return response

    return list_records


def _fingerprint(request: Request) -> str:
    """Of the filters and the order, with which alone a token is valid."""
    filters = sorted((key, str(value)) for key, value in request.items() if key not in _PAGING)
    return hashlib.sha256(repr(filters).encode()).hexdigest()[:16]


def _after(request: Request, fingerprint: str) -> str:
    if not (token := request.get("NextToken", "")):
        return ""
    fingerprint_sent, dot, after = token.partition(".")
    if not dot or not after or fingerprint_sent != fingerprint:
        raise _bad_token()
    return str(after)


def _bad_token() -> ValidationException:
    return ValidationException(
        "NextToken is invalid: pass it back as it was given, with the same filters and order, or leave it out."
    )
