import functools
import os
from itertools import chain
from types import SimpleNamespace

import pytest

from clary.artifacts.logs import LogStreams
from clary.core.arns import Account
from clary.core.errors import InvalidParameterException
from clary.resources.logs import filter_pattern
from clary.resources.logs.operations import OPERATIONS
from clary.wire.shapes import Services
from clary.wire.validate import Validator
from tests.wire.asgi import App

GROUP = "/aws/sagemaker/TrainingJobs"
SERVICE = Services().named("logs")
VALIDATOR = Validator(SERVICE)


@pytest.fixture
def logs(tmp_path):
    return LogStreams(tmp_path)


@pytest.fixture
def client(logs):
    context = SimpleNamespace(log_streams=logs, account=Account("000000000000", "us-east-1"))

    def checked(key):
        async def operation(request):
            output = await OPERATIONS[key](context, request)
            present = {name: value for name, value in output.items() if value is not None}
            shape = SERVICE.operations[key[1]].output
            assert set(present) <= set(SERVICE.shapes[shape]["members"])
            assert VALIDATOR.read(shape, present)[1] == []
            return output

        return operation

    return App({key: checked(key) for key in OPERATIONS}).client("logs")


def write(logs, stream, *lines, group=GROUP):
    path = logs.path(group, stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(f"{at} {text}\n".encode() for at, text in lines)


def messages(answer):
    return [event["message"] for event in answer["events"]]


def test_a_job_is_followed_as_the_sdk_does(logs, client):
    """Streams of a job by prefix, then events from the head until the token stays the same."""
    write(logs, "job-1/algo-1-1700", (1700, "one"), (1701, "two"), (1702, "three"))
    write(logs, "job-2/algo-1-1700", (1700, "other"))
    (stream,) = client.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="job-1/")["logStreams"]
    assert stream["logStreamName"] == "job-1/algo-1-1700"
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (1700, 1702)
    assert stream["arn"].endswith(":log-group:/aws/sagemaker/TrainingJobs:log-stream:job-1/algo-1-1700")
    read = functools.partial(
        client.get_log_events, logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
    )
    first = read(limit=2, startTime=0)
    assert messages(first) == ["one", "two"]
    second = read(nextToken=first["nextForwardToken"])
    assert messages(second) == ["three"]
    end = read(nextToken=second["nextForwardToken"])
    assert messages(end) == []
    assert end["nextForwardToken"] == second["nextForwardToken"]
    write(logs, "job-1/algo-1-1700", (1703, "four"))
    assert messages(read(nextToken=end["nextForwardToken"])) == ["four"]


def test_without_a_token_the_latest_events_are_returned(logs, client):
    write(logs, "a", *[(i, str(i)) for i in range(5)])
    read = functools.partial(client.get_log_events, logGroupName=GROUP, logStreamName="a", limit=2)
    last = read()
    assert messages(last) == ["3", "4"]
    assert messages(read(nextToken=last["nextBackwardToken"])) == ["1", "2"]
    assert messages(read(nextToken=last["nextForwardToken"])) == []


def test_a_group_can_be_named_by_its_arn(logs, client):
    write(logs, "a", (1, "x"))
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    for identifier in (GROUP, arn):
        assert messages(client.get_log_events(logGroupIdentifier=identifier, logStreamName="a")) == ["x"]
    assert messages(client.filter_log_events(logGroupIdentifier=arn)) == ["x"]


@pytest.mark.parametrize("group", ["/aws/sagemaker/Endpoints/none", "/aws/../aws", "x"])
def test_a_missing_group_is_not_found(client, group):
    for call in (
        lambda: client.describe_log_streams(logGroupName=group),
        lambda: client.get_log_events(logGroupName=group, logStreamName="a"),
        lambda: client.filter_log_events(logGroupName=group),
    ):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call()


def test_a_missing_stream_is_not_found(logs, client):
    write(logs, "a", (1, "x"))
    for stream in ("b", "../a", "../../../etc/passwd"):
        with pytest.raises(client.exceptions.ResourceNotFoundException, match=r"log stream|log of this name"):
            client.get_log_events(logGroupName=GROUP, logStreamName=stream)
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.filter_log_events(logGroupName=GROUP, logStreamNames=["a", stream])


@pytest.mark.parametrize("token", ["x", "f/", "f/-1", "f/1", "b/99999999999999999999", "f/٣", "W10="])
def test_a_malformed_token_is_refused(logs, client, token):
    write(logs, "a", (1, "x"))
    for call in (
        lambda: client.get_log_events(logGroupName=GROUP, logStreamName="a", nextToken=token),
        lambda: client.filter_log_events(logGroupName=GROUP, nextToken=token),
        lambda: client.describe_log_streams(logGroupName=GROUP, nextToken=token),
        lambda: client.describe_log_groups(nextToken=token),
    ):
        with pytest.raises(client.exceptions.InvalidParameterException):
            call()


