"""What a job of the image `clary/data` leaves is a model: behind an endpoint it gives the job's own features, alone and
before a model that was trained on them."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from clary.data import Recipe
from tests.data_library.recipe_support import passengers
from tests.faults.live_world import PATIENCE_S, LiveWorld, live_world
from tests.live import until

IMAGE = "clary/data:1"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
TARGET = "label"
STEPS: list[Any] = [
    {"outliers": {"columns": ["n0"], "method": "iqr", "action": "missing"}},
    {"impute": {"columns": ["n0", "n1", "n2"], "strategy": "mean"}},
    {"yeo_johnson": {"columns": ["n3"]}},
    {"scale": {"columns": ["n0", "n1", "n2"]}},
    {"hash": {"columns": ["c0"], "n_features": 8}},
    {"one_hot": {"columns": ["c1", "c2"]}},
    {"tf_idf": {"columns": ["c3"]}},
    {"ordinal": {"columns": ["c4"]}},
    {"date_parts": {"columns": ["day"]}},
    {"pca": {"columns": ["n0", "n1", "n2"], "n_components": 2}},
]


@pytest.fixture(scope="module")
def world() -> Iterator[LiveWorld]:
    with live_world(opened=True) as world:
        yield world


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    made = passengers(rows=400, seed=11)
    levels = dict(
        zip("abcdef", ["red apple", "green apple", "red, ripe!", "Blue", "plum", "ünïcode plum"], strict=True)
    )
    made["c3"] = made["c3"].map(levels)
    made[TARGET] = (made["n1"].fillna(0) + made["whole"] > 2).astype(int)
    return made


def upload_table(world: LiveWorld, prefix: str, table: pd.DataFrame, files: int) -> None:
    """A recipe and rows, in S3."""
    world.upload(f"{prefix}/recipe/recipe.yaml", Recipe(STEPS, target=TARGET).to_yaml().encode())
    for number, at in enumerate(range(0, len(table), -(-len(table) // files))):
        part = table.iloc[at : at + -(-len(table) // files)]
        world.upload(f"{prefix}/input/{number}.csv", part.to_csv(index=False).encode())


def process(
    world: LiveWorld, name: str, prefix: str, *arguments: str, hosts: int = 1, recipe: str = "", sharded: bool = False
) -> dict[str, Any]:
    """A processing job, when it is over."""

    def processing_input(name: str, uri: str, distribution: str) -> dict[str, Any]:
        source = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3DataType": "S3Prefix"}
        return {"InputName": name, "S3Input": {**source, "S3InputMode": "File", "S3DataDistributionType": distribution}}

    root = f"s3://{world.bucket}/{prefix}"
    inputs = [
        processing_input("recipe", recipe or f"{root}/recipe/", "FullyReplicated"),
        processing_input("input", f"{root}/input/", "ShardedByS3Key" if sharded else "FullyReplicated"),
    ]
    target = {"S3Uri": f"{root}/{name}", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1}
    world.sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=world.role,
        AppSpecification={
            "ImageUri": IMAGE, **({"ContainerArguments": list(arguments)} if arguments else {})
        },
        ProcessingInputs=inputs,
        ProcessingOutputConfig={"Outputs": [{"OutputName": "output", "S3Output": target}]},
        ProcessingResources={"ClusterConfig": cluster},
    )  # fmt: skip

    def ended() -> dict[str, Any] | None:
        description: dict[str, Any] = world.sagemaker.describe_processing_job(ProcessingJobName=name)
        return description if description["ProcessingJobStatus"] != "InProgress" else None

    return until(ended, PATIENCE_S, f"{name} to be over")


def objects(world: LiveWorld, prefix: str) -> dict[str, bytes]:
    found = world.s3.list_objects_v2(Bucket=world.bucket, Prefix=prefix).get("Contents", ())
    return {
        item["Key"].removeprefix(prefix): world.s3.get_object(Bucket=world.bucket, Key=item["Key"])["Body"].read()
        for item in found
    }


@pytest.fixture(scope="module")
def made(world: LiveWorld, table: pd.DataFrame) -> dict[str, bytes]:
    """What a job has made of the table, fitted to it: CSV as XGBoost wants it."""
    upload_table(world, "rows", table, files=1)
    job = process(world, "fitted", "rows", "--format", "csv", f"--label={TARGET}")
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert job["ExitMessage"].startswith("400 of 400 rows")
    return objects(world, "rows/fitted/")


@pytest.fixture(scope="module")
def features(made: dict[str, bytes]) -> list[str]:
    """The job's features, a line of CSV for each row, without the target in front."""
    return [line.partition(",")[2] for line in made["features/part.csv"].decode().splitlines()]


@pytest.fixture(scope="module")
def recipe(world: LiveWorld, made: dict[str, bytes]) -> dict[str, Any]:
    return {"Image": IMAGE, "ModelDataUrl": f"s3://{world.bucket}/rows/fitted/model.tar.gz"}


def deploy(world: LiveWorld, name: str, *containers: dict[str, Any]) -> None:
    world.sagemaker.create_model(ModelName=name, ExecutionRoleArn=world.role, Containers=list(containers))
    world.make_config(name, name)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    endpoint = world.endpoint(name)
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")


