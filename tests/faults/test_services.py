"""Helper processes: they outlive the server, are adopted, replaced and restarted, and no other process is signalled."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from clary.core.errors import SettingsError
from clary.detached import process
from clary.detached.lock import try_lock
from clary.services.manager import ServiceManager
from clary.services.service import Service
from tests.s3server import free_port

pytestmark = pytest.mark.anyio

PROGRAM = """
import os, signal, socket, sys, time
mode, port = sys.argv[1], int(sys.argv[2])
print("mode", mode, flush=True)
if mode == "dies":
    sys.exit("I cannot go on")
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", port))
while True:
    taken, _ = server.accept()
    taken.recv(65536)
    if mode == "silent" or os.path.exists("deaf"):
        os.chdir("/")
        continue
    taken.sendall(b"HTTP/1.1 %s\\r\\nContent-Length: 0\\r\\n\\r\\n" % (b"500 No" if mode == "ill" else b"200 OK"))
    taken.close()
"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Home:
    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.prepared = 0
        (folder / "program.py").write_text(PROGRAM)

    def service(self, mode="ok", **changes):
        def prepare():
            self.prepared += 1

        url = f"http://127.0.0.1:{self.port}"
        argv = [sys.executable, "-I", "-S", str(self.folder / "program.py"), mode, str(self.port)]
        options = {"start_timeout_s": 20.0, "health_timeout_s": 0.5} | changes
        environment = options.pop("environment", {"SECRET": "hush"})
        return Service(
            "helper",
            argv,
            environment,
            url=url,
            health_url=f"{url}/healthz",
            address=("127.0.0.1", self.port),
            run=self.folder / "run",
            prepare=prepare,
            **options,
        )

    @property
    def lock(self):
        return self.folder / "run" / "helper.lock"

    def pid(self):
        with process.found(self.lock) as running:
            return running.pid if running else None

    def running(self):
        """Every process of this home's program, as the system lists them."""
        found = []
        for candidate in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                is_zombie = candidate.status() == psutil.STATUS_ZOMBIE
                if str(self.folder / "program.py") in candidate.cmdline() and not is_zombie:
                    found.append(candidate.pid)
        return found


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    yield home
    for pid in home.running():
        os.kill(pid, signal.SIGKILL)


