"""How a program ends badly: a text in /opt/ml/output/failure, which becomes FailureReason."""

from __future__ import annotations

import sys
import traceback

from clary.tasks import paths

# What DescribeTrainingJob tells of it.
MAX_CHARACTERS = 1024


class ClientError(Exception):
    """What the user sent cannot work: a hyperparameter, a channel, a row of data. The message names it."""

    def __str__(self) -> str:
        return f"ClientError: {super().__str__()}"


def report(error: Exception) -> None:
    """Tell it in the log and in the failure file; whose fault it is comes first."""
    if isinstance(error, ClientError):
        text = str(error)
        print(text, file=sys.stderr, flush=True)
    else:
        text = f"AlgorithmError: {type(error).__name__}: {error}"
        traceback.print_exception(error)
    file = paths.failure_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text[:MAX_CHARACTERS], encoding="utf-8", errors="replace")
