"""The failure of a program that the user brought, in the form that AWS's toolkit gives it."""

from __future__ import annotations

from collections.abc import Sequence

# FailureReason takes 1024 characters in all, and the exit code and the command are worth some of them.
MESSAGE_LENGTH = 700

TRACEBACK = "Traceback (most recent call last):"


class ProcessError(Exception):
    """A program that was run for the user did not end with exit code 0."""

    def __init__(self, name: str, exit_code: int, stderr: str, command: Sequence[str]) -> None:
        self.exit_code = exit_code
        extra = 'ExtraInfo "Killed by SIGKILL: most often, out of memory"\n' if exit_code == 137 else ""
        message = f'ErrorMessage "{last_lines(stderr)}"\n{extra}Command "{" ".join(command)}"'
        super().__init__(f"{name}:\nExitCode {exit_code}\n{message}")


def last_lines(stderr: str) -> str:
    """The last traceback where there is one, else the last lines; whole lines, from the end."""
    text = stderr.replace("\r", "\n").strip()
    if TRACEBACK in text:
        text = text[text.rindex(TRACEBACK) :].removeprefix(TRACEBACK).strip("\n")
    if len(text) > MESSAGE_LENGTH:
        text = text[-MESSAGE_LENGTH:]
        text = text.partition("\n")[2] or text
    return text
