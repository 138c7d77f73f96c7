"""docs/quickstart.md, run as it stands there: each section's program, with nothing but the environment it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.aws import aws

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quickstart.md").read_text()


def program(section: str) -> str:
    """The one program of a section."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    (found,) = re.findall(r"```(?:python|sh)\n(.*?)```", text, re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """Where somebody went through the quickstart up to the data, with a server that answers."""
    with aws():
        folder = tmp_path_factory.mktemp("quickstart")
        run([sys.executable, "-c", program("The data")], folder)
        yield folder


def run(argv: list[str], folder: Path) -> str:
    """Run a program as a shell would after `eval "$(clary env)"`; what it printed."""
    kept = ("PATH", "LANG", "TMPDIR")
    variables = {k: v for k, v in os.environ.items() if k in kept or k.startswith(("AWS_", "SAGEMAKER_"))}
    done = subprocess.run(
        argv, cwd=folder, env={**variables, "HOME": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def environment(name: str) -> Path:
    """The programs of a client's environment. Skips where `make acceptance` has not made it."""
    folder = ROOT / f".venv-{name}" / "bin"
    if not (folder / "python").exists():
        pytest.skip(f"there is no {folder.parent.name}: `make acceptance` makes it")
    return folder


def test_the_commands_of_the_start_exist():
    assert program("Start").splitlines() == [
        "make setup",
        ". .venv/bin/activate",
        "clary up --detach",
        'eval "$(clary env)"',
    ]


def test_with_boto3(folder):
    printed = run([sys.executable, "-c", program("With boto3")], folder).splitlines()
    assert float(re.search(r"'validation:auc': ([0-9.]+)", printed[0])[1]) > 0.95
    assert len(re.findall(r"'0\.[0-9]+'", printed[1])) == 2


@pytest.mark.sdk
@pytest.mark.timeout(600)
def test_with_the_aws_cli(folder):
    (folder / "aws-cli").symlink_to(environment("cli").parent)
    run(["sh", "-c", program("With the AWS CLI")], folder)
    answers = re.split(r"[,\n]", (folder / "answers.csv").read_text().strip())
    assert len(answers) == len((folder / "ask.csv").read_text().splitlines())


@pytest.mark.sdk
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [2, 3])
def test_with_the_sagemaker_sdk(folder, version):
    python = environment(f"sdk-v{version}") / "python"
    printed = run([str(python), "-W", "ignore", "-c", program(f"With the SageMaker SDK, version {version}")], folder)
    assert re.search(r"0\.[0-9]+", printed.splitlines()[-1])
