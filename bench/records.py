"""10,000 training jobs in the store: how long a page of them, and one of them, takes over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.figures import Figure, percentile
from bench.servers import XGBOOST, Server, stopped_server
from clary.core import sigv4
from clary.core.credentials import load_or_make
from clary.core.records import Record, Transition, new_uid
from clary.resources import training
from clary.store import rows
from clary.store.engine import make_engine, sqlite_url
from clary.store.sql import open_store

ABOUT = "10,000 training jobs in the store, requested over one kept connection, every request signed"

RECORDS = 10_000
DESCRIBED = 500
AIM_MS = 20.0
STATUSES = ("Completed", "Completed", "Completed", "Stopped", "Failed")
HISTORY = ("Starting", "Downloading", "Training", "Uploading", "Completed")


def measure(quick: bool) -> Iterator[Figure]:
    with stopped_server() as live:
        fill(live)
        live.up()
        caller = Caller(live)
        requests, rounds = (100, 2) if quick else (300, 5)
        yield from _figures(caller, requests, rounds)


def _figures(caller: Caller, requests: int, rounds: int) -> Iterator[Figure]:
    pages: dict[str, dict[str, Any]] = {
        "a page of 10, default order": {},
        "a page of 100, default order": {"MaxResults": 100},
        "a page of 10, the 901st": {"NextToken": caller.token_after(9000)},
        "a page of 10, by name, descending": {"SortBy": "Name", "SortOrder": "Descending"},
        "StatusEquals=Failed": {"StatusEquals": "Failed"},
        "NameContains, 10 of them match": {"NameContains": "job-0123"},
        "NameContains, none matches": {"NameContains": "nothing-has-this"},
    }
    calls = {
        f"List: {name}": (lambda _, page=page: caller.call("ListTrainingJobs", page)) for name, page in pages.items()
    }
    calls["Describe"] = lambda number: caller.call("DescribeTrainingJob", {"TrainingJobName": _spread(number)})
    for name, call in calls.items():
        own, peer = _p50_p99(call, requests, rounds), _p50_p99(lambda _: caller.healthz(), requests, rounds)
        for index, part in enumerate(("p50", "p99")):
            yield Figure(
                f"{name}, {part}",
                "ms",
                [each[index] for each in own],
                f"GET /healthz, {part}",
                [each[index] for each in peer],
                below=AIM_MS if part == "p99" else None,
            )


def _p50_p99(call: Callable[[int], float], requests: int, rounds: int) -> list[tuple[float, float]]:
    """Of each round, in milliseconds."""
    for number in range(10):
        call(number)
    seen = []
    for _ in range(rounds):
        taken = [call(number) * 1e3 for number in range(requests)]
        seen.append((percentile(taken, 0.5), percentile(taken, 0.99)))
    return seen


class Caller:
    """Signs and sends requests over one connection. Times are from the first byte sent to the last one read."""

    def __init__(self, live: Server) -> None:
        self._url = f"http://127.0.0.1:{live.port}/"
        self._keys = load_or_make(live.home / "credentials.json")
        self._connection = http.client.HTTPConnection("127.0.0.1", live.port)

    def call(self, operation: str, request: dict[str, Any]) -> float:
        return self._timed(operation, request)[0]

    def token_after(self, records: int) -> str:
        """Where the page after so many records begins; a List takes 100 at once."""
        token: dict[str, Any] = {}
        for _ in range(records // 100):
            answer = self._timed("ListTrainingJobs", {"MaxResults": 100, **token})[1]
            token = {"NextToken": answer["NextToken"]}
        return str(token["NextToken"])

    def healthz(self) -> float:
        began = time.perf_counter()
        self._connection.request("GET", "/healthz")
        self._connection.getresponse().read()
        return time.perf_counter() - began

    def _timed(self, operation: str, request: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"SageMaker.{operation}"}
        signed = sigv4.sign(
            "POST", self._url, headers, body, self._keys, region="us-east-1", service="sagemaker", now=datetime.now(UTC)
        )
        began = time.perf_counter()
        self._connection.request("POST", "/", body, signed)
        response = self._connection.getresponse()
        answer = response.read()
        took = time.perf_counter() - began
        if response.status != 200:
            raise RuntimeError(f"{operation}: {answer.decode()}")
        return took, json.loads(answer)


# ---- what is in the store ----


def fill(live: Server, records: int = RECORDS) -> None:
    """So many records, through the store's own code, in one transaction."""
    url = sqlite_url(live.home / "clary.db")

    async def make_tables() -> None:
        await (await open_store(url)).close()

    asyncio.run(make_tables())
    described = {_spread(number) for number in range(DESCRIBED)}  # only these need their whole history
    engine = make_engine(url, 1)
    with engine.begin() as connection:
        for number in range(records):
            record = _record(number)
            stored = rows.create(
                connection, record, Transition(HISTORY[0], "Starting the training job", record.created)
            )
            for step, status in enumerate(HISTORY[1:] if record.name in described else (), start=1):
                line = Transition(status, "So far it has come", record.created + timedelta(seconds=step))
                stored = rows.replace(connection, stored, stored, line)
    engine.dispose()


def _name(number: int) -> str:
    return f"training-job-{number:05}"


def _spread(number: int) -> str:
    """Names from all over the store: 7919 is prime, so none comes twice."""
    return _name(number % DESCRIBED * 7919 % RECORDS)


def _record(number: int) -> Record:
    created = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    status = STATUSES[number % len(STATUSES)]
    name = _name(number)
    return Record(
        kind=training.KIND,
        name=name,
        uid=new_uid(),
        status=status,
        detail=status,
        spec=_spec(name),
        state={
            "version": 2,
            "arn": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}",
            "resources": {"cpus": 2.0, "memory_mib": 8192, "gpus": 0},
            "metric_definitions": [["validation:auc", "auc:([0-9.]+)"], ["train:auc", "train-auc:([0-9.]+)"]],
            "metrics": {"validation:auc": [0.987, created.timestamp()], "train:auc": [0.999, created.timestamp()]},
            "started_at": created.timestamp(),
            "ended_at": created.timestamp() + 60,
            "model_artifacts": f"s3://bucket/output/{name}/output/model.tar.gz",
        },
        created=created,
        modified=created + timedelta(seconds=60),
    )


def _spec(name: str) -> dict[str, Any]:
    channels = [
        {
            "ChannelName": channel,
            "ContentType": "text/csv",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://bucket/data/{channel}/"}},
        }
        for channel in ("train", "validation")
    ]
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/clary",
        "HyperParameters": {f"parameter_{number}": str(number) for number in range(20)},
        "InputDataConfig": channels,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "Environment": {f"VARIABLE_{number}": "value" for number in range(10)},
    }
