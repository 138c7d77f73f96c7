"""Image URIs, the runtimes they stand for, and what becomes of those that stand for none."""

import asyncio
import dataclasses
import re
import sys
from pathlib import Path

import pytest

from clary.compute import backends, local, oci, runtimes, sandbox
from clary.compute.backends import check_image, resolver
from clary.compute.engine import Engine
from clary.compute.images import BuiltIn, built_in, requirements
from clary.compute.plan import Container, Plan, Platform, Process
from clary.core.errors import LaunchError
from clary.core.settings import Settings
from clary.core.tasks import Task

pytestmark = pytest.mark.anyio

ECR = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST = f"{ECR}/sagemaker-xgboost:1.7-1"
SKLEARN = f"{ECR}/sagemaker-scikit-learn:1.2-1-cpu-py3"
DIGEST = "sha256:" + "0f" * 32


@pytest.fixture
def anyio_backend():
    return "asyncio"


def a_task(image=XGBOOST, **changes):
    return Task(id="t-0", owner=("training-job", "t", "u"), image=image, **changes)


def an_engine(monkeypatch, found):
    monkeypatch.setattr(oci, "find_engine", lambda settings: found)


@pytest.mark.parametrize(
    ("uri", "image"),
    [
        (XGBOOST, BuiltIn("xgboost", "1.7")),
        (f"{ECR}/sagemaker-xgboost:0.90-2-cpu-py3", BuiltIn("xgboost", "0.90")),
        (f"{ECR}/sagemaker-xgboost:3.0-5", BuiltIn("xgboost", "3.0.5")),
        (f"{ECR}/sagemaker-xgboost@{DIGEST}", BuiltIn("xgboost")),
        (f"{ECR}/sagemaker-xgboost:1.5-1@{DIGEST}", BuiltIn("xgboost", "1.5")),
        (f"{ECR}/sagemaker-xgboost", BuiltIn("xgboost")),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", BuiltIn("xgboost", "0.72")),
        ("811284229777.dkr.ecr.eu-west-1.amazonaws.com/xgboost:latest", BuiltIn("xgboost", "0.72")),
        ("451049120500.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:1.7-1", BuiltIn("xgboost", "1.7")),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/sagemaker-xgboost:1.7-1", BuiltIn("xgboost", "1.7")),
        ("123456789012.dkr-ecr.us-west-2.on.aws/sagemaker-xgboost:1.7-1", BuiltIn("xgboost", "1.7")),
        ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov/sagemaker-xgboost:1.7-1", BuiltIn("xgboost", "1.7")),
        (SKLEARN, BuiltIn("scikit-learn", "1.2")),
        (f"{ECR}/sagemaker-scikit-learn:0.20.0-cpu-py3", BuiltIn("scikit-learn", "0.20.0")),
        ("clary/xgboost", BuiltIn("xgboost")),
        ("clary/xgboost:1.7-1", BuiltIn("xgboost", "1.7")),
        ("clary/scikit-learn:latest", BuiltIn("scikit-learn")),
        ("clary/data", BuiltIn("data")),
        ("clary/data:1.0", BuiltIn("data")),
        (f"{ECR}/clary/data:1", BuiltIn("data")),
        (f"localhost:5000/clary/data@{DIGEST}", BuiltIn("data")),
    ],
)
def test_images_of_aws_and_our_own_are_programs(uri, image):
    assert built_in(uri) == image


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "busybox",
        "xgboost:1",
        "someone/xgboost:1",
        "docker.io/library/xgboost:1",
        "evil.example/683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        "683313688378.dkr.ecr.us-east-1.amazonaws.com.evil.example/sagemaker-xgboost:1.7-1",
        f"{ECR}/my-xgboost:1.7-1",
        f"{ECR}/team/sagemaker-xgboost:1.7-1",
        f"{ECR}/clary/xgboost",
        "clary/data/more",
        "someone/clary/data",
        "clary/data\n",
        "evil.example/x/clary/data",
        f"{XGBOOST}\n",
        f"{ECR}/sagemaker-xgboost:1.7-1@sha256:short",
    ],
)
def test_any_other_image_is_a_container(uri):
    assert built_in(uri) is None


@pytest.mark.parametrize(
    ("image", "some"),
    [
        (BuiltIn("xgboost", "0.90"), {"xgboost==0.90", "numpy<2", "scipy<1.13"}),
        (BuiltIn("xgboost", "1.2"), {"xgboost==1.2.1", "numpy<2"}),
        (BuiltIn("xgboost", "1.7"), {"xgboost==1.7.6", "numpy<2"}),
        (BuiltIn("xgboost", "3.0.5"), {"xgboost==3.0.5", "numpy"}),
        (BuiltIn("xgboost", "1.9"), {"xgboost==1.9.*"}),
        (BuiltIn("scikit-learn", "1.2"), {"scikit-learn==1.2.2", "numpy<2"}),
        (BuiltIn("scikit-learn", "1.10"), {"scikit-learn==1.10.*", "numpy"}),
        (BuiltIn("scikit-learn", "0.20.0"), {"scikit-learn==0.20.0", "numpy<2"}),
    ],
)
def test_a_version_is_pinned_with_what_it_was_made_for(image, some):
    assert some <= set(requirements(image))


