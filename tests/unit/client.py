"""Operations called as by a client: every request is checked against its shape, and every response against its own.

server = Client(tmp_path)
server.create_training_job(**a_training_job("j1"))
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clary.core.errors import ServiceError
from clary.core.records import Record, Ref
from clary.core.tasks import Phase
from clary.wire import json11
from clary.wire.shapes import Services, Shape
from clary.wire.validate import Validator
from tests.context import Server

SAGEMAKER = Services().named("sagemaker")
VALIDATOR = Validator(SAGEMAKER)

# Required by the model; AWS leaves it out until the model is uploaded, and so does Clary.
_NOT_YET = "Value null at 'modelArtifacts' failed to satisfy constraint: Member must not be null"


class Client:
    """The server of tests/context.py behind the wire's validation, without coroutines.

    An operation is a method: `server.list_models(MaxResults=5)`.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.runner = asyncio.Runner()
        self.server = Server(folder, **settings)
        self.clock, self.backend = self.server.clock, self.server.backend

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        operation = "".join(part.capitalize() for part in method.split("_"))
        return lambda **request: self.call(operation, request)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """What an AWS client would receive."""
        checked = VALIDATOR.request(SAGEMAKER.operations[operation], json.loads(json11.write(request)))
        answer = json.loads(json11.write(self.run(self.server.call(operation, **checked))))
        return as_shaped(operation, answer)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def use(self, **parts: Any) -> None:
        """Have the operations use these parts in place of those of their context."""
        self.server.context = replace(self.server.context, **parts)

    def settle(self) -> None:
        """Have the loop work until it may rest."""
        self.run(self.server.settle())

    def record(self, kind: str, name: str) -> Record:
        return self.run(self.server.store.get(Ref(kind, name)))

    def force(self, kind: str, name: str, **changes: Any) -> None:
        """Set members of a record that would take long to come about."""
        record = self.record(kind, name)
        self.run(self.server.store.replace(record, replace(record, **changes)))

    def tasks(self, name: str) -> list[str]:
        """The tasks of a job or an endpoint that are not over."""
        return sorted(task_id for task_id in self.backend.alive() if self.backend.states[task_id].owner[1] == name)

    def move(self, name: str, phase: Phase, **changes: Any) -> None:
        """Move every running task of a job or an endpoint to a phase, now, and let the loop work on it."""
        for task_id in self.tasks(name):
            self.backend.move(task_id, phase, at=self.clock.now().timestamp(), **changes)
        self.settle()

    def close(self) -> None:
        self.runner.close()


def as_shaped(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as botocore would read it; an AssertionError where it does not fit its shape exactly."""
    shape = SAGEMAKER.operations[operation].output
    if not shape:
        assert answer == {}
        return {}
    read, violations = VALIDATOR.read(shape, answer)
    violations = [text for text in violations if text != _NOT_YET]
    assert not violations, f"{operation}: {violations}"
    unknown = list(_unknown(SAGEMAKER.shapes[shape], answer, operation))
    assert not unknown, f"not in the model: {unknown}"
    return read


def _unknown(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Members that the shape does not have; clients would not get to see them."""
    match shape["type"]:
        case "structure":
            for name, inner in value.items():
                if name in shape["members"]:
                    yield from _unknown(SAGEMAKER.shapes[shape["members"][name]["shape"]], inner, f"{path}.{name}")
                else:
                    yield f"{path}.{name}"
        case "list":
            for inner in value:
                yield from _unknown(SAGEMAKER.shapes[shape["member"]["shape"]], inner, f"{path}[]")
        case "map":
            for inner in value.values():
                yield from _unknown(SAGEMAKER.shapes[shape["value"]["shape"]], inner, f"{path}{{}}")


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """The code and the text with which a request is refused."""
    with pytest.raises(ServiceError) as refused:
        call(**request)
    return refused.value.code, refused.value.message
