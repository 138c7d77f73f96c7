"""The same scenario through the AWS CLI and both SageMaker SDKs, each unmodified and in an environment of its own.

`make acceptance` makes the environments. The programs find the server by environment variables alone.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from tests.live import LiveServer, live_server

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

pytestmark = [pytest.mark.timeout(600), pytest.mark.sdk]


@pytest.fixture(scope="module")
def server():
    with live_server("describe_wait_s = 10") as server:
        yield server


def environment(name: str) -> Path:
    """The programs of an environment. Skips where it has not been made."""
    folder = ROOT / f".venv-{name}" / "bin"
    if not (folder / "python").exists():
        pytest.skip(f"there is no {folder.parent.name}: `make acceptance` makes it")
    return folder


def scenario(server: LiveServer, argv: list[str], folder: Path, **variables: str) -> str:
    """Run a program with nothing but what `clary env` exports; what it printed."""
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    done = subprocess.run(
        argv,
        env={**clean, "HOME": str(folder), **server.environment, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "SCENARIO PASSED" in done.stdout
    return done.stdout


def test_with_the_aws_cli(server, tmp_path):
    features, labels = load_breast_cancer(return_X_y=True)
    table = np.column_stack([labels, features])
    np.savetxt(tmp_path / "train.csv", table[:400], delimiter=",")
    np.savetxt(tmp_path / "validation.csv", table[400:], delimiter=",")
    np.savetxt(tmp_path / "rows.csv", features[400:410], delimiter=",")
    output = scenario(
        server,
        ["sh", str(PROGRAMS / "with_aws_cli.sh"), str(tmp_path)],
        tmp_path,
        AWS_CLI=str(environment("cli") / "aws"),
    )
    assert "assumed-role" in output


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_with_the_sagemaker_sdk(server, tmp_path, version):
    python = environment(f"sdk-{version}") / "python"
    scenario(server, [str(python), "-W", "ignore", str(PROGRAMS / f"with_sdk_{version}.py")], tmp_path)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_processors_of_the_sagemaker_sdk(server, tmp_path, version):
    python = environment(f"sdk-{version}") / "python"
    scenario(server, [str(python), "-W", "ignore", str(PROGRAMS / f"processing_sdk_{version}.py")], tmp_path)
