"""The contract of backends, over programs in bubblewrap, programs without it, and containers.

Containers need podman or docker, and a static busybox to make an image of: on Debian and Ubuntu
`apt-get install podman busybox-static` (and `runc`, where crun does not work with the machine's control groups).
"""

import asyncio
import io
import os
import shutil
import signal
import subprocess
import tarfile

import psutil
import pytest

from clary.compute import engine, sandbox
from clary.compute.backends import resolver
from clary.compute.folder import TaskFolder
from clary.compute.plan import Platform
from clary.compute.supervised import SupervisedBackend
from clary.core.instances import Machine
from clary.core.settings import Settings
from clary.core.tasks import Cause, Input, Output, Phase, PipelineContainer, Serve
from clary.testing.backend import BackendContract, BackendWorld, lines, status

MACHINE = Machine(cpus=2, memory_mib=2048)
IMAGE = "localhost/clary-contract:latest"
APPLETS = ("sh", "cat", "echo", "env", "false", "httpd", "mkdir", "sleep", "true")
# Some machines refuse an engine's own limits, or its default runtime.
LIMITS = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
OPTIONS = ("", LIMITS, "--runtime runc", f"--runtime runc {LIMITS}")

ANSWER_ALL = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Answer).serve_forever()
"""
BUSYBOX_SERVER = 'mkdir -p /tmp/www; echo ok > /tmp/www/ping; exec httpd -f -p "$SAGEMAKER_BIND_TO_PORT" -h /tmp/www'


def a_world(home, image, server, **changes):
    settings = Settings(home=home, **changes)
    platform = Platform(
        logs=str(settings.paths.logs),
        events_socket=str(settings.paths.run / "events.sock"),
        endpoint_url="http://127.0.0.1:1",
        s3_endpoint_url="http://127.0.0.1:2",
        s3_folder=str(settings.paths.buckets),
        access_key_id="AKIATEST",
        secret_access_key="secret",
        s3_access_key_id="AKIATEST",
        s3_secret_access_key="secret",
        region="us-east-1",
        account_id="000000000000",
    )

    def make(notify):
        return SupervisedBackend(settings.paths.tasks, platform, notify, resolver(settings).resolve, MACHINE)

    def kill_supervisor(task_id):
        pid = TaskFolder(settings.paths.tasks / task_id).supervisor()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    return BackendWorld(
        make=make,
        machine=MACHINE,
        image=image,
        server=server,
        kill_supervisor=kill_supervisor,
        running=running,
    )


def running(task_id):
    """Whether a program, or the engine's `run`, carries the task's id."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("CLARY_TASK_ID") == task_id:
                return True
        except (psutil.Error, OSError):
            continue
    return False


PROCESS = """
cat /opt/ml/config/greeting; cat /opt/ml/processing/in/rows > /opt/ml/processing/out/sub/rows;
echo first > /opt/ml/processing/out/first; echo done > /opt/ml/output/message; echo up; sleep 60
"""


class ProcessingContract(BackendContract):
    """The promises to processing jobs, which need an S3 on this machine."""

    async def test_a_processing_task_gets_its_inputs_and_its_outputs_are_uploaded(self, world, tmp_path):
        bucket = Settings(home=tmp_path).paths.buckets / "bucket"
        (bucket / "in").mkdir(parents=True)
        (bucket / "in/rows").write_text("1,2\n")
        plain = {"archive": False, "always": True, "links": False}
        task = world.task(
            f"mkdir /opt/ml/processing/out/sub; {PROCESS}",
            layout="processing",
            files={"config/greeting": "hello\n"},
            inputs=(Input("prefix", "s3://bucket/in/", "processing/in"),),
            outputs=(Output("processing/out", "s3://bucket/out/", continuous=True, **plain),),
            grace_s=0.1,
        )
        async with world.serving() as backend:
            await backend.launch(task)
            await world.eventually((bucket / "out/sub/rows").exists, "nothing was uploaded while it ran")
            await world.printed(backend, "task-0", "up")
            await backend.stop("task-0", 0.1)
            state = await world.until(backend, "task-0", Phase.EXITED)
            assert (state.cause, state.message, state.failure) == (Cause.STOPPED, "done\n", "")
            assert await lines(backend, "task-0") == ["hello", "up"]
        assert {path.name: path.read_text() for path in (bucket / "out").rglob("*") if path.is_file()} == {
            "first": "first\n",
            "rows": "1,2\n",
        }