async def until(true, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


async def test_it_is_started_and_described_and_stopped(home):
    service = home.service()
    assert await service.describe() == {"pid": None, "url": service.url, "healthy": False}
    assert await service.start_or_adopt()
    [pid] = home.running()
    assert await service.describe() == {"pid": pid, "url": service.url, "healthy": True}
    assert os.getsid(pid) == pid != os.getsid(0)
    assert psutil.Process(pid).cwd() == "/"
    assert "hush" not in " ".join(psutil.Process(pid).cmdline())
    assert psutil.Process(pid).environ()["SECRET"] == "hush"
    assert (home.folder / "run" / "helper.log").read_text() == "mode ok\n"
    await service.stop()
    assert home.running() == []
    assert await service.describe() == {"pid": None, "url": service.url, "healthy": False}
    await service.stop()


async def test_its_environment_does_not_come_from_the_process_that_starts_it(home, monkeypatch):
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not yours")
    await home.service().start_or_adopt()
    assert not {"RCLONE_READ_ONLY", "AWS_SECRET_ACCESS_KEY"} & psutil.Process(home.pid()).environ().keys()


async def test_it_inherits_nothing_open_but_its_lock(home, tmp_path):
    with (tmp_path / "pipe to a waiting shell").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        await home.service().start_or_adopt()
    held = {int(link.name): str(link.readlink()) for link in Path(f"/proc/{home.pid()}/fd").iterdir()}
    assert held.pop(9) == str(home.lock)
    log = str(home.folder / "run" / "helper.log")
    assert [held.pop(number) for number in (0, 1, 2)] == ["/dev/null", log, log]
    assert [opened for opened in held.values() if not opened.startswith("socket:")] == []


async def test_a_second_service_object_adopts_the_process(home):
    assert await home.service().start_or_adopt()
    pid = home.pid()
    assert not await home.service().start_or_adopt()
    assert home.running() == [pid]
    assert home.prepared == 1


async def test_two_at_once_start_one(home):
    started = await asyncio.gather(*(home.service().start_or_adopt() for _ in range(4)))
    assert sorted(started) == [False, False, False, True]
    assert len(home.running()) == home.prepared == 1


@pytest.mark.parametrize("changes", [{"environment": {"SECRET": "changed"}}, {"mode": "other"}])
async def test_a_process_with_other_settings_is_replaced(home, changes):
    await home.service().start_or_adopt()
    before = home.pid()
    assert await home.service(**changes).start_or_adopt()
    assert home.running() == [home.pid()] != [before]


async def test_a_process_that_does_not_answer_is_replaced(home):
    (home.folder / "run").mkdir()
    lock = try_lock(home.lock)
    service = home.service(start_timeout_s=1.0)
    ill = home.service("silent", start_timeout_s=1.0)
    process.start(lock, service.fingerprint, process.shell_command(ill.argv), {}, service.log)
    os.close(lock)
    await until(home.pid)
    before = home.pid()
    assert await service.start_or_adopt()
    assert home.running() == [home.pid()] != [before]


async def test_a_process_that_ignores_sigterm_is_killed(home):
    service = home.service("stubborn")
    await service.start_or_adopt()
    await service.stop(grace_s=0.1)
    assert home.running() == []


async def test_it_survives_the_death_of_its_starter_and_is_adopted(home):
    script = f"""
    import asyncio, os, signal, sys
    sys.path.insert(0, {str(Path.cwd())!r})
    from pathlib import Path
    from tests.faults.test_services import Home
    home = Home(Path({str(home.folder)!r}))
    home.port = {home.port}
    asyncio.run(home.service().start_or_adopt())
    os.killpg(0, signal.SIGKILL)
    """
    starter = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], start_new_session=True, check=False)
    assert starter.returncode == -signal.SIGKILL
    [pid] = home.running()
    assert not await home.service().start_or_adopt()
    assert home.running() == [pid]


async def test_a_start_that_was_killed_before_the_pid_was_written_is_repaired(home):
    (home.folder / "run").mkdir()
    home.lock.write_text(home.service().fingerprint + "\n")
    assert await home.service().start_or_adopt()
    assert await home.service().healthy()


@pytest.mark.parametrize("content", ["", "\n", "x", "x\nnot a pid\n", "x\n-1\n", "x\n99999999\n", "x\n0\n", "\0" * 100])
async def test_a_lock_file_full_of_nonsense_does_no_harm(home, content):
    (home.folder / "run").mkdir()
    home.lock.write_text(content)
    await home.service().stop()
    assert await home.service().start_or_adopt()


async def test_a_process_that_got_the_pid_of_a_dead_service_is_never_signalled(home):
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        service = home.service()
        (home.folder / "run").mkdir()
        home.lock.write_text(f"{service.fingerprint}\n{innocent.pid}\n")
        assert await service.describe() == {"pid": None, "url": service.url, "healthy": False}
        await service.stop(grace_s=0.1)
        assert await service.start_or_adopt()
        await service.stop()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


async def test_a_lock_held_by_an_unknown_process_is_an_error_that_names_it(home):
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        (home.folder / "run").mkdir()
        home.lock.write_text(f"x\n{innocent.pid}\n")
        with home.lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(SettingsError, match=str(home.lock)):
                await home.service(start_timeout_s=0.2).start_or_adopt()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


async def test_a_taken_port_is_an_error_that_names_port_and_setting(home):
    with socket.create_server(("127.0.0.1", home.port)):
        with pytest.raises(SettingsError, match=rf"port {home.port} on 127\.0\.0\.1 is taken.* setting port"):
            await home.service().start_or_adopt()
        assert home.running() == []
        assert home.prepared == 0
    assert await home.service().start_or_adopt()


async def test_an_address_that_is_not_ours_is_an_error(home):
    service = home.service()
    service.address = ("192.0.2.1", home.port)
    with pytest.raises(SettingsError, match=r"on 192\.0\.2\.1 cannot be used"):
        await service.start_or_adopt()


