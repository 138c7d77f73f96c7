"""kill -9 of server and supervisor while the image `clary/data` works: all of its features are there, or none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from clary.core.tasks import Phase
from clary.data import FittedRecipe, Recipe
from tests.data_jobs import held
from tests.data_library.recipe_support import passengers
from tests.faults.live_world import PATIENCE_S, LiveWorld, live_world
from tests.live import kill, until

WHOLE = ["features/part.parquet", "model.tar.gz", "recipe.clary", "told.json"]
STEPS: list[Any] = [
    {"drop": {"columns": ["day"]}},
    {"impute": {"strategy": "median"}},
    {"one_hot": {"columns": ["c*"]}},
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return passengers(rows=200)


@pytest.fixture(scope="module")
def world(table: pd.DataFrame) -> Iterator[LiveWorld]:
    with live_world() as world:
        world.upload("data/recipe/recipe.yaml", Recipe(STEPS).to_yaml().encode())
        world.upload("data/input/rows.csv", table.to_csv(index=False).encode())
        yield world


def start(world: LiveWorld, job: str, mode: str = "EndOfJob") -> None:
    def processing_input(name: str) -> dict[str, Any]:
        source = {"S3Uri": f"s3://{world.bucket}/data/{name}/", "S3DataType": "S3Prefix", "S3InputMode": "File"}
        return {"InputName": name, "S3Input": {**source, "LocalPath": f"/opt/ml/processing/{name}"}}

    output = {
        "S3Uri": f"s3://{world.bucket}/made/{job}",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": mode,
    }
    world.sagemaker.create_processing_job(
        ProcessingJobName=job,
        AppSpecification={"ImageUri": "clary/data:1"},
        RoleArn=world.role,
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
        ProcessingInputs=[processing_input("recipe"), processing_input("input")],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "output", "S3Output": output}]},
    )


def ended_job(world: LiveWorld, job: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        description: dict[str, Any] = world.sagemaker.describe_processing_job(ProcessingJobName=job)
        return description if description["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return until(ended, PATIENCE_S, f"processing job {job} to be over")


def uploaded(world: LiveWorld, job: str) -> dict[str, bytes]:
    found = world.s3.list_objects_v2(Bucket=world.bucket, Prefix=f"made/{job}/").get("Contents", ())
    return {
        item["Key"].removeprefix(f"made/{job}/"): world.s3.get_object(Bucket=world.bucket, Key=item["Key"])[
            "Body"
        ].read()
        for item in found
    }


def is_whole(world: LiveWorld, job: str, table: pd.DataFrame) -> None:
    """Each row once, and the fitted recipe that made them."""
    found = uploaded(world, job)
    assert sorted(found) == WHOLE
    file = world.home / f"{job}.clary"
    file.write_bytes(found["recipe.clary"])
    features = FittedRecipe.load(file).transform(pd.read_csv(io.StringIO(table.to_csv(index=False))))
    got = pd.read_parquet(io.BytesIO(found["features/part.parquet"]))
    pd.testing.assert_frame_equal(got, features, check_dtype=False)


@pytest.mark.parametrize("moment", ["staging", "working", "over"])
@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
def test_a_server_that_dies_ends_no_job(world: LiveWorld, table: pd.DataFrame, moment: str, mode: str) -> None:
    job = f"server-{moment}-{mode}".lower()
    start(world, job, mode)
    world.task_appears(job)
    if moment == "staging":
        world.kill()
        world.up()
    else:
        with held(world, job):
            world.kill()
            if moment == "working":
                world.up()
        if moment == "over":
            world.tasks_reach(job, Phase.EXITED)
            world.up()
    description = ended_job(world, job)
    assert (description["ProcessingJobStatus"], description.get("FailureReason")) == ("Completed", None)
    assert description["ExitMessage"].startswith("200 of 200 rows in ")
    is_whole(world, job, table)
    world.all_is_quiet()


@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
def test_of_a_job_whose_supervisor_was_killed_nothing_incomplete_is_left(world: LiveWorld, mode: str) -> None:
    job = f"lost-{mode}".lower()
    start(world, job, mode)
    with held(world, job):
        (task,) = world.tasks(job)
        kill(world.supervisor(task.name))
        description = ended_job(world, job)
    assert description["ProcessingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("InternalServerError: ")
    assert uploaded(world, job) == {}
    world.all_is_quiet()


def test_a_program_that_was_killed_is_reported_and_the_next_job_writes_everything(
    world: LiveWorld, table: pd.DataFrame
) -> None:
    start(world, "killed")
    with held(world, "killed") as program:
        program.kill()
    description = ended_job(world, "killed")
    assert description["ProcessingJobStatus"] == "Failed"
    assert "SIGKILL" in description["FailureReason"] or "137" in description["FailureReason"]
    assert uploaded(world, "killed") == {}
    world.sagemaker.delete_processing_job(ProcessingJobName="killed")
    start(world, "killed")
    assert ended_job(world, "killed")["ProcessingJobStatus"] == "Completed"
    is_whole(world, "killed", table)
