"""The log of a training job."""

from __future__ import annotations

import logging
import sys


def configure() -> None:
    """As AWS's images have it, on stdout with the metrics, so that lines keep their order."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="[%(asctime)s:%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d:%H:%M:%S",
    )
