"""What every server process of Clary does first: configure its log, and raise its limit of open files."""

from __future__ import annotations

import contextlib
import io
import logging
import resource
import sys
from typing import TextIO, cast

import structlog

# More than any machine's clients need; an unlimited number would cost memory in proportion.
MOST_FILES = 65536


def configure_logging(level: str) -> None:
    """Events with fields, a line each, to stderr; those of libraries only where they warn."""
    number = logging.getLevelNamesMapping()[level.upper()]
    output = Unfailing(sys.stderr)
    logging.basicConfig(level=max(number, logging.WARNING), format="%(message)s", stream=output)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, output)),
        cache_logger_on_first_use=True,
    )


class Unfailing(io.TextIOBase):
    """A log on a disk that may be full: lines that find no room are lost, and the process goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def allow_many_connections() -> None:
    """Each connection is an open file, and often two: raise the soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