def invoke(world: LiveWorld, endpoint: str, body: str, content_type: str, accept: str) -> str:
    answer = world.runtime.invoke_endpoint(
        EndpointName=endpoint, Body=body, ContentType=content_type, Accept=accept
    )  # fmt: skip
    return str(answer["Body"].read().decode())


def as_json(rows: pd.DataFrame) -> str:
    plain = rows.drop(columns=TARGET).astype({"day": str}).astype(object)
    return json.dumps({"instances": plain.where(rows.drop(columns=TARGET).notna(), None).to_dict("records")})


def test_the_fitted_recipe_is_a_model(made):
    assert sorted(made) == ["features/part.csv", "model.tar.gz", "recipe.clary", "told.json"]
    with tarfile.open(fileobj=io.BytesIO(made["model.tar.gz"])) as archive:
        assert archive.getnames() == ["recipe.clary"]


def test_batch_and_real_time_give_the_same_features_to_the_last_bit(world, recipe, table, features):
    deploy(world, "features", recipe)
    text = table.drop(columns=TARGET).to_csv(index=False)
    answer = invoke(world, "features", text, "text/csv; header=present", "text/csv")
    assert [_bits(line) for line in answer.splitlines()] == [_bits(line) for line in features]
    few = table.iloc[[0, 7, 150, 399]]
    response = json.loads(invoke(world, "features", as_json(few), "application/json", "application/json"))
    for place, instance in zip(few.index, response["instances"], strict=True):
        assert _bits(",".join("" if value is None else repr(value) for value in instance["features"])) == _bits(
            features[place]
        )
    world.delete_endpoint("features")


def _bits(line: str) -> bytes:
    return np.array([float(value or "nan") for value in line.split(",")]).tobytes()


def test_raw_rows_become_predictions_of_the_model_trained_on_the_features(world, recipe, table, features):
    train = {"S3DataSource": {"S3Uri": f"s3://{world.bucket}/rows/fitted/features/", "S3DataType": "S3Prefix"}}
    world.sagemaker.create_training_job(
        TrainingJobName="trees",
        AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        RoleArn=world.role,
        HyperParameters={"objective": "binary:logistic", "num_round": "12", "max_depth": "4"},
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": train}],
        OutputDataConfig={"S3OutputPath": f"s3://{world.bucket}/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    job = world.job("trees")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    deploy(world, "predictions", recipe, {"Image": XGBOOST, "ModelDataUrl": model})
    text = table.drop(columns=TARGET).to_csv(index=False)
    got = [float(line) for line in invoke(world, "predictions", text, "text/csv; header=present", "text/csv").split()]
    values = np.array([[float(cell or "nan") for cell in row] for row in csv.reader(features)])
    booster = xgboost.Booster()
    with tarfile.open(fileobj=io.BytesIO(objects(world, model.removeprefix(f"s3://{world.bucket}/"))[""])) as archive:
        booster.load_model(bytearray(archive.extractfile("xgboost-model").read()))  # type: ignore[union-attr]
    assert got == booster.inplace_predict(values.astype(np.float32)).tolist()
    assert np.mean((np.array(got) > 0.5) == table[TARGET]) > 0.9
    world.delete_endpoint("predictions")


def test_two_hosts_share_replicated_rows_and_each_transforms_its_shard(world, table, made):
    """Together the rows of one host, once each; the outputs of both lie side by side."""
    upload_table(world, "shards", table, files=3)
    fitted = f"s3://{world.bucket}/rows/fitted/recipe.clary"
    for name, sharded in (("replicated", False), ("sharded", True)):
        job = process(world, name, "shards", "--format=csv", recipe=fitted, hosts=2, sharded=sharded)
        assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
        found = objects(world, f"shards/{name}/")
        assert sorted(found) == [
            "features/part-algo-1.csv", "features/part-algo-2.csv", "model.tar.gz", "recipe.clary", "told.json"
        ]  # fmt: skip
        lines = [line for host in (1, 2) for line in found[f"features/part-algo-{host}.csv"].decode().splitlines()]
        whole = made["features/part.csv"].decode().splitlines()
        assert len(lines) == len(whole) == 400
        assert sorted(_sorted_bits(line) for line in lines) == sorted(_sorted_bits(line) for line in whole)


def _sorted_bits(line: str) -> bytes:
    """Whatever the order of the columns: without --label the target stands where it stood."""
    return np.sort([float(value or "nan") for value in line.split(",")]).tobytes()


def test_rows_are_read_from_s3_where_they_lie(world, table, made):
    uri = f"s3://{world.bucket}/rows/input/"
    job = process(world, "in-place", "rows", "--format=csv", f"--label={TARGET}", f"--input={uri}", hosts=2)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    found = objects(world, "rows/in-place/features/")
    assert found["part-algo-1.csv"] + found["part-algo-2.csv"] == made["features/part.csv"]


def test_hosts_with_different_rows_do_not_each_fit_a_recipe(world, table):
    upload_table(world, "apart", table, files=2)
    job = process(world, "each", "apart", hosts=2, sharded=True)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: the recipe is not fitted, and ")
    assert "Give a fitted recipe (recipe.clary), or give that input with" in job["FailureReason"]
    assert objects(world, "apart/each/") == {}
