"""Answers requests with a user's inference script: what the script leaves out is done as AWS's image does it."""

from __future__ import annotations

from typing import Any

from clary.formats.decoding import decode, format_of
from clary.formats.table import FormatError
from clary.tasks.host import codecs
from clary.tasks.host.handlers import RequestError
from clary.tasks.host.user_code import Defaults
from clary.tasks.script.inference import serve_script


def serve() -> None:
    """Until SIGTERM."""
    serve_script(Defaults(to_matrix, to_matrix, predict, codecs.encode))


def to_matrix(body: bytes | str, content_type: str) -> Any:
    """A DMatrix of the body's rows, which have no label."""
    import xgboost  # all of it: a script may use its other interfaces

    try:
        kind, _ = format_of(content_type)
        table = decode(body.encode() if isinstance(body, str) else body, kind, label_size=0)
    except FormatError as error:
        raise RequestError(415, str(error)) from None
    return xgboost.DMatrix(table.features)


def predict(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)
