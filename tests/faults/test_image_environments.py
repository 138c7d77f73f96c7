"""Container engines and environments of exact versions, with real processes."""

import asyncio
import fcntl
import time

import psutil
import pytest

from clary.compute import engine, runtimes
from clary.compute.backends import check_image, resolver
from clary.compute.engine import Engine
from clary.core.errors import LaunchError
from clary.core.settings import Settings
from tests.unit.test_images import XGBOOST, Installer, a_task, anyio_backend  # noqa: F401

pytestmark = pytest.mark.anyio


async def test_a_missing_library_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = Settings(home=tmp_path)
    assert "pip install 'clary[algorithms]'" in check_image(XGBOOST, settings)
    with pytest.raises(LaunchError, match=r"clary\[algorithms\]"):
        await resolver(settings).resolve(a_task())


@pytest.fixture
def fake_engine(tmp_path, monkeypatch):
    """An engine on PATH that has one image, knows of another, and gets no answer about a third."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "podman"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in info|"image inspect"*here*|"manifest inspect"*offered*) exit 0;;\n'
        '"manifest inspect"*slow*) exec sleep 30;;\n'
        "*) echo no such image >&2; exit 125;; esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(engine, "_REGISTRY_S", 0.2)
    engine.why_not.cache_clear()
    yield
    engine.why_not.cache_clear()


@pytest.mark.parametrize(
    ("image", "fragment"),
    [
        ("here/it:is", ""),
        ("offered/by:registry", ""),
        ("nobody/has:it", "no such image"),
        ("a/slow:registry", "no answer within"),
        ("--help", "is not the name of an image"),
        ("a b", "is not the name of an image"),
    ],
)
def test_an_image_is_searched_locally_and_in_its_registry(image, fragment, fake_engine, tmp_path):
    found = check_image(image, Settings(home=tmp_path))
    assert (found == "") == (fragment == "")
    assert fragment in found


def test_the_settings_choose_the_engine_and_its_options(fake_engine, tmp_path):
    settings = Settings(home=tmp_path, container_engine_options="--runtime runc --label 'a b'")
    assert engine.find_engine(settings) == Engine(("podman",), ("--runtime", "runc", "--label", "a b"))
    assert engine.find_engine(Settings(home=tmp_path, container_engine="podman")) == Engine(("podman",))


async def test_pips_last_lines_are_in_the_error(tmp_path):
    with (tmp_path / "lock").open("w") as lock, pytest.raises(LaunchError, match=r"one \| two"):
        await runtimes._run(["/bin/sh", "-c", "echo one; echo two >&2; exit 1"], lock.fileno())


async def test_a_pip_that_outlives_its_server_keeps_the_lock(tmp_path):
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pip = asyncio.create_task(runtimes._run(["/bin/sleep", "30"], lock.fileno()))
        await until(lambda: any(child.name() == "sleep" for child in psutil.Process().children()))
    with (tmp_path / "lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pip.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pip
        await runtimes._locked(lock.fileno())


async def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
