"""List operations, of every family alike: every filter, every order, pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.resources import FAMILIES
from clary.testing.clock import START
from tests.context import a_config, a_model, a_processing_job, a_training_job
from tests.unit.client import SAGEMAKER, Client, refusal

NAMES = ["alpha-1", "Beta-2", "beta-10", "gamma", "ALPHA-2", "delta-1", "beta-3"]


@dataclass(frozen=True)
class Listed:
    """A List operation: what it is called, and what is AWS's default order."""

    kind: str
    noun: str
    descending: bool

    @property
    def operation(self) -> str:
        return f"List{self.noun}s"

    @property
    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = SAGEMAKER.shapes[SAGEMAKER.operations[self.operation].input]["members"]
        return members

    def choices(self, member: str) -> list[str]:
        """What the model allows, "" for leaving it out."""
        if member not in self.members:
            return [""]
        return ["", *SAGEMAKER.shapes[self.members[member]["shape"]]["enum"]]

    def found(self, server: Client, **request: Any) -> tuple[list[str], str]:
        """The names on a page, and the token of the next."""
        answer = server.call(self.operation, request)
        (summaries,) = (value for value in answer.values() if isinstance(value, list))
        return [summary[f"{self.noun}Name"] for summary in summaries], answer.get("NextToken", "")

    def all(self, server: Client, **request: Any) -> list[str]:
        """The names on all pages."""
        names, token = self.found(server, **request)
        while token:
            more, token = self.found(server, NextToken=token, **request)
            assert more, "a page that was promised is not empty"
            names += more
        return names


LISTED = [
    Listed("training-job", "TrainingJob", descending=False),
    Listed("processing-job", "ProcessingJob", descending=False),
    Listed("model", "Model", descending=True),
    Listed("endpoint-config", "EndpointConfig", descending=True),
    Listed("endpoint", "Endpoint", descending=True),
]
EACH = pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed.kind)


def filled(folder: Path, listed: Listed) -> Client:
    """Seven records of a kind: made a minute apart, changed in another order, in different statuses."""
    server = Client(folder)
    statuses = list(next(family for family in FAMILIES if family.kind == listed.kind).status) or [""]
    if not listed.kind.endswith("-job"):
        server.create_model(**a_model("m" if listed.kind != "model" else NAMES[0]))
    for name, status in zip(NAMES, itertools.cycle(statuses), strict=False):
        match listed.kind:
            case "training-job":
                server.create_training_job(**a_training_job(name))
            case "processing-job":
                server.create_processing_job(**a_processing_job(name))
            case "model" if name != NAMES[0]:
                server.create_model(**a_model(name))
            case "endpoint-config":
                server.create_endpoint_config(**a_config(name, "m"))
            case "endpoint":
                server.create_endpoint_config(**a_config(name, "m"))
                server.create_endpoint(EndpointName=name, EndpointConfigName=name)
        modified = START + timedelta(hours=len(name), seconds=NAMES.index(name))
        server.force(listed.kind, name, status=status, modified=modified)
        server.clock.advance(60)
    return server


@pytest.fixture(params=LISTED, ids=lambda listed: listed.kind)
def filled_server(request, tmp_path) -> Iterator[tuple[Listed, Client]]:
    server = filled(tmp_path, request.param)
    yield request.param, server
    server.close()


def test_each_family_is_here():
    assert {listed.kind for listed in LISTED} == {family.kind for family in FAMILIES}


@EACH
def test_no_filter_of_the_model_is_left_untested(listed):
    tested = {"NextToken", "MaxResults", "SortBy", "SortOrder", "NameContains", "StatusEquals"}
    times = {f"{which}Time{side}" for which in ("Creation", "LastModified") for side in ("After", "Before")}
    of_no_job = {"WarmPoolStatusEquals", "TrainingPlanArnEquals"}
    assert set(listed.members) <= tested | times | of_no_job


def test_the_default_order_is_awss(filled_server):
    listed, server = filled_server
    by_creation = NAMES[::-1] if listed.descending else NAMES
    assert listed.all(server) == by_creation
    # The order alone turns round, what it is by stays.
    assert listed.all(server, SortOrder="Descending" if not listed.descending else "Ascending") == by_creation[::-1]


def test_a_page_holds_ten_by_default(tmp_path):
    server = Client(tmp_path)
    for number in range(12):
        server.create_training_job(**a_training_job(f"j{number}"))
    names, token = LISTED[0].found(server)
    assert len(names) == 10
    rest, token = LISTED[0].found(server, NextToken=token)
    assert (len(rest), token) == (2, "")
    assert LISTED[0].found(server, MaxResults=12)[1] == ""
    server.close()


@pytest.mark.parametrize("most", [0, 101, -1])
def test_a_page_of_another_size_is_refused(filled_server, most):
    listed, server = filled_server
    code, message = refusal(server.call, operation=listed.operation, request={"MaxResults": most})
    assert code == "ValidationException"
    assert "'maxResults'" in message


# ---- every combination of filters, against an oracle of a few lines ----


@pytest.fixture(scope="module")
def each_filled() -> Iterator[dict[str, tuple[Client, list[dict[str, Any]]]]]:
    """kind -> a server and what it has to list, once for all: listing changes nothing."""
    with TemporaryDirectory() as folder:
        servers = {listed: filled(Path(folder) / listed.kind, listed) for listed in LISTED}
        yield {listed.kind: (server, records(server, listed)) for listed, server in servers.items()}
        for server in servers.values():
            server.close()


