"""podman or docker, through its command line."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass

from clary.core.settings import Settings

_ANSWER_S = 15.0  # the first call of a rootless podman sets up its storage
_REGISTRY_S = 8.0
_ENGINES = ("podman", "docker")
# Not an option, nothing special to a shell; registries and engines are stricter still.
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@\-]{0,254}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `options` go into each `run`."""

    command: tuple[str, ...]
    options: tuple[str, ...] = ()

    def has(self, image: str) -> bool:
        """Whether the image lies on this machine."""
        return _run((*self.command, "image", "inspect", "--format", "{{.Id}}", image), _ANSWER_S)[0]

    def unavailable(self, image: str) -> str:
        """ "" where the image is here or its registry offers it, else why not. May take seconds."""
        if not _IMAGE.fullmatch(image):
            return f'"{image}" is not the name of an image'
        if self.has(image):
            return ""
        offered, output = _run((*self.command, "manifest", "inspect", image), _REGISTRY_S)
        return "" if offered else f"{self.command[0]} does not have it, and no registry offers it: {output}"


def find_engine(settings: Settings) -> Engine | None:
    """The engine of the settings' choice, podman first; None where none answers."""
    for name in _ENGINES if settings.container_engine == "auto" else (settings.container_engine,):
        if not why_not(name):
            return Engine((name,), tuple(shlex.split(settings.container_engine_options)))
    return None


@functools.cache
def why_not(name: str) -> str:
    """ "" where an engine answers, else why it does not. Determined once per server."""
    if shutil.which(name) is None:
        return f"{name} is not installed"
    answered, output = _run((name, "info"), _ANSWER_S)
    return "" if answered else f"{name} does not answer: {output}"


def _run(argv: tuple[str, ...], within_s: float) -> tuple[bool, str]:
    """Whether a command ends well, and its last line."""
    try:
        completed = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {within_s:g} s"
    except OSError as error:
        return False, str(error)
    lines = completed.stdout.strip().splitlines()
    return completed.returncode == 0, lines[-1][:300] if lines else f"it ended with {completed.returncode}"
