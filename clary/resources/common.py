"""What families share: creating a record, finding one, tags, and saying what is not built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clary.core.decisions import Operation, Unbuilt
from clary.core.errors import (
    NotImplementedByClary,
    RecordExists,
    RecordMissing,
    ServiceError,
    StaleWrite,
    ValidationException,
)
from clary.core.facts import Facts
from clary.core.records import JSON, Record, Ref, Transition, new_uid
from clary.resources.context import Context

Request = dict[str, Any]
Response = dict[str, Any]

MOST_TAGS = 50


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
    """A record as it is before anything was done for it. Raises ValidationException for tags that do not fit."""
    return Record(
        kind=kind,
        name=name,
        uid=facts.uid,
        status=status,
        detail=detail,
        spec={key: value for key, value in request.items() if key != "Tags"},
        state=dict(state or {}),
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


async def find(context: Context, kind: str, name: str, missing: str) -> Record:
    """The record of this name. Raises ValidationException with `missing` ({arn}, {name} filled in)."""
    try:
        return await context.store.get(Ref(kind, name))
    except RecordMissing:
        raise ValidationException(missing.format(arn=context.account.arn(kind, name), name=name)) from None


async def change(context: Context, record: Record, new: Record, message: str = "") -> bool:
    """Write a caller's change. False where the record moved meanwhile: look again."""
    now = context.clock.now()
    line = Transition(new.detail or new.status, message, now) if message else None
    try:
        await context.store.replace(record, replace(new, modified=now), line)
    except StaleWrite:
        return False
    return True


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
    if len(found) > MOST_TAGS:
        raise ValidationException(f"{len(found)} tags given: a resource can have at most {MOST_TAGS}.")
    return found


def refusing_unbuilt(name: str, operation: Operation, unbuilt: Unbuilt) -> Operation:
    """The operation, which first refuses the members of its request that nothing here would act on."""
    if not unbuilt:
        return operation

    async def checked(context: Context, request: Request) -> Response:
        refuse_unbuilt(name, request, unbuilt)
        return await operation(context, request)

    return checked


def refuse_unbuilt(operation: str, request: Request, unbuilt: Unbuilt) -> None:
    """Raise NotImplementedByClary where the request uses a member that nothing here would act on."""
    for member, instead in unbuilt.items():
        path, _, value = member.partition("=")
        for where, found in _at(request, path.split(".")):
            if found and (not value or found == value):
                shown = f" = {found}" if isinstance(found, str | int | bool) else ""
                raise NotImplementedByClary(f"{operation}: {where}{shown} is not built in Clary yet; {instead}.")


def _at(value: Any, steps: list[str], where: str = "") -> Iterator[tuple[str, Any]]:
    if not steps:
        yield where, value
        return
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[]")
    inner = value.get(name) if isinstance(value, dict) else None
    if inner is None:
        return
    path = f"{where}.{name}" if where else name
    if step.endswith("[]"):
        for index, item in enumerate(inner):
            yield from _at(item, rest, f"{path}[{index}]")
    else:
        yield from _at(inner, rest, path)


def echo(record: Record, members: Sequence[str]) -> Response:
    """The request's own members that a Describe tells again."""
    return {member: record.spec[member] for member in members if member in record.spec}