@pytest.mark.parametrize("order", [{}, {"descending": True}])
def test_streams_come_in_pages(logs, client, order):
    names = [f"job-{i:02d}/algo-1" for i in range(7)]
    for name in names:
        write(logs, name, (1, "x"))
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": 3}, **order
    )
    found = [[stream["logStreamName"] for stream in page["logStreams"]] for page in pages]
    assert [len(page) for page in found] == [3, 3, 1]
    assert list(chain(*found)) == (names[::-1] if order else names)


def test_streams_can_be_ordered_by_time(logs, client):
    for i, name in enumerate(("c", "a", "b")):
        write(logs, name, (1, "x"))
        os.utime(logs.path(GROUP, name), (100 + i, 100 + i))
    describe = functools.partial(client.describe_log_streams, logGroupName=GROUP, orderBy="LastEventTime", limit=2)
    first = describe(descending=True)
    assert [stream["logStreamName"] for stream in first["logStreams"]] == ["b", "a"]
    second = describe(descending=True, nextToken=first["nextToken"])
    assert [stream["logStreamName"] for stream in second["logStreams"]] == ["c"]
    assert "nextToken" not in second
    with pytest.raises(client.exceptions.InvalidParameterException, match="LastEventTime"):
        describe(logStreamNamePrefix="a")


def test_groups_are_described(logs, client):
    write(logs, "a", (1, "x"))
    write(logs, "v/i", (1, "x"), group="/aws/sagemaker/Endpoints/e")
    first = client.describe_log_groups(limit=1)
    assert [group["logGroupName"] for group in first["logGroups"]] == ["/aws/sagemaker/Endpoints/e"]
    second = client.describe_log_groups(limit=1, nextToken=first["nextToken"])
    assert [group["logGroupName"] for group in second["logGroups"]] == [GROUP]
    assert client.describe_log_groups(logGroupNamePrefix="/none")["logGroups"] == []


def test_events_of_many_streams_come_in_the_order_of_time_and_in_pages(logs, client):
    write(logs, "a", (1, "a1"), (4, "a4"), (4, "a4 again"))
    write(logs, "b", (2, "b2"), (4, "b4"), (5, "b5"))
    write(logs, "c", (9, "c9"))
    write(logs, "empty")
    whole = ["a1", "b2", "a4", "a4 again", "b4", "b5", "c9"]
    assert messages(client.filter_log_events(logGroupName=GROUP)) == whole
    for size in (1, 2, 3):
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": size}
        )
        found = [messages(page) for page in pages]
        assert list(chain(*found)) == whole
        assert max(map(len, found)) == size


def test_events_can_be_chosen_by_stream_time_and_text(logs, client):
    write(logs, "a/1", (1, "INFO start"), (2, "ERROR no space left"))
    write(logs, "a/2", (3, "WARN slow"))
    write(logs, "b", (2, "ERROR other"))
    read = functools.partial(client.filter_log_events, logGroupName=GROUP)
    assert messages(read(logStreamNamePrefix="a/")) == ["INFO start", "ERROR no space left", "WARN slow"]
    assert messages(read(logStreamNames=["b", "a/2"])) == ["ERROR other", "WARN slow"]
    assert messages(read(startTime=2, endTime=3)) == ["ERROR no space left", "ERROR other"]
    assert messages(read(filterPattern="ERROR")) == ["ERROR no space left", "ERROR other"]
    with pytest.raises(client.exceptions.InvalidParameterException, match="together"):
        read(logStreamNames=["b"], logStreamNamePrefix="a")
    with pytest.raises(client.exceptions.InvalidParameterException, match="filterPattern"):
        read(filterPattern="{ $.level = 1 }")


def test_a_search_that_finds_nothing_pauses_and_goes_on(logs, client, monkeypatch):
    monkeypatch.setattr("clary.resources.logs.operations.MAX_SCANNED_BYTES", 100)
    write(logs, "a", *[(i, f"line {i}") for i in range(100)], (100, "needle"))
    first = client.filter_log_events(logGroupName=GROUP, filterPattern="needle")
    assert (first["events"], "nextToken" in first) == ([], True)
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=GROUP, filterPattern="needle")
    assert [message for page in pages for message in messages(page)] == ["needle"]


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR", True),
        ("ERROR", "an error", False),
        ("ERROR disk", "disk ERROR", True),
        ("ERROR disk", "ERROR", False),
        ('"no space"', "left no space", True),
        ('"no space"', "no more space", False),
        (r'"say \"hi\""', 'say "hi"', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("ERROR -disk", "ERROR", True),
        ("ERROR -disk", "ERROR disk", False),
        ("validation:auc", "validation:auc=1", True),
    ],
)
def test_filter_patterns_are_terms(pattern, text, fits):
    assert filter_pattern.parse(pattern).matches(text) is fits


@pytest.mark.parametrize("pattern", ["{ $.a = 1 }", "[ip, user]", "%a.*%", '"open', "?a b", 'a"b"', "{", "a\x00{"])
def test_other_filter_patterns_are_refused(pattern):
    with pytest.raises(InvalidParameterException, match="filterPattern"):
        filter_pattern.parse(pattern)
