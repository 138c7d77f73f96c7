"""How a task ended, and the text of its FailureReason."""

from __future__ import annotations

import codecs
import errno
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clary.core.errors import ClaryError
from clary.core.tasks import Cause
from clary.supervisor.safe_open import safe_read

LONGEST = 1024
_PREFIXES = ("AlgorithmError:", "ClientError:", "InternalServerError:", "CapacityError:")


class CannotRun(ClaryError):
    """The task cannot go on; the text becomes FailureReason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the program ended.

    ran      it was started, so there may be something to collect
    message  what a processing job's hosts left in /opt/ml/output/message
    """

    exit_code: int | None = None
    failure: str = ""
    cause: Cause = Cause.NONE
    ran: bool = True
    message: str = ""


def failure_reason(error: Exception, doing: str) -> str:
    """FailureReason for an error of the supervisor's; `doing` completes "while …"."""
    text = str(error)
    if text.startswith(_PREFIXES):
        return shortened(text)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return shortened(f"ClientError: No space left on the disk of this machine while {doing}")
    if isinstance(error, ClaryError):
        return shortened(f"ClientError: {text}")
    return shortened(f"InternalServerError: {type(error).__name__} while {doing}: {text}")


def program_failure(ml: Path, exit_code: int, host: str, last_lines: Sequence[str]) -> str:
    """What the program wrote to /opt/ml/output/failure, else its exit code and the last lines it printed."""
    if text := _failure_file(ml):
        # Clary's own programs know whose error it is: wrong hyperparameters are the client's, say.
        return shortened(text if text.startswith(_PREFIXES) else f"AlgorithmError: {text}")
    return with_log(f"AlgorithmError: , exit code: {exit_code}{_signal(exit_code)}{host and f' ({host})'}", last_lines)


def with_log(text: str, last_lines: Sequence[str]) -> str:
    """The text, then as many of the last lines as there is room for."""
    head = f"{text}. Last lines of the log:"
    room = LONGEST - len(head)
    kept: list[str] = []
    for line in reversed([line for line in map(_printable, last_lines) if line.strip()]):
        if len(line) + 1 > room:
            kept += [f"…{line[-(room - 2) :]}"] if room > 20 else []
            break
        kept.append(line)
        room -= len(line) + 1
    return "\n".join([head, *reversed(kept)]) if kept else text


def shortened(text: str) -> str:
    return _printable(text)[:LONGEST]


def exit_message(folders: Sequence[Path]) -> str:
    """What the hosts wrote to /opt/ml/output/message, joined in their order, at most 1024 bytes of UTF-8.

    Raises  CannotRun where a message is not UTF-8
    """
    text = "".join(map(_message, folders)).encode()
    return text[:LONGEST].decode("utf-8", "ignore")  # cut in the middle of a character, it ends before it


def _message(ml: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    content = safe_read(ml, ("output", "message"), LONGEST + 1)
    try:
        return decoder.decode(content[:LONGEST], final=len(content) <= LONGEST)
    except UnicodeDecodeError as error:
        raise CannotRun(f"ClientError: /opt/ml/output/message is not valid UTF-8: {error.reason}") from None


def _failure_file(ml: Path) -> str:
    """The text of the failure file, which any program may have written."""
    return _printable(safe_read(ml, ("output", "failure"), 4 * LONGEST).decode("utf-8", "replace")).strip()


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def _signal(exit_code: int) -> str:
    """Killed by a signal, a program's code is 128 and the signal's number."""
    try:
        return f" ({signal.Signals(exit_code - 128).name})" if exit_code > 128 else ""
    except ValueError:
        return ""
