"""A host's own Python environment, a layer on the runtime's: it sees that one's packages, and installs stay in it.

Made by hand, since `python -m venv` takes seconds: a few links and small files make an environment.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

_PIP = '#!/bin/sh\nexec {python} -m pip "$@"\n'


def make_venv_layer(venv: Path, python: str) -> None:
    """Make the environment, on top of that which `python` belongs to."""
    settings = _settings(Path(python))
    version = _version(python, settings)
    site_packages = venv / "lib" / f"python{version}" / "site-packages"
    bin_ = venv / "bin"
    bin_.mkdir(parents=True)
    site_packages.mkdir(parents=True)
    real = os.path.realpath(python)
    for name in ("python", "python3", f"python{version}"):
        (bin_ / name).symlink_to(real)
    (bin_ / "pip").write_text(_PIP.format(python=shlex.quote(str(bin_ / "python"))))
    (bin_ / "pip").chmod(0o755)
    for name in ("pip3", f"pip{version}"):
        (bin_ / name).symlink_to("pip")
    base = settings.get("home") or str(Path(real).parent)
    # An interpreter that is in no environment has its packages where the system's are.
    system = settings.get("include-system-site-packages", "false").lower() if settings else "true"
    (venv / "pyvenv.cfg").write_text(f"home = {base}\ninclude-system-site-packages = {system}\nversion = {version}\n")
    if settings:
        below = Path(python).parent.parent / "lib" / f"python{version}" / "site-packages"
        # addsitedir also reads the .pth files there; behind this environment's own packages, which so come first.
        (site_packages / "runtime.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n")


def prefixes(python: str) -> tuple[str, ...]:
    """The folders an interpreter needs to see: its environment's, and the installation's below it."""
    real = os.path.realpath(python)
    found = [Path(python).parent.parent, Path(real).parent.parent]
    if home := _settings(Path(python)).get("home"):
        found.append(Path(home).parent)
    return tuple(dict.fromkeys(str(path) for path in found))


def _settings(python: Path) -> dict[str, str]:
    """pyvenv.cfg of the interpreter's environment; nothing where it is in none."""
    try:
        lines = (python.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _version(python: str, settings: dict[str, str]) -> str:
    """As in lib/python3.11."""
    version = settings.get("version") or settings.get("version_info")
    if version:
        return ".".join(version.split(".")[:2])
    name = Path(os.path.realpath(python)).name.removeprefix("python")
    if "." in name:
        return name
    folders = sorted((Path(os.path.realpath(python)).parent.parent / "lib").glob("python3.*"))
    return folders[-1].name.removeprefix("python") if folders else "3"
