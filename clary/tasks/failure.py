"""How a program fails: a text in /opt/ml/output/failure, which becomes FailureReason."""

from __future__ import annotations

import sys
import traceback

from clary.tasks import paths

# FailureReason has room for so many.
MAX_CHARACTERS = 1024


class ClientError(Exception):
    """What the user sent cannot work: a hyperparameter, a channel, a row of data. The message names it."""

    def __str__(self) -> str:
        return f"ClientError: {super().__str__()}"


def report(error: Exception) -> None:
    """Write it to the log and to the failure file; whose fault it is comes first."""
    if isinstance(error, ClientError):
        text = str(error)
        print(text, file=sys.stderr, flush=True)
    else:
        text = f"AlgorithmError: {type(error).__name__}: {error}"
        traceback.print_exception(error)
    _write_file(text[:MAX_CHARACTERS])


def write(text: str) -> None:
    """Write a text to the log and to the failure file."""
    print(text, file=sys.stderr, flush=True)
    _write_file(text)


def _write_file(text: str) -> None:
    file = paths.failure_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        print(f"cannot write {file}: {error}", file=sys.stderr, flush=True)
