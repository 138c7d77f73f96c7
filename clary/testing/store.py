"""What every store must do: subclass StoreContract and give it a `store` fixture.

class TestMine(StoreContract):
    @pytest.fixture
    async def store(self):
        store = await open_mine()
        yield store
        await store.close()
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from clary.core.errors import ChildrenExist, RecordExists, RecordMissing, StaleWrite
from clary.core.records import JSON, Record, Ref, Transition
from clary.store.base import Query, Store

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)

HOSTILE_TEXTS = [
    "",
    "\x00",
    "a\x00b\x10c\x100000",
    "\ud800",
    "\udfff\ud800",
    "\U0001f33f æøå",
    "'; DROP TABLE records; --",
    "%_\\%",
    '{"a": 1}',
    "\r\n\t\x1b[31m",
    "\ufeff\ufffe\uffff",
]
HOSTILE_JSON: list[JSON] = [
    *HOSTILE_TEXTS,
    10**400,
    -(2**63) - 1,
    5e-324,
    1.7976931348623157e308,
    0.1 + 0.2,
    True,
    None,
    [],
    {},
    [[[{"": [None, 1, "1", 1.0]}]]],
    {text: {text: text} for text in HOSTILE_TEXTS},
]


def a_record(name: str = "r1", **changes: Any) -> Record:
    """A record, of a training job by default; every field can be given."""
    record = Record("training-job", name, f"uid-{name}", "InProgress", {}, created=T0, modified=T0)
    return dataclasses.replace(record, **changes)


def a_line(status: str = "Starting", message: str = "", at: datetime = T0) -> Transition:
    return Transition(status, message, at)


async def names(store: Store, query: Query) -> list[str]:
    """All that a query finds, page by page."""
    found: list[str] = []
    while True:
        page = await store.list(query)
        assert len(page.records) <= query.limit
        assert not page.next or len(page.records) == query.limit
        found += [record.name for record in page.records]
        if not page.next:
            return found
        query = dataclasses.replace(query, after=page.next)


@pytest.mark.anyio
class StoreContract:
    """What clary.store.base.Store promises."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    # One record

    async def test_a_record_comes_back_as_it_went(self, store: Store) -> None:
        record = a_record(
            detail="Starting",
            spec={"TrainingJobName": "r1", "z": 1, "a": [1.5, None]},
            state={"ModelArtifacts": {"S3ModelArtifacts": "s3://b/k"}},
            reason="AlgorithmError: ✗",
            tags={"team": "x", "ünï": ""},
            modified=T0 + MICROSECOND,
        )
        created = await store.create(record)
        assert created == dataclasses.replace(record, version=1)
        assert await store.get(record.ref) == created
        assert list((await store.get(record.ref)).spec) == ["TrainingJobName", "z", "a"]

    async def test_what_is_not_there_is_missing(self, store: Store) -> None:
        await store.create(a_record("r1"))
        for ref in (Ref("training-job", "r2"), Ref("model", "r1"), Ref("training-job", "R1"), Ref("", "\x00")):
            with pytest.raises(RecordMissing):
                await store.get(ref)

    async def test_a_taken_name_is_refused_with_the_record_that_has_it(self, store: Store) -> None:
        first = await store.create(a_record(spec={"n": 1}), a_line(message="first"))
        with pytest.raises(RecordExists) as refused:
            await store.create(a_record(uid="other", spec={"n": 2}), a_line(message="second"))
        assert refused.value.record == first
        assert await store.get(first.ref) == first
        assert await store.history(first) == [a_line(message="first")]

    async def test_names_differ_by_case_and_kind(self, store: Store) -> None:
        for record in (a_record("job"), a_record("JOB"), a_record("job", kind="model")):
            assert (await store.create(record)).ref == record.ref

    async def test_a_record_is_found_by_its_lower_cased_name_the_newest_first(self, store: Store) -> None:
        await store.create(a_record("My-Job", created=T0 + SECOND))
        await store.create(a_record("MY-JOB", created=T0))
        await store.create(a_record("my-job", created=T0 + 2 * SECOND, kind="model"))
        assert (await store.find("training-job", "my-job")).name == "My-Job"
        for kind, lower_name in (("training-job", "My-Job"), ("training-job", "my"), ("endpoint", "my-job")):
            with pytest.raises(RecordMissing):
                await store.find(kind, lower_name)

    @pytest.mark.parametrize("value", HOSTILE_JSON, ids=lambda value: ascii(value)[:20])
    async def test_whatever_json_can_express_is_kept(self, store: Store, value: JSON) -> None:
        record = await store.create(a_record(spec={"member": value}))
        record = await store.replace(record, record.with_state(member=value))
        kept = await store.get(record.ref)
        assert json.dumps([kept.spec, kept.state]) == json.dumps([record.spec, record.state])

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), -float("inf"), {1, 2}, b"", object()],
        ids=lambda value: type(value).__name__,
    )
    async def test_what_json_cannot_express_is_refused(self, store: Store, value: Any) -> None:
        for refused in (a_record(spec={"member": value}), a_record(state={"member": value})):
            with pytest.raises(ValueError, match="JSON"):
                await store.create(refused, a_line())
        record = await store.create(a_record())
        with pytest.raises(ValueError, match="JSON"):
            await store.replace(record, record.with_state(member=value), a_line())
        assert await store.get(record.ref) == record
        assert await store.history(record) == []

    async def test_endless_nesting_is_refused(self, store: Store) -> None:
        nested: JSON = []
        for _ in range(100_000):
            nested = [nested]
        with pytest.raises(ValueError, match="JSON"):
            await store.create(a_record(spec={"member": nested}))

    @pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
    async def test_any_text_is_kept(self, store: Store, text: str) -> None:
        record = a_record(f"n{text}", status=f"s{text}", detail=text, reason=text, tags={text: text})
        record = await store.create(record, a_line(f"s{text}", text))
        assert await store.get(record.ref) == record
        assert await store.find(record.kind, record.name.lower()) == record
        assert await store.history(record) == [a_line(f"s{text}", text)]
        assert await store.in_status(record.kind, [f"s{text}"]) == [record.ref]
        assert await store.count(record.kind) == {f"s{text}": 1}
        assert await names(store, Query(record.kind, name_contains=text, status=[f"s{text}"])) == [record.name]

    @pytest.mark.parametrize(
        "moment",
        [
            datetime.min.replace(tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
        ],
        ids=str,
    )
    async def test_times_are_kept_to_the_microsecond(self, store: Store, moment: datetime) -> None:
        record = await store.create(a_record(created=moment, modified=moment), a_line(at=moment))
        kept = await store.get(record.ref)
        assert (kept.created, kept.modified) == (moment, moment)
        assert kept.created.tzinfo is UTC
        assert await store.history(record) == [a_line(at=moment)]

    async def test_a_time_without_a_zone_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="time zone"):
            await store.create(a_record(created=T0.replace(tzinfo=None)))
        with pytest.raises(RecordMissing):
            await store.get(a_record().ref)

    # Writes

    async def test_a_write_counts_versions(self, store: Store) -> None:
        first = await store.create(a_record())
        second = await store.replace(first, dataclasses.replace(first, status="Stopping", modified=T0 + SECOND))
        third = await store.replace(second, second.with_state(n=1))
        assert [first.version, second.version, third.version] == [1, 2, 3]
        assert await store.get(first.ref) == third
        assert (third.status, third.state, third.modified) == ("Stopping", {"n": 1}, T0 + SECOND)

    async def test_a_write_on_an_old_version_is_stale(self, store: Store) -> None:
        first = await store.create(a_record())
        second = await store.replace(first, first.with_state(n=1))
        with pytest.raises(StaleWrite):
            await store.replace(first, first.with_state(n=2), a_line())
        with pytest.raises(StaleWrite):
            await store.delete(first)
        assert await store.get(first.ref) == second
        assert await store.history(second) == []

    async def test_a_write_on_a_deleted_record_is_stale(self, store: Store) -> None:
        deleted = await store.create(a_record())
        await store.delete(deleted)
        for again in (False, True):
            if again:  # same name and version, but another record
                await store.create(a_record(uid="another"))
            with pytest.raises(StaleWrite):
                await store.replace(deleted, deleted.with_state(n=1), a_line())
            with pytest.raises(StaleWrite):
                await store.delete(deleted)

    async def test_a_record_cannot_become_another(self, store: Store) -> None:
        record = await store.create(a_record())
        for other in (a_record("r2"), a_record(kind="model"), a_record(uid="other")):
            with pytest.raises(ValueError, match="in place of"):
                await store.replace(record, other)
        assert await store.get(record.ref) == record

    async def test_a_record_is_deleted_with_its_history(self, store: Store) -> None:
        record = await store.create(a_record(spec={"a": "b"}), a_line())
        await store.delete(record)
        with pytest.raises(RecordMissing):
            await store.get(record.ref)
        assert await names(store, Query(record.kind, equals=[(("spec", "a"), "b")])) == []
        after = await store.create(a_record(uid="another"))
        assert await store.history(after) == []
        assert await store.history(record) == []

    async def test_history_is_in_order_and_a_line_of_the_same_status_changes_its_message(self, store: Store) -> None:
        record = await store.create(a_record(), a_line("Starting", "one", T0))
        for seconds, status, message in (
            (1, "Downloading", "two"),
            (2, "Downloading", "three"),
            (3, "Training", ""),
            (2, "Starting", "again"),
        ):
            record = await store.replace(record, record, a_line(status, message, T0 + seconds * SECOND))
        record = await store.replace(record, record)
        assert await store.history(record) == [
            a_line("Starting", "one", T0),
            a_line("Downloading", "three", T0 + SECOND),
            a_line("Training", "", T0 + 3 * SECOND),
            a_line("Starting", "again", T0 + 2 * SECOND),
        ]

    async def test_another_records_history_is_its_own(self, store: Store) -> None:
        first = await store.create(a_record("first"), a_line(message="first"))
        second = await store.create(a_record("second"), a_line(message="second"))
        assert await store.history(first) == [a_line(message="first")]
        assert await store.history(dataclasses.replace(second, uid="another")) == []

    # Owners

    async def test_node_placements_and_refusals_come_back(self, store: Store) -> None:
        kept: dict[str, Any] = {
            "node": "n1",
            "placements": {"r1-0": "n1"},
            "refusals": {"r1-1": "CapacityError: ✗\x00"},
        }
        record = await store.create(a_record(**kept))
        assert await store.get(record.ref) == record
        record = await store.replace(record, dataclasses.replace(record, node="n2", placements={}, refusals={}))
        assert await store.get(record.ref) == record

    async def test_children_are_found_page_by_page_and_by_status(self, store: Store) -> None:
        owner, other = [await store.create(a_record(name, kind="tuning-job")) for name in ("owner", "other")]
        for number in range(7):
            status = "InProgress" if number % 2 else "Completed"
            child = a_record(f"c{number}", created=T0 + number * SECOND, status=status)
            kept = await store.create(child.owned_by(other if number == 6 else owner))
            assert await store.get(kept.ref) == kept
        await store.create(a_record("nobodys"))
        await store.create(a_record("of-another-kind", kind="model").owned_by(owner))
        assert await names(store, Query("training-job", owned_by=owner, limit=4)) == [
            "c0",
            "c1",
            "c2",
            "c3",
            "c4",
            "c5",
        ]
        assert await names(store, Query("training-job", owned_by=other)) == ["c6"]
        assert await names(store, Query("training-job", owned_by=owner, status=["InProgress"])) == ["c1", "c3", "c5"]
        assert await names(store, Query("model", owned_by=owner)) == ["of-another-kind"]
        page = await store.list(Query("training-job", owned_by=owner, limit=4))
        with pytest.raises(ValueError, match="token"):
            await store.list(Query("training-job", owned_by=other, after=page.next))

    async def test_an_owner_is_there_when_its_child_is_created(self, store: Store) -> None:
        owner = a_record("owner", kind="tuning-job")
        child = a_record("child").owned_by(owner)
        with pytest.raises(RecordMissing, match="own"):
            await store.create(child)
        await store.create(dataclasses.replace(owner, uid="another"))
        with pytest.raises(RecordMissing, match="own"):
            await store.create(child)
        with pytest.raises(RecordMissing):
            await store.get(child.ref)

    async def test_a_record_with_children_is_deleted_once_they_are(self, store: Store) -> None:
        owner = await store.create(a_record("owner", kind="tuning-job"))
        child = await store.create(a_record("child").owned_by(owner))
        with pytest.raises(ChildrenExist, match="child"):
            await store.delete(owner)
        assert await store.get(owner.ref) == owner
        await store.delete(child)
        await store.delete(owner)

    async def test_children_may_be_released_and_a_later_owner_of_the_name_does_not_adopt_them(
        self, store: Store
    ) -> None:
        owner = await store.create(a_record("owner", kind="tuning-job"))
        child = await store.create(a_record("child", spec={"a": "b"}).owned_by(owner))
        await store.delete(owner, children="release")
        released = await store.get(child.ref)
        assert released == dataclasses.replace(child, owner=None, owner_uid="", version=2)
        with pytest.raises(StaleWrite):  # it would give the child its owner back
            await store.replace(child, child.with_state(n=1))
        later = await store.create(a_record("owner", kind="tuning-job", uid="another"))
        assert await names(store, Query("training-job", owned_by=later)) == []
        await store.replace(released, released.with_state(n=1))

    async def test_a_child_is_created_before_its_owner_is_deleted_or_not_at_all(self, store: Store) -> None:
        for number in range(5):
            owner = await store.create(a_record(f"owner{number}", kind="tuning-job"))
            child = a_record(f"child{number}").owned_by(owner)
            created, deleted = await asyncio.gather(store.create(child), store.delete(owner), return_exceptions=True)
            match created, deleted:
                case Record(), ChildrenExist():
                    assert await store.get(owner.ref) == owner
                case RecordMissing(), None:
                    pass
                case _:
                    raise AssertionError((created, deleted))

    # Many at once

    async def test_no_update_is_lost(self, store: Store) -> None:
        record = await store.create(a_record(state={"seen": []}))

        async def add(number: int) -> None:
            while True:
                read = await store.get(record.ref)
                with suppress(StaleWrite):
                    numbers = cast(list[JSON], read.state["seen"])
                    await store.replace(read, read.with_state(seen=[*numbers, number]), a_line(str(number)))
                    return

        await asyncio.gather(*(add(number) for number in range(12)))
        kept = await store.get(record.ref)
        numbers = cast(list[int], kept.state["seen"])
        assert sorted(numbers) == list(range(12))
        assert kept.version == 13
        assert [line.status for line in await store.history(kept)] == [str(number) for number in numbers]

    async def test_of_many_that_create_a_name_one_succeeds(self, store: Store) -> None:
        tries = (store.create(a_record(uid=f"u{number}")) for number in range(12))
        results = await asyncio.gather(*tries, return_exceptions=True)
        created = [result for result in results if isinstance(result, Record)]
        refused = [result for result in results if isinstance(result, RecordExists)]
        assert (len(created), len(refused)) == (1, 11)
        assert {error.record.uid for error in refused} == {created[0].uid}

    # Lists

    @pytest.mark.parametrize("order", ["created", "modified", "name", "status"])
    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("limit", [1, 3, 100])
    async def test_pages_follow_each_other_in_order(
        self, store: Store, order: Any, descending: bool, limit: int
    ) -> None:
        made = await _five_jobs(store)
        expected = sorted(made, key=lambda r: (getattr(r, order), r.name.encode()), reverse=descending)
        query = Query("training-job", order=order, descending=descending, limit=limit)
        assert await names(store, query) == [record.name for record in expected]

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, "a-1 A-2 b_3 B%4 c-5"),
            ({"name_contains": "A-"}, "a-1 A-2"),
            ({"name_contains": "b"}, "b_3 B%4"),
            ({"name_contains": "%"}, "B%4"),
            ({"name_contains": "_"}, "b_3"),
            ({"name_contains": "\\"}, ""),
            ({"name_contains": "\x00"}, ""),
            ({"name_contains": "x" * 100_000}, ""),
            ({"status": ["Completed"]}, "A-2 B%4"),
            ({"status": ("Completed", "Failed")}, "A-2 b_3 B%4"),
            ({"status": ("completed", "\ud800")}, ""),
            ({"created_after": T0 + 2 * SECOND}, "b_3 B%4 c-5"),
            ({"created_after": T0 + 2 * SECOND + MICROSECOND}, "B%4 c-5"),
            ({"created_before": T0 + 2 * SECOND}, "a-1 A-2 b_3"),
            ({"created_before": T0 + 2 * SECOND - MICROSECOND}, "a-1 A-2"),
            ({"modified_after": T0 + 8 * SECOND}, "a-1 A-2 b_3"),
            ({"modified_before": T0 + 8 * SECOND}, "b_3 B%4 c-5"),
            ({"created_after": T0 + 3 * SECOND, "created_before": T0}, ""),
            ({"created_before": datetime.max.replace(tzinfo=UTC)}, "a-1 A-2 b_3 B%4 c-5"),
            ({"equals": [(("spec", "Config"), "c1")]}, "a-1 b_3 c-5"),
            ({"equals": [(("spec", "Config"), "C1")]}, ""),
            ({"equals": [(("state", "Config"), "c1")]}, ""),
            ({"equals": [(("spec", "Number"), "1")]}, ""),
            ({"equals": [(("state", 'a"b.c[0]$'), "'\x00")]}, "a-1 A-2 b_3 B%4 c-5"),
            ({"equals": [(("spec", "Deep", "er", "st"), "d0")]}, "a-1 B%4"),
            ({"equals": [(("spec", "Deep", "er"), "d0")]}, ""),
            ({"equals": [(("spec", "List", "0"), "c1")]}, ""),
            ({"equals": [(("spec", "Config"), "c1"), (("spec", "Deep", "er", "st"), "d0")]}, "a-1"),
            ({"equals": [(("spec", "Config"), "c1"), (("spec", "Other"), "o1")]}, "b_3"),
            ({"equals": [(("spec", "Config"), "c1")], "name_contains": "C", "status": ["InProgress"]}, "c-5"),
        ],
        ids=lambda value: ascii(value)[:70] if isinstance(value, dict) else "",
    )
    async def test_filters(self, store: Store, filters: dict[str, Any], expected: str) -> None:
        await _five_jobs(store)
        found = await names(store, Query("training-job", limit=2, **filters))
        assert found == expected.split()
        backwards = await names(store, Query("training-job", order="modified", limit=2, **filters))
        assert backwards == found[::-1]

    async def test_equals_follows_every_write(self, store: Store) -> None:
        async def found(member: str, value: str) -> bool:
            return bool(await names(store, Query("training-job", equals=[(("state", member), value)])))

        record = await store.create(a_record(state={"a": "1", "b": "1"}))
        record = await store.replace(record, record.with_state(a="2", c="1"))
        assert [await found(*pair) for pair in ("a1", "a2", "b1", "c1")] == [False, True, True, True]
        record = await store.replace(record, dataclasses.replace(record, state={"a": 2}))
        assert [await found(*pair) for pair in ("a1", "a2", "b1", "c1")] == [False, False, False, False]

    async def test_a_list_continues_after_records_were_created_and_deleted(self, store: Store) -> None:
        made = [await store.create(a_record(f"r{n}", created=T0 + n * SECOND)) for n in range(6)]
        query = Query("training-job", limit=2)
        page = await store.list(query)
        await store.delete(made[1])
        await store.delete(made[3])
        await store.create(a_record("before", created=T0 - SECOND))
        await store.create(a_record("between", created=T0 + 2.5 * SECOND))
        assert await names(store, dataclasses.replace(query, after=page.next)) == ["r2", "between", "r4", "r5"]

    @pytest.mark.parametrize("order", ["created", "modified", "name", "status"])
    async def test_a_token_from_elsewhere_is_refused(self, store: Store, order: Any) -> None:
        await _five_jobs(store)
        query = Query("training-job", limit=2, order=order)
        token = (await store.list(query)).next
        tokens = [
            "x",
            "=",
            "null",
            "bnVsbA==",
            "W10=",
            "é",
            "\x00",
            "\ud800",
            token[:-4],
            "A" * 10_000,
            token + "=",
            "-",
        ]
        for after in [*tokens, *_forgeries(token)]:
            with pytest.raises(ValueError, match="token"):
                await store.list(dataclasses.replace(query, after=after))
        for other in (
            {"kind": "model"},
            {"descending": True},
            {"order": "status" if order == "name" else "name"},
            {"name_contains": "a"},
            {"status": ["Completed"]},
            {"created_after": T0},
            {"equals": [(("spec", "Config"), "c1")]},
        ):
            with pytest.raises(ValueError, match="token"):
                await store.list(dataclasses.replace(query, after=token, **other))
        assert len((await store.list(dataclasses.replace(query, after=token, limit=100))).records) == 3

    async def test_an_invalid_query_is_refused(self, store: Store) -> None:
        for change in ({"limit": 0}, {"limit": -1}, {"equals": [(("spec",), "x")]}, {"equals": [(("name", "x"), "x")]}):
            with pytest.raises(ValueError, match=r"limit|equals"):
                await store.list(Query("training-job", **change))

    async def test_records_are_named_and_counted_by_status(self, store: Store) -> None:
        await _five_jobs(store)
        in_progress = await store.in_status("training-job", ["InProgress", "Failed", "x"])
        assert in_progress == [Ref("training-job", name) for name in ("a-1", "b_3", "c-5")]
        assert await store.in_status("training-job", []) == []
        assert await store.in_status("endpoint", ["InProgress"]) == []
        assert await store.count("training-job") == {"InProgress": 2, "Completed": 2, "Failed": 1}
        assert await store.count("endpoint") == {}

    # Leases

    async def test_a_lease_has_one_holder_until_it_ends(self, store: Store) -> None:
        until = T0 + 10 * SECOND
        assert await store.acquire("loop", "a", T0, until)
        assert not await store.acquire("loop", "b", until - MICROSECOND, until + SECOND)
        assert await store.acquire("loop", "a", T0 + SECOND, until + SECOND)
        assert not await store.acquire("loop", "b", until, until + SECOND)
        assert await store.acquire("other", "b", T0, until)
        assert await store.acquire("loop", "b", until + SECOND, until + 9 * SECOND)
        assert not await store.acquire("loop", "a", until + SECOND, until + 9 * SECOND)

    async def test_anybody_can_read_whether_a_lease_is_held(self, store: Store) -> None:
        until = T0 + 10 * SECOND
        assert not await store.is_held("node/a", T0)
        assert await store.acquire("node/a", "a", T0, until)
        assert await store.is_held("node/a", until - MICROSECOND)
        assert not await store.is_held("node/a", until)
        assert not await store.is_held("node/b", T0)
        await store.release("node/a", "a")
        assert not await store.is_held("node/a", T0)

    async def test_a_lease_is_given_back_by_its_holder_alone(self, store: Store) -> None:
        assert await store.acquire("loop", "a", T0, T0 + SECOND)
        await store.release("loop", "b")
        await store.release("never taken", "a")
        assert not await store.acquire("loop", "b", T0, T0 + SECOND)
        await store.release("loop", "a")
        assert await store.acquire("loop", "b", T0, T0 + SECOND)

    async def test_of_many_that_acquire_a_lease_one_succeeds(self, store: Store) -> None:
        for now in (T0, T0 + SECOND):  # a new lease, then one that has ended
            tries = (store.acquire("loop", f"{now} {holder}", now, now + SECOND) for holder in range(8))
            assert sorted(await asyncio.gather(*tries)) == [False] * 7 + [True]


