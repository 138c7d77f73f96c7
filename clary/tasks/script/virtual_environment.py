"""A virtual environment of a task's own, which sees the packages of the environment that this program runs in.

What one task installs no other task sees.
"""

from __future__ import annotations

import importlib.util
import shutil
import site
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from clary.tasks import paths


def folder() -> Path:
    """/opt/ml/environment; a temporary folder where /opt/ml is read-only."""
    path = paths.base_dir() / "environment"
    try:
        shutil.rmtree(path, ignore_errors=True)  # left by a run that was killed
        path.mkdir(parents=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="environment-"))
    return path


def create(folder: Path) -> str:
    """Create one without packages of its own. Returns its Python."""
    venv.create(folder, system_site_packages=False, with_pip=False, symlinks=True)
    packages = _site_packages(folder)
    packages.mkdir(parents=True, exist_ok=True)
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    inherited = dict.fromkeys([*user, *site.getsitepackages()])
    # addsitedir, not plain paths: editable installs are .pth files of their own.
    lines = (f"import site; site.addsitedir({path!r})\n" for path in inherited)
    (packages / "below.pth").write_text("".join(lines))
    return str(folder / "bin" / "python")


def activate(python: str) -> None:
    """Import its packages in this very process, before those of our own environment."""
    if python == sys.executable:
        return
    known = list(sys.path)
    site.addsitedir(str(_site_packages(Path(python).parent.parent)))
    sys.path[:] = [path for path in sys.path if path not in known] + known


def can_build() -> bool:
    """Whether a setup.py can be built with installed packages; an isolated build first fetches setuptools."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    return any(importlib.util.find_spec(name) for name in ("wheel", "setuptools.command.bdist_wheel"))


def _site_packages(folder: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder), "platbase": str(folder)}))
