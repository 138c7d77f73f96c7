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
    place = paths.base_dir() / "environment"
    try:
        shutil.rmtree(place, ignore_errors=True)  # left by a run that was killed
        place.mkdir(parents=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="environment-"))
    return place


def create(place: Path) -> str:
    """Create one without packages of its own. Returns its Python."""
    venv.create(place, system_site_packages=False, with_pip=False, symlinks=True)
    above = _site_packages(place)
    above.mkdir(parents=True, exist_ok=True)
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    below = dict.fromkeys([*user, *site.getsitepackages()])
    # addsitedir, not plain paths: editable installs are .pth files of their own.
    lines = (f"import site; site.addsitedir({path!r})\n" for path in below)
    (above / "below.pth").write_text("".join(lines))
    return str(place / "bin" / "python")


def activate(python: str) -> None:
    """Import its packages in this very process, before those of our own environment."""
    if python == sys.executable:
        return
    known = list(sys.path)
    site.addsitedir(str(_site_packages(Path(python).parent.parent)))
    sys.path[:] = [path for path in sys.path if path not in known] + known


def can_build() -> bool:
    """Whether a setup.py can be built with what is here; an isolated build first fetches setuptools from an index."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    return any(importlib.util.find_spec(name) for name in ("wheel", "setuptools.command.bdist_wheel"))


def _site_packages(place: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(place), "platbase": str(place)}))
