"""`clary process` as a person and a script meet it: a job on a server, or here; what it prints, makes and refuses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from clary.cli.process import command
from clary.core.errors import ClaryError
from clary.data import FittedRecipe, Recipe
from clary.demo.server import free_port
from tests.data_jobs import held
from tests.data_library.recipe_support import passengers
from tests.live import LiveServer, live_server, until

DONE, COULD_NOT, WRONG_USAGE = 0, 1, 2
STEPS: list[Any] = [
    {"drop": {"columns": ["day"]}},
    {"impute": {"strategy": "median"}},
    {"one_hot": {"columns": ["c*"]}},
]
ARTEFACTS = ["model.tar.gz", "recipe.clary", "told.json"]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server("cpus = 64\nmemory_mib = 262144") as server:
        yield server


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipe.yaml, rows.csv, the same rows in parts/, and the recipe fitted to them."""
    folder = tmp_path_factory.mktemp("work")
    table = passengers(rows=200, seed=2)
    table.to_csv(folder / "rows.csv", index=False)
    (folder / "parts/.git").mkdir(parents=True)
    for number in range(2):
        table.iloc[number * 100 : (number + 1) * 100].to_csv(folder / f"parts/{number}.csv", index=False)
    (folder / "parts/.git/config").write_text("no table")
    (folder / "parts/_SUCCESS").write_text("")
    recipe = Recipe(STEPS, target="label")
    recipe.save(folder / "recipe.yaml")
    recipe.fit(pd.read_csv(folder / "rows.csv")).save(folder / "fitted.clary")
    return folder


@pytest.fixture(scope="module")
def features(work: Path) -> pd.DataFrame:
    return FittedRecipe.load(work / "fitted.clary").transform(pd.read_csv(work / "rows.csv"))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def same(found: pd.DataFrame, features: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, features, check_dtype=False, check_exact=True)


def fails(server: LiveServer, *arguments: str) -> str:
    """The error that it prints: in this process, since much is refused here."""
    done = CliRunner().invoke(command, [*arguments, "--home", str(server.home)])
    assert isinstance(done.exception, ClaryError), done.output
    return str(done.exception)


# ---- what it does ----


def test_files_of_this_machine(server, work, features, tmp_path):
    done = server.clary(
        "process", str(work / "recipe.yaml"), str(work / "rows.csv"), str(tmp_path / "made"), "--name", "local"
    )
    assert files(tmp_path / "made") == ["features/part.parquet", *ARTEFACTS]
    same(pd.read_parquet(tmp_path / "made/features/part.parquet"), features)
    *log, last = done.stdout.splitlines()
    assert last == f"200 of 200 rows in {features.shape[1] - 1} columns, 3 steps.  {tmp_path / 'made'}  (job local)"
    assert any(line.startswith("step 2 (impute): ") for line in log)
    # The name is taken now. What the job was given is not touched.
    before = server.s3.list_objects_v2(Bucket=server.bucket, Prefix="local/")["Contents"]
    paths = [str(work / "fitted.clary"), str(work / "rows.csv"), str(tmp_path / "other")]
    assert "there is a processing job local already: choose another --name" in fails(server, *paths, "--name=local")
    assert server.s3.list_objects_v2(Bucket=server.bucket, Prefix="local/")["Contents"] == before
    assert "a b" in fails(server, *paths, "--name=a b")
    again = server.clary("logs", "local").stdout
    assert [line for line in again.splitlines() if line.startswith("step")] == [
        line for line in log if line.startswith("step")
    ]