def records(server: Client, listed: Listed) -> list[dict[str, Any]]:
    found = [server.record(listed.kind, name) for name in NAMES]
    return [
        {"Name": r.name, "CreationTime": r.created, "LastModifiedTime": r.modified, "Status": r.status} for r in found
    ]


def expected(found: list[dict[str, Any]], request: dict[str, Any], descending: bool) -> list[str]:
    kept = [
        record
        for record in found
        if request.get("NameContains", "").lower() in record["Name"].lower()
        and request.get("StatusEquals", record["Status"]) == record["Status"]
        and all(
            request.get(f"{time}After", record[time]) <= record[time] <= request.get(f"{time}Before", record[time])
            for time in ("CreationTime", "LastModifiedTime")
        )
    ]
    by = request.get("SortBy", "CreationTime")
    descending = request.get("SortOrder", "Descending" if descending else "Ascending") == "Descending"
    kept.sort(key=lambda record: (record[by], record["Name"]), reverse=descending)
    return [record["Name"] for record in kept]


@st.composite
def requests(draw: st.DrawFn, listed: Listed) -> dict[str, Any]:
    moments = [START + timedelta(seconds=60 * index) for index in range(len(NAMES))]
    moments += [START + timedelta(hours=hours, seconds=hours - 5) for hours in range(4, 8)]
    request: dict[str, Any] = {
        "NameContains": draw(st.sampled_from(["", "a-", "BETA", "1", "nothing"])),
        "MaxResults": draw(st.integers(1, 8)),
        **{member: draw(st.sampled_from(listed.choices(member))) for member in ("SortBy", "SortOrder", "StatusEquals")},
    }
    for member in ("CreationTimeAfter", "CreationTimeBefore", "LastModifiedTimeAfter", "LastModifiedTimeBefore"):
        if member in listed.members:
            request[member] = draw(st.sampled_from(["", *moments]))
    return {member: value for member, value in request.items() if value != ""}


@EACH
@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=st.data())
def test_filters_orders_and_pages_go_together(each_filled, listed, data):
    server, found = each_filled[listed.kind]
    request = data.draw(requests(listed))
    assert listed.all(server, **request) == expected(found, request, listed.descending)


def test_no_job_has_a_warm_pool_or_a_training_plan(tmp_path):
    server = Client(tmp_path)
    server.create_training_job(**a_training_job("j"))
    assert server.list_training_jobs(WarmPoolStatusEquals="Available") == {"TrainingJobSummaries": []}
    plan = "arn:aws:sagemaker:us-east-1:000000000000:training-plan/p"
    assert server.list_training_jobs(TrainingPlanArnEquals=plan) == {"TrainingJobSummaries": []}
    server.close()


# ---- tokens ----


def test_a_token_survives_what_comes_and_goes(filled_server):
    """The record a page ended with may be deleted, and others be made: nothing is shown twice or left out."""
    listed, server = filled_server
    shown, token = listed.found(server, SortBy="Name", SortOrder="Ascending", MaxResults=3)
    server.run(server.server.store.delete(server.record(listed.kind, shown[-1])))
    rest, end = listed.found(server, SortBy="Name", SortOrder="Ascending", MaxResults=100, NextToken=token)
    assert shown + rest == sorted(NAMES)
    assert end == ""


def test_a_token_goes_with_another_page_size(filled_server):
    listed, server = filled_server
    shown, token = listed.found(server, MaxResults=1)
    assert sorted(shown + listed.found(server, MaxResults=50, NextToken=token)[0]) == sorted(NAMES)


@pytest.mark.parametrize(
    "other",
    [
        {"SortOrder": "Ascending", "SortBy": "Name"},
        {"NameContains": "a"},
        {"CreationTimeAfter": START},
        {"CreationTimeBefore": START},
    ],
    ids="+".join,
)
def test_a_token_is_good_for_the_same_filters_only(filled_server, other):
    listed, server = filled_server
    _, token = listed.found(server, MaxResults=1)
    code, message = refusal(server.call, operation=listed.operation, request={"NextToken": token, **other})
    assert code == "ValidationException"
    assert "NextToken is invalid" in message
    assert "the same filters" in message


@pytest.mark.parametrize("token", ["x", ".", "a.b", "0" * 8192, "é", "=", "../..", "{}", "AAAA", "null.null"])
def test_a_token_that_nobody_gave_out_is_refused(filled_server, token):
    listed, server = filled_server
    code, message = refusal(server.call, operation=listed.operation, request={"NextToken": token})
    assert (code, message.split(":")[0]) == ("ValidationException", "NextToken is invalid")


def test_a_token_that_was_tampered_with_is_refused_or_harmless(filled_server):
    listed, server = filled_server
    _, token = listed.found(server, MaxResults=1)
    assert refusal(server.call, operation=listed.operation, request={"NextToken": token[:-1]})[0]
    assert refusal(server.call, operation=listed.operation, request={"NextToken": f"{token}="})[0]
    assert refusal(server.call, operation=listed.operation, request={"NextToken": token[::-1]})[0]
