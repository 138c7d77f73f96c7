"""What a program brings to the model host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class RequestError(Exception):
    """A request that cannot be answered, by the caller's fault: the answer has this status (4xx) and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Handlers(Protocol):
    """The model's side of a model host. `transform` may be called from several threads at once.

    An optional method `execution_parameters(self) -> Mapping[str, Any]` answers GET /execution-parameters.
    """

    def load(self, model_dir: Path) -> Any:
        """The model, ready to answer. An exception ends the host with exit code 1 and a traceback in the log."""
        ...

    def transform(self, model: Any, body: bytes, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
        """The response's body and its content type; an empty content type answers 204. Raises RequestError."""
        ...