def test_what_lies_in_s3_stays_there(server, work, features, tmp_path):
    for name in ("recipe.yaml", "rows.csv"):
        server.s3.upload_file(str(work / name), server.bucket, f"raw/{name}")
    root = f"s3://{server.bucket}"
    options = ["--format", "csv", "--label", "label", "--profile", "--json"]
    done = server.clary("process", f"{root}/raw/recipe.yaml", f"{root}/raw/rows.csv", f"{root}/made", *options)
    printed = json.loads(done.stdout)
    assert printed["output"] == f"{root}/made"
    assert printed["message"].startswith("200 of 200 rows")
    assert printed["job"].startswith("process-")
    assert printed["seconds"] > 0
    found = server.s3.list_objects_v2(Bucket=server.bucket, Prefix="made/")["Contents"]
    names = [item["Key"].removeprefix("made/") for item in found]
    assert names == ["features/part.csv", *ARTEFACTS[:1], "profile.html", *ARTEFACTS[1:]]
    server.s3.download_file(server.bucket, "made/features/part.csv", str(tmp_path / "part.csv"))
    csv = pd.read_csv(tmp_path / "part.csv", header=None)
    same(csv.set_axis(["label", *features.columns.drop("label")], axis=1)[list(features)], features)


def test_a_folder_a_fitted_recipe_and_two_hosts(server, work, features, tmp_path):
    """Only files that are read are brought; what an earlier run has left does not stay between the new files."""
    made = tmp_path / "made"
    (made / "features/train").mkdir(parents=True)
    (made / "features/train/part.parquet").write_bytes(b"old")
    (made / "notes.txt").write_text("mine")
    paths = [str(work / "fitted.clary"), str(work / "parts" / ".." / "parts"), str(made)]
    server.clary("process", *paths, "--instances", "2", "--name", "hosts")
    assert files(made) == [
        "features/part-algo-1.parquet", "features/part-algo-2.parquet", "model.tar.gz", "notes.txt", *ARTEFACTS[1:]
    ]  # fmt: skip
    parts = [pd.read_parquet(made / f"features/part-algo-{number}.parquet") for number in (1, 2)]
    assert [len(part) for part in parts] == [100, 100]
    same(pd.concat(parts, ignore_index=True), features)
    keys = [item["Key"] for item in server.s3.list_objects_v2(Bucket=server.bucket, Prefix="hosts/")["Contents"]]
    inputs = [key.partition("/input/")[2] for key in keys if "/input/" in key]
    assert inputs == ["parts/0.csv", "parts/1.csv"]


def test_the_option_here_needs_no_server(work, features, tmp_path):
    paths = [str(work / "recipe.yaml"), str(work / "parts"), str(tmp_path / "made"), "--here"]
    done = clary(tmp_path, "process", *paths)
    assert done.returncode == DONE, done.stderr
    assert files(tmp_path / "made") == ["features/part.parquet", *ARTEFACTS]
    same(pd.read_parquet(tmp_path / "made/features/part.parquet"), features)
    assert done.stdout.endswith(f"3 steps.  {tmp_path / 'made'}\n")
    as_json = clary(tmp_path, "process", *paths, "--json", "--format=jsonl")
    assert json.loads(as_json.stdout)["message"].startswith("200 of 200 rows")
    assert "step 2 (impute)" in as_json.stderr
    assert files(tmp_path / "made/features") == ["part.jsonl"]


def clary(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}
    argv = [sys.executable, "-m", "clary", *arguments, "--home", str(home / "home")]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=clean, timeout=100)


# ---- what it refuses ----


def test_inputs_that_are_not_there(server, work, tmp_path):
    made = str(tmp_path / "made")
    (tmp_path / "empty").mkdir()
    recipe, rows = str(work / "recipe.yaml"), str(work / "rows.csv")
    assert f"there is no {work / 'none'}" in fails(server, recipe, str(work / "none"), made)
    assert "without a file to read" in fails(server, recipe, str(tmp_path / "empty"), made)
    assert "give a path or an s3:// URI" in fails(server, recipe, "https://example.org/rows.csv", made)
    assert f"OUTPUT {rows} is a file" in fails(server, recipe, rows, rows)
    assert not (tmp_path / "made").exists()


def test_nothing_in_s3(server, work, tmp_path):
    uri = f"s3://{server.bucket}/nothing/here.csv"
    printed = fails(server, str(work / "recipe.yaml"), uri, str(tmp_path / "made"))
    assert uri in printed
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("here", [False, True])
def test_bad_rows_are_reported_with_the_option_that_helps(server, work, tmp_path, here):
    text = (work / "rows.csv").read_text() + "1,2,3,4,5\n" * 2
    (tmp_path / "rows.csv").write_text(text)
    paths = [str(work / "recipe.yaml"), str(tmp_path / "rows.csv"), str(tmp_path / "made"), *["--here"] * here]
    printed = fails(server, *paths)
    assert "2 rows are bad" in printed
    assert printed.endswith("Give --bad-rows skip to leave them out")


