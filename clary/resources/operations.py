"""What the families' operations share: creating, finding, changing and removing a record, and tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from clary.core.errors import RecordExists, RecordMissing, ServiceError, StaleWrite, ValidationException
from clary.core.facts import Facts
from clary.core.records import JSON, Record, Ref, Transition, new_uid
from clary.resources.context import Context

Request = dict[str, Any]
Response = dict[str, Any]
T = TypeVar("T")

MAX_TAGS = 50


def new_record(
    kind: str,
    name: str,
    request: Mapping[str, Any],
    facts: Facts,
    *,
    status: str = "",
    detail: str = "",
    state: Mapping[str, JSON] | None = None,
) -> Record:
    """A record for which nothing has been done yet. Raises ValidationException for tags that do not fit."""
    return Record(
        kind=kind,
        name=name,
        uid=facts.uid,
        status=status,
        detail=detail,
        spec={member: value for member, value in request.items() if member != "Tags"},
        state=state or {},
        tags=tags_in(request.get("Tags", ())),
        created=facts.now,
        modified=facts.now,
    )


def facts_for(context: Context, uid: str, records: Iterable[Record] = ()) -> Facts:
    """What a record of this uid is made of, now; `records` are those that its request names."""
    return Facts(
        settings=context.settings,
        machine=context.machine,
        now=context.clock.now(),
        uid=uid,
        records={record.ref: record for record in records},
    )


async def create(
    context: Context,
    kind: str,
    request: Request,
    *,
    taken: type[ServiceError],
    taken_text: str,
    records: Iterable[Record] = (),
) -> str:
    """Keep the new record of a Create request. Returns its ARN.

    records   those that the request names, for the family's `new_record`
    Raises `taken` with `taken_text` ({arn} stands for the ARN) where the name is in use.
    """
    family = context.families[kind]
    record = family.new_record(request, facts_for(context, new_uid(), records))
    arn = context.account.arn(kind, record.name)
    try:
        await context.store.create(record, family.first_transition(record))
    except RecordExists:
        raise taken(taken_text.format(arn=arn)) from None
    return arn


async def find(context: Context, ref: Ref, missing: str) -> Record:
    """The record. Raises ValidationException with the text `missing` ({arn}, {name} filled in)."""
    try:
        return await context.store.get(ref)
    except RecordMissing:
        arn = context.account.arn(ref.kind, ref.name)
        raise ValidationException(missing.format(arn=arn, name=ref.name)) from None


async def edit(
    context: Context, ref: Ref, missing: str, change: Callable[[Record], Record | None], message: str = ""
) -> Record:
    """Write what a caller wants. Returns the record as it now is.

    change    the record as it shall be, None where it is so already; raises ServiceError to refuse. Called again where
              the record was written meanwhile, so no other change is lost.
    message   of a line of history, "" for none
    Raises ValidationException as `find` does.
    """

    async def write(record: Record) -> Record:
        new = change(record)
        if new is None:
            return record
        now = context.clock.now()
        transition = Transition(new.detail or new.status, message, now) if message else None
        return await context.store.replace(record, replace(new, modified=now), transition)

    return await until_fresh(lambda: find(context, ref, missing), write)


async def remove(
    context: Context, ref: Ref, missing: str, check: Callable[[Record], None] = lambda record: None
) -> None:
    """Remove a record that nothing is left of. `check` raises ServiceError to refuse; ValidationException as `find`."""

    async def write(record: Record) -> None:
        check(record)
        await context.store.delete(record)

    await until_fresh(lambda: find(context, ref, missing), write)


async def until_fresh(read: Callable[[], Awaitable[Record]], write: Callable[[Record], Awaitable[T]]) -> T:
    """What `write` returns. It is called with what `read` gives, anew while others write the record in between."""
    while True:
        try:
            return await write(await read())
        except StaleWrite:
            continue


def tags_in(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """A request's Tags as a dict. Raises ValidationException for AWS's own keys, doubles and too many."""
    found: dict[str, str] = {}
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise ValidationException(
                f"Tag key {tag['Key']!r} is invalid: keys that begin with aws: are reserved. Choose another key."
            )
        if tag["Key"] in found:
            raise ValidationException(f"Duplicate tag key {tag['Key']!r}: give each key once.")
        found[tag["Key"]] = tag["Value"]
    if len(found) > MAX_TAGS:
        raise ValidationException(f"{len(found)} tags given: a resource can have at most {MAX_TAGS}.")
    return found


def echo(record: Record, members: Sequence[str]) -> Response:
    """The request's own members that a Describe returns."""
    return {member: record.spec[member] for member in members if member in record.spec}