@pytest.mark.skipif(bool(sandbox.probe()), reason=sandbox.probe())
class TestBubblewrap(ProcessingContract):
    @pytest.fixture
    def world(self, tmp_path):
        return a_world(tmp_path, "clary/scikit-learn", ("python3", "-c", ANSWER_ALL), sandbox="bubblewrap")


class TestNoSandbox(ProcessingContract):
    @pytest.fixture
    def world(self, tmp_path):
        return a_world(tmp_path, "clary/scikit-learn", ("python3", "-c", ANSWER_ALL), sandbox="none")


@pytest.fixture(scope="session")
def container_options():
    """The options with which an engine works here; skips where none does."""
    found = engine.find_engine(Settings())
    if found is None:
        pytest.skip(f"podman: {engine.why_not('podman')}; docker: {engine.why_not('docker')}")
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed (Debian, Ubuntu: package busybox-static)")
    done = subprocess.run(
        [*found.command, "import", "-", IMAGE], input=a_root(busybox), capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"{found.command[0]} cannot make an image: {done.stderr.decode()[-200:]}")
    error = ""
    for options in OPTIONS:
        tried = subprocess.run(
            [*found.command, "run", "--rm", *options.split(), IMAGE, "true"],
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode == 0:
            yield options
            subprocess.run([*found.command, "rmi", "--force", IMAGE], capture_output=True, check=False)
            return
        error = tried.stderr
    pytest.skip(f"{found.command[0]} cannot run a container here: {error[-200:]}")


def a_root(busybox):
    """A file system with a shell in it, as a tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, mode in (("tmp", 0o1777), ("proc", 0o555), ("etc", 0o755), ("opt", 0o755)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            archive.addfile(folder)
    return made.getvalue()


@pytest.mark.container
class TestContainers(ProcessingContract):
    @pytest.fixture
    def world(self, tmp_path, container_options):
        return a_world(
            tmp_path,
            IMAGE,
            ("/bin/sh", "-c", BUSYBOX_SERVER),
            backend="oci",
            container_engine_options=container_options,
        )


@pytest.mark.container
def test_a_pipeline_may_have_programs_and_containers(tmp_path, container_options):
    asyncio.run(programs_and_containers(tmp_path, container_options))


async def programs_and_containers(tmp_path, container_options):
    world = a_world(tmp_path, IMAGE, (), container_engine_options=container_options)
    script = f"if [ $KIND = program ]; then exec python3 -c '{ANSWER_ALL}'; fi; {BUSYBOX_SERVER}"
    images = {"program": "clary/scikit-learn", "container": IMAGE}
    task = world.task(
        "",
        entrypoint=("sh", "-c", script),
        hosts=tuple(images),
        pipeline={kind: PipelineContainer(image, {"KIND": kind}) for kind, image in images.items()},
        serve=Serve(startup_timeout_s=20, ping_interval_s=0.1),
        command="serve",
    )
    async with world.serving() as backend:
        await backend.launch(task)
        state = await world.until(backend, "task-0", Phase.READY)
        for address in (state.address, *state.pipeline_addresses):
            assert await asyncio.to_thread(status, f"{address}/ping") == 200
        world.kill_supervisor("task-0")
        await world.until(backend, "task-0", Phase.LOST)
        await backend.forget("task-0")
        await world.eventually(lambda: not world.running("task-0"), "it still runs")
        for address in (state.address, *state.pipeline_addresses):
            assert await asyncio.to_thread(status, f"{address}/ping") == 0