def test_other_files_in_the_output_folder_are_not_overwritten(server, work, tmp_path):
    (tmp_path / "features").mkdir()
    (tmp_path / "features/mine.py").write_text("mine")
    paths = [str(work / "recipe.yaml"), str(work / "rows.csv"), str(tmp_path)]
    for more in ([], ["--here"]):
        assert "mine.py is not of a recipe's features" in fails(server, *paths, *more)
    assert files(tmp_path) == ["features/mine.py"]


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [
        (["--format", "xml"], "'xml' is not one of"),
        (["--instances", "0"], "0 is not in the range"),
        (["--here", "--instances", "2"], "with --here there is none"),
        (["--here", "--name", "a"], "with --here there is none"),
    ],
)
def test_wrong_usage(tmp_path, arguments, expected_text):
    done = clary(tmp_path, "process", "recipe.yaml", "rows.csv", "made", *arguments)
    assert done.returncode == WRONG_USAGE
    assert expected_text in done.stderr


def test_no_server(work, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/clary.toml").write_text(f"port = {free_port()}")
    done = clary(tmp_path, "process", str(work / "recipe.yaml"), str(work / "rows.csv"), str(tmp_path / "made"))
    assert done.returncode == COULD_NOT
    assert done.stderr == "clary: no server answers: start it with `clary up --detach`, or use --here\n"


def test_no_s3(server, work, tmp_path):
    """A client whose S3 address nobody listens at."""
    (tmp_path / "home").mkdir()
    shutil.copy(server.home / "credentials.json", tmp_path / "home")
    key, secret = (server.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    keys = f's3_access_key_id = "{key}"\ns3_secret_access_key = "{secret}"\n'
    dead = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "home/clary.toml").write_text(f'port = {server.port}\ns3_endpoint_url = "{dead}"\n{keys}')
    done = clary(tmp_path, "process", str(work / "recipe.yaml"), str(work / "rows.csv"), str(tmp_path / "made"))
    assert done.returncode == COULD_NOT
    assert done.stderr == f"clary: S3 does not answer at {dead}: `clary status` shows whether it runs\n"


# ---- while it waits ----


@contextlib.contextmanager
def waiting(server: LiveServer, work: Path, name: str, made: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, for a job that has not ended: its program is held."""
    paths = [str(work / "recipe.yaml"), str(work / "rows.csv"), str(made), "--name", name]
    argv = [sys.executable, "-m", "clary", "process", *paths, "--home", str(server.home)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        with held(server, name):
            yield process
    finally:
        process.kill()
        process.communicate()


def is_over(server: LiveServer, name: str) -> str | None:
    status = server.sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"]
    return None if status == "InProgress" else str(status)


def test_an_interrupted_wait_shows_how_to_follow_the_job(server, work, tmp_path):
    with waiting(server, work, "long", tmp_path / "made") as process:
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=30)[1]
        assert process.returncode == COULD_NOT
        assert f"The job long goes on, and writes to s3://{server.bucket}/long/" in printed
        assert "clary logs long --follow" in printed
        assert "aws sagemaker stop-processing-job --processing-job-name long" in printed
        assert "Traceback" not in printed
        assert is_over(server, "long") is None
    assert until(lambda: is_over(server, "long"), 60, "the job to end") == "Completed"


def test_a_server_that_goes_away_meanwhile_ends_no_job(server, work, tmp_path):
    """The last of this module: it stops what the others use."""
    with waiting(server, work, "left", tmp_path / "made") as process:
        server.down()
        printed = process.communicate(timeout=30)[1]
        assert process.returncode == COULD_NOT
        assert "the server does not answer any more. The job left goes on" in printed
        server.up()
        assert is_over(server, "left") is None
    assert until(lambda: is_over(server, "left"), 60, "the job to end") == "Completed"