async def test_a_program_that_ends_at_once_is_an_error_with_its_last_lines(home):
    with pytest.raises(SettingsError, match=r"did not start: mode dies \| I cannot go on"):
        await home.service("dies").start_or_adopt()


async def test_a_program_that_is_not_there_is_an_error(home):
    service = home.service()
    service.argv = ("/nowhere/program",)
    with pytest.raises(SettingsError, match="/nowhere/program"):
        await service.start_or_adopt()


@pytest.mark.parametrize("mode", ["silent", "ill"])
async def test_a_program_that_never_gets_healthy_is_an_error_and_does_not_stay(home, mode):
    with pytest.raises(SettingsError, match="did not start"):
        await home.service(mode, start_timeout_s=1.0, health_timeout_s=0.2).start_or_adopt()
    assert home.running() == []


async def test_a_log_that_has_grown_is_rotated(home):
    (home.folder / "run").mkdir()
    log = home.folder / "run" / "helper.log"
    with log.open("wb") as file:
        file.truncate(11 << 20)
    await home.service().start_or_adopt()
    assert log.read_text() == "mode ok\n"
    assert (home.folder / "run" / "helper.log.1").stat().st_size == 11 << 20


@contextlib.asynccontextmanager
async def watched(*services, **options):
    service_manager = ServiceManager(
        services, **({"check_every_s": 0.1, "first_delay_s": 0.01, "longest_delay_s": 0.1} | options)
    )
    await service_manager.start()
    running = asyncio.create_task(service_manager.run())
    try:
        yield service_manager
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_the_manager_restarts_what_was_killed(home):
    service = home.service()
    async with watched(service):
        for _ in range(3):
            before = home.pid()
            os.kill(before, signal.SIGKILL)
            await until(lambda before=before: home.pid() not in (None, before))
        await until(lambda: len(home.running()) == 1)
    assert home.pid() is not None  # it goes on when no manager runs


async def test_the_manager_restarts_what_does_not_answer(home):
    service = home.service(health_timeout_s=0.2)
    async with watched(service, unhealthy_after=2):
        before = home.pid()
        os.kill(before, signal.SIGSTOP)
        service_stop = service.stop
        service.stop = lambda: service_stop(grace_s=0.1)  # a stopped process takes no SIGTERM
        await until(lambda: home.pid() not in (None, before))
    assert home.running() == [home.pid()]


async def test_the_manager_goes_on_trying(home):
    service = home.service()
    attempts = []
    start = service.start_or_adopt

    async def counting_start():
        attempts.append(home.pid())
        return await start()

    service.start_or_adopt = counting_start
    async with watched(service, first_delay_s=0.3, longest_delay_s=0.3):
        os.kill(home.pid(), signal.SIGKILL)
        await until(lambda: not home.running())
        with socket.create_server(("127.0.0.1", home.port)):
            await until(lambda: len(attempts) >= 3)
            assert home.running() == []
        await until(lambda: len(home.running()) == 1)


async def test_the_manager_waits_longer_each_time(home, monkeypatch):
    delays = []
    service = home.service()
    sleep = asyncio.sleep

    async def ended(within_s):
        return True

    async def fails():
        raise SettingsError("the port is taken")

    async def recording_sleep(delay):
        delays.append(delay)
        await sleep(0)

    monkeypatch.setattr(service, "ended", ended)
    service_manager = ServiceManager([service], first_delay_s=1.0, longest_delay_s=5.0)
    monkeypatch.setattr(service, "start_or_adopt", fails)
    monkeypatch.setattr("clary.services.manager.asyncio.sleep", recording_sleep)
    running = asyncio.create_task(service_manager.run())
    while len(delays) < 5:
        await sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert delays[:5] == [1.0, 2.0, 4.0, 5.0, 5.0]


async def test_the_manager_reports_why_a_service_does_not_start(home):
    with pytest.raises(SettingsError, match="I cannot go on"):
        await ServiceManager([home.service("dies")]).start()


async def test_two_managers_keep_a_single_service(home):
    async with watched(home.service()), watched(home.service()):
        before = home.pid()
        os.kill(before, signal.SIGKILL)
        await until(lambda: home.pid() not in (None, before))
        assert not await home.service().start_or_adopt()
        assert len(home.running()) == 1
