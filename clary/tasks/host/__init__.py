"""The model host: answers /ping and /invocations for one model, as a container behind an endpoint does.

A program brings `Handlers` and calls `serve`, which blocks until SIGTERM.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Refused(Exception):
    """The caller's fault: raised by handlers, told to the caller with its status (4xx) and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Handlers(Protocol):
    """What a model host asks of the model's side. `transform` may be called from several threads at once.

    An optional method `execution_parameters(self) -> Mapping[str, Any]` answers GET /execution-parameters.
    """

    def load(self, model_dir: Path) -> Any:
        """The model, ready to answer. An exception ends the host with exit code 1 and a traceback in the log."""
        ...

    def transform(self, model: Any, body: bytes, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
        """The answer's body and its content type; an empty content type answers 204. Raises Refused."""
        ...


def serve(handlers: Handlers) -> None:
    """Load the model and answer until SIGTERM, as the environment says (see `clary.tasks.host.options`)."""
    from clary.tasks.host.server import run

    run(handlers)