async def _five_jobs(store: Store) -> Sequence[Record]:
    """Five training jobs that differ in name, status, spec and times; two of them were created at the same moment."""
    statuses = ["InProgress", "Completed", "Failed", "Completed", "InProgress"]
    made = []
    for number, name in enumerate(("a-1", "A-2", "b_3", "B%4", "c-5")):
        spec = {
            "Config": "c1" if number % 2 == 0 else "c2",
            "Other": f"o{number // 2}",
            "Number": 1,
            "List": ["c1"],
            "Deep": {"er": {"st": f"d{number % 3}"}},
        }
        record = a_record(
            name,
            status=statuses[number],
            spec=spec,
            state={'a"b.c[0]$': "'\x00"},
            created=T0 + min(number, 3) * SECOND,
            modified=T0 + (10 - number) * SECOND,
        )
        made.append(await store.create(record))
    await store.create(a_record("a-1", kind="model", spec={"Config": "c1"}))
    return made


def _forgeries(token: str) -> list[str]:
    """The token with its parts exchanged for what does not belong there."""
    fingerprint, value, name = json.loads(base64.urlsafe_b64decode(token))
    contents: list[JSON] = [
        [fingerprint, value],
        [fingerprint, value, 1],
        [fingerprint, None, name],
        [fingerprint, [value], name],
        [fingerprint, 1.5, name],
        [fingerprint, 1 if isinstance(value, str) else "1", name],
        [fingerprint, 10**30, name],
        ["0" * 12, value, name],
        [None, value, name],
        {"a": 1, "b": 2, "c": 3},
    ]
    raw = [json.dumps(content) for content in contents] + ["[" * 3000, "NaN", '"abc"', "123"]
    return [base64.urlsafe_b64encode(text.encode()).decode() for text in raw]
