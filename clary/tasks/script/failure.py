"""What a task says when it fails: the file whose text becomes FailureReason."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from clary.tasks import paths
from clary.tasks.failure import ClientError as ClientError

# FailureReason takes 1024 characters in all, and the exit code and the command are worth some of them.
MESSAGE_LENGTH = 700

TRACEBACK = "Traceback (most recent call last):"


class ProcessError(Exception):
    """A program that we ran ended with something else than 0; the text is in the form AWS's toolkit gives it."""

    def __init__(self, name: str, exit_code: int, stderr: str, command: Sequence[str]) -> None:
        self.exit_code = exit_code
        extra = 'ExtraInfo "Killed by SIGKILL: most often, out of memory"\n' if exit_code == 137 else ""
        message = f'ErrorMessage "{last_words(stderr)}"\n{extra}Command "{" ".join(command)}"'
        super().__init__(f"{name}:\nExitCode {exit_code}\n{message}")


def last_words(stderr: str) -> str:
    """The last traceback where there is one, else the last lines; whole lines, from the end."""
    text = stderr.replace("\r", "\n").strip()
    if TRACEBACK in text:
        text = text[text.rindex(TRACEBACK) :].removeprefix(TRACEBACK).strip("\n")
    if len(text) > MESSAGE_LENGTH:
        text = text[-MESSAGE_LENGTH:]
        text = text.partition("\n")[2] or text
    return text


def tell(text: str) -> None:
    """Write the failure file, and say the same in the log."""
    print(text, file=sys.stderr, flush=True)
    file = paths.failure_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        print(f"cannot write {file}: {error}", file=sys.stderr, flush=True)