# local


@pytest.mark.parametrize(
    ("changes", "argv"),
    [
        ({}, ("prog", "train")),
        ({"command": "serve"}, ("prog", "serve")),
        ({"command": ""}, ("prog",)),
        ({"arguments": ("a", "b")}, ("prog", "a", "b")),
        ({"entrypoint": ("/bin/sh",)}, ("/bin/sh",)),
        ({"entrypoint": ("/bin/sh", "-c"), "arguments": ("true",)}, ("/bin/sh", "-c", "true")),
    ],
)
def test_a_programs_command_line_is_put_together_as_a_containers(changes, argv):
    assert local.command(("prog",), a_task(**changes)) == argv


@pytest.mark.parametrize("backend", ["auto", "local"])
async def test_a_built_in_image_is_a_program_of_the_servers_own_python(backend, tmp_path):
    execution = await resolver(Settings(home=tmp_path, backend=backend, sandbox="none")).resolve(a_task(SKLEARN))
    assert isinstance(execution, Process)
    assert execution.argv == (execution.python, "-m", "clary.tasks.scikit_learn", "train")
    assert (execution.sandbox, execution.environment) == ("none", {})


@pytest.mark.parametrize(
    ("changes", "argv"),
    [
        ({}, ("-m", "clary.tasks.recipe_job")),
        ({"arguments": ("--target", "y")}, ("-m", "clary.tasks.recipe_job", "--target", "y")),
        ({"entrypoint": ("python3", "x.py"), "arguments": ("y",)}, ("python3", "x.py", "y")),
    ],
)
@pytest.mark.parametrize("versions", ["current", "exact"])
async def test_the_data_image_runs_the_recipes_of_this_very_version(versions, changes, argv, tmp_path):
    settings = Settings(home=tmp_path, sandbox="none", runtime_versions=versions)
    execution = await resolver(settings).resolve(a_task("clary/data:1.0", command="", **changes))
    assert execution.argv == (argv if "entrypoint" in changes else (execution.python, *argv))
    assert execution.python == sys.executable


async def test_bubblewrap_is_taken_where_it_works(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "probe", lambda: "")
    assert (await resolver(Settings(home=tmp_path)).resolve(a_task())).sandbox == "bubblewrap"
    monkeypatch.setattr(sandbox, "probe", lambda: "no namespaces here")
    assert (await resolver(Settings(home=tmp_path)).resolve(a_task())).sandbox == "none"
    with pytest.raises(LaunchError, match="no namespaces here"):
        await resolver(Settings(home=tmp_path, sandbox="bubblewrap")).resolve(a_task())


async def test_the_local_backend_runs_no_containers(tmp_path):
    settings = Settings(home=tmp_path, backend="local")
    assert 'backend = "local"' in check_image("busybox", settings)
    with pytest.raises(LaunchError, match="busybox"):
        await resolver(settings).resolve(a_task("busybox"))


# oci


@pytest.mark.parametrize(
    ("changes", "entrypoint", "arguments"),
    [
        ({}, None, ("train",)),
        ({"command": "serve"}, None, ("serve",)),
        ({"command": ""}, None, None),
        ({"arguments": ("a",)}, None, ("a",)),
        ({"entrypoint": ("/e", "x")}, ("/e", "x"), None),
        ({"entrypoint": ("/e",), "arguments": ("a",)}, ("/e",), ("a",)),
    ],
)
async def test_train_and_serve_only_where_nothing_is_given(changes, entrypoint, arguments, tmp_path, monkeypatch):
    an_engine(monkeypatch, Engine(("podman",), ("--runtime", "runc")))
    execution = await resolver(Settings(home=tmp_path)).resolve(a_task("busybox", **changes))
    assert execution == Container(("podman",), ("--runtime", "runc"), "busybox", entrypoint, arguments)


async def test_the_oci_backend_runs_even_aws_images_as_containers(tmp_path, monkeypatch):
    an_engine(monkeypatch, Engine(("docker",)))
    assert isinstance(await resolver(Settings(home=tmp_path, backend="oci")).resolve(a_task(XGBOOST)), Container)


