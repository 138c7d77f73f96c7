"""Answer requests with a user's scikit-learn model."""

from __future__ import annotations

from clary.tasks.host import codecs
from clary.tasks.host.user_code import Defaults
from clary.tasks.script.inference import serve_script


def serve() -> None:
    """Until SIGTERM."""
    serve_script(Defaults(codecs.decode, codecs.decode_squeezed, codecs.predict, codecs.encode))
