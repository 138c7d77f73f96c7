"""Python environments for built-in images: the server's own, or one of the image's exact version, created on first use.

An environment is a folder `<home>/runtimes/<name>-<version>`; the file `ready` in it is written last, so without it the
folder is what a crash left. The process that creates it holds the lock beside it, and so does its pip.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import clary
from clary.compute.images import BuiltIn, requirements
from clary.core.errors import LaunchError
from clary.core.files import write_whole

_READY = "ready"
_LAST_LINES = 5

_RETRY_S = 0.1
# What programs of built-in images import of Clary.
_PROGRAM_PACKAGES = ("algorithms", "formats", "tasks")

# A command line, and the descriptor of the lock it keeps with it; raises LaunchError.
Run = Callable[[Sequence[str], int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A program of this machine.

    program       the command line before `train` or `serve`
    python        the interpreter its scripts find
    environment   variables that it needs
    """

    program: tuple[str, ...]
    python: str
    environment: dict[str, str]


async def runtime_for(image: BuiltIn, versions: Literal["current", "exact"], runtimes: Path) -> Runtime:
    """Where an image's program runs. Where its environment has to be created first, that takes minutes.

    Raises LaunchError, its text for people: the library is missing, or pip could not install this version.
    """
    if versions == "exact" and image.version:
        python = await environment(image, runtimes)
        return Runtime((python, "-m", image.algorithm.module), python, {"PYTHONPATH": str(programs(runtimes))})
    if why := missing(image):
        raise LaunchError(why)
    return Runtime((sys.executable, "-m", image.algorithm.module), sys.executable, {})


def missing(image: BuiltIn) -> str:
    """ "" where the server's own environment has what an image needs, else how to install it."""
    algorithm = image.algorithm
    if importlib.util.find_spec(algorithm.library) is not None:
        return ""
    return f"{algorithm.package} is not installed beside Clary: run pip install 'clary[algorithms]'"


def programs(runtimes: Path) -> Path:
    """A folder for PYTHONPATH in which only the programs of Clary are found, none of the server."""
    folder = runtimes / "programs"
    package = folder / "clary"
    package.mkdir(parents=True, exist_ok=True)
    for name in _PROGRAM_PACKAGES:
        _link(package / name, Path(clary.__file__).parent / name)
    if not (package / "__init__.py").exists():
        write_whole(package / "__init__.py", "")
    return folder


def _link(link: Path, target: Path) -> None:
    """Create or replace a symbolic link to a folder, so that there is a valid one at every moment."""
    if not link.is_dir() or link.resolve() != target.resolve():
        new = link.with_name(f".{link.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)


async def environment(image: BuiltIn, runtimes: Path, run: Run | None = None) -> str:
    """The interpreter of an environment with exactly this version; created where there is none yet."""
    folder = runtimes / f"{image.name}-{image.version}"
    python = folder / "bin" / "python"
    if (folder / _READY).exists():
        return str(python)
    runtimes.mkdir(parents=True, exist_ok=True)
    lock = os.open(runtimes / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _locked(lock)
        if not (folder / _READY).exists():
            await _create(image, folder, lock, run or _run)
    finally:
        os.close(lock)
    return str(python)


async def _create(image: BuiltIn, folder: Path, lock: int, run: Run) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    try:
        await run([sys.executable, "-m", "venv", str(folder)], lock)
        await run([str(folder / "bin" / "python"), *_PIP_INSTALL, *requirements(image)], lock)
    except LaunchError as error:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise LaunchError(
            f"could not create an environment for {image.name} {image.version}: {error}. "
            'With the setting runtime_versions = "current" the installed version is taken instead'
        ) from error
    write_whole(folder / _READY, "\n".join(requirements(image)))


async def _locked(lock: int) -> None:
    """Wait for another process that creates it, without occupying a thread: many may wait."""
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_RETRY_S)


# Building old versions from source would take very long and then fail.
_PIP_INSTALL = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--only-binary=:all:")


async def _run(argv: Sequence[str], lock: int) -> None:
    try:
        running = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(lock,),  # a pip that outlives the server keeps the lock
        )
    except OSError as error:
        raise LaunchError(str(error)) from error
    try:
        output, _ = await running.communicate()
    except asyncio.CancelledError:
        running.kill()
        raise
    if running.returncode != 0:
        lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()][-_LAST_LINES:]
        raise LaunchError(" | ".join(lines) or f"{argv[0]} ended with {running.returncode}")