async def test_without_an_engine_a_container_image_is_refused(tmp_path, monkeypatch):
    an_engine(monkeypatch, None)
    assert "neither podman nor docker" in check_image("busybox", Settings(home=tmp_path))
    with pytest.raises(LaunchError, match="neither podman nor docker"):
        await resolver(Settings(home=tmp_path)).resolve(a_task("busybox"))


# runtimes


OLD = BuiltIn("xgboost", "1.7")


class Installer:
    """Stands for venv and pip."""

    def __init__(self, fails=False):
        self.ran = []
        self.fails = fails

    async def __call__(self, argv, lock):
        self.ran.append(argv)
        await asyncio.sleep(0)
        if argv[2] == "venv":
            (Path(argv[3]) / "bin").mkdir(parents=True)
        elif self.fails:
            raise LaunchError("ERROR: No matching distribution found for xgboost==1.7.6")


async def test_an_environment_is_created_once(tmp_path):
    install = Installer()
    made = [await runtimes.environment(OLD, tmp_path, install) for _ in range(2)]
    assert made == [str(tmp_path / "xgboost-1.7" / "bin" / "python")] * 2
    assert [argv[1:3] for argv in install.ran] == [["-m", "venv"], ["-m", "pip"]]
    assert "xgboost==1.7.6" in install.ran[1]


async def test_an_environment_that_cannot_be_made_leaves_nothing_and_reports_why(tmp_path):
    with pytest.raises(LaunchError, match=r"xgboost 1\.7: ERROR: No matching.*runtime_versions"):
        await runtimes.environment(OLD, tmp_path, Installer(fails=True))
    assert not (tmp_path / "xgboost-1.7").exists()


async def test_an_incomplete_environment_is_created_anew(tmp_path):
    (tmp_path / "xgboost-1.7" / "bin").mkdir(parents=True)
    (tmp_path / "xgboost-1.7" / "half").touch()
    install = Installer()
    await runtimes.environment(OLD, tmp_path, install)
    assert len(install.ran) == 2
    assert not (tmp_path / "xgboost-1.7" / "half").exists()


async def test_several_processes_create_one(tmp_path):
    install = Installer()
    await asyncio.gather(*(runtimes.environment(OLD, tmp_path, install) for _ in range(3)))
    assert len(install.ran) == 2


async def test_exact_versions_take_the_image_s_own_environment(tmp_path, monkeypatch):
    async def environment(image, folder):
        return f"/made/{image.name}-{image.version}/bin/python"

    monkeypatch.setattr(runtimes, "environment", environment)
    settings = Settings(home=tmp_path, runtime_versions="exact", sandbox="none")
    execution = await resolver(settings).resolve(a_task())
    assert execution.argv == ("/made/xgboost-1.7/bin/python", "-m", "clary.tasks.xgboost", "train")
    shown = tmp_path / "runtimes" / "programs"
    assert execution.environment == {"PYTHONPATH": str(shown)}
    assert sorted(path.name for path in (shown / "clary").iterdir()) == [
        "__init__.py",
        "algorithms",
        "formats",
        "tasks",
    ]
    assert (shown / "clary" / "tasks" / "__init__.py").exists()
    assert (shown / "clary" / "algorithms" / "registry.py").exists()


@pytest.mark.parametrize("program", ["algorithm", "xgboost", "scikit_learn", "script", "host"])
def test_what_a_program_imports_of_clary_is_in_its_environment(tmp_path, program):
    package = runtimes.programs(tmp_path) / "clary"
    sources = [file.read_text() for file in (package / "tasks" / program).rglob("*.py")]
    sources += [file.read_text() for file in (package / "tasks").glob("*.py")]
    imported = {name for text in sources for name in re.findall(r"^ *(?:from|import) clary\.(\w+)", text, re.MULTILINE)}
    assert imported
    assert imported <= {path.name for path in package.iterdir()}


def test_a_plan_made_before_its_program_moved_runs_it_where_it_is():
    """A task that waits for room while Clary is upgraded."""
    process = Process(("python3", "-m", "clary.data.job", "--label", "clary.data.job"), "python3", {}, "none")
    platform = Platform(*[""] * len(dataclasses.fields(Platform)))
    read = Plan.from_json(Plan(process, platform).to_json())
    assert isinstance(read.execution, Process)
    assert read.execution.argv == ("python3", "-m", "clary.tasks.recipe_job", "--label", "clary.data.job")


def test_the_programs_folder_is_the_same_when_requested_again(tmp_path):
    assert runtimes.programs(tmp_path) == runtimes.programs(tmp_path)


def test_the_backend_of_the_settings_is_made(tmp_path):
    assert isinstance(resolver(Settings(home=tmp_path, backend="oci")), oci.OciResolver)
    assert isinstance(resolver(Settings(home=tmp_path, backend="local")), local.LocalResolver)
    assert isinstance(resolver(Settings(home=tmp_path)), backends.AutoResolver)
