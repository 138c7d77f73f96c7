"""Several of Clary's own programs as one model host: each response is the request of the next program, in one process.

`python -m clary.tasks.pipeline`, with input/config/pipeline.json, a list in the order in which requests go through:
    {"name": "container-1", "program": ALGORITHM, "environment": {...}, "model": "pipeline/container-1/model"}
Each program has the environment and the model of its own container; the number of threads and the time limit of
requests come from the environment of the process. Programs pass on what would go over HTTP, byte for byte.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.algorithms.registry import ALGORITHMS
from clary.tasks import paths
from clary.tasks.host.handlers import Handlers, RequestError
from clary.tasks.host.server import serve

CONFIGURATION = "pipeline.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """One container: its program, and where its model lies."""

    name: str
    handlers: Handlers
    model_dir: Path


class Pipeline:
    """The handlers of a model host."""

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages

    def load(self, model_dir: Path) -> list[Any]:
        """Every container's model."""
        return [stage.handlers.load(stage.model_dir) for stage in self.stages]

    def transform(
        self, models: list[Any], body: bytes, content_type: str | None, accept: str | None
    ) -> tuple[bytes, str]:
        """The last response. Raises RequestError, naming the container that raised it."""
        last = self.stages[-1]
        body_type = content_type
        for stage, model in zip(self.stages, models, strict=True):
            try:
                body, response_type = stage.handlers.transform(
                    model, body, body_type, accept if stage is last else None
                )
            except RequestError as error:
                raise RequestError(error.status, f"{stage.name}: {error.message}") from None
            body_type = response_type or None
        return body, body_type or ""

    def execution_parameters(self) -> Any:
        """The last container's: it is the model."""
        parameters: Callable[[], Any] | None = getattr(self.stages[-1].handlers, "execution_parameters", None)
        return parameters() if parameters else None


def stages() -> list[Stage]:
    """As the configuration says. Raises ValueError, naming what a container's environment has wrong."""
    containers = json.loads((paths.config_dir() / CONFIGURATION).read_text(encoding="utf-8"))
    return [
        Stage(
            container["name"],
            handlers(container["program"], container["environment"]),
            paths.base_dir() / container["model"],
        )
        for container in containers
    ]


def handlers(algorithm: str, environment: Mapping[str, str]) -> Handlers:
    """An algorithm's own, as this environment sets them up. Raises ValueError naming a variable."""
    serving = importlib.import_module(ALGORITHMS[algorithm].serving)
    found: Handlers = serving.handlers(environment)
    return found


def main() -> None:
    try:
        pipeline = Pipeline(stages())
    except ValueError as error:
        sys.exit(f"ClientError: {error}")
    serve(pipeline)


if __name__ == "__main__":
    main()
