"""Raw rows in, predictions out: a fitted recipe and a model behind it as one endpoint, through plain boto3."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from botocore.exceptions import ClientError

from clary.data.recipe import FittedRecipe, Recipe
from tests.acceptance.test_with_sdks import PROGRAMS, environment, scenario
from tests.faults.live_world import SCIKIT_LEARN, LiveWorld, live_world, packed

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
SCRIPT = """
import json, os
import numpy as np
def model_fn(model_dir):
    print("loaded from", model_dir, "for", os.environ["WHO"])
    return json.load(open(os.path.join(model_dir, "weights.json")))
def predict_fn(data, model):
    return np.atleast_2d(data).astype(float).sum(axis=1) * model["factor"]
"""
ECHO = """
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    body = body if isinstance(body, str) else body.decode()
    if body == "fail":
        raise ValueError("on purpose")
    return f"NAME({content_type},{accept}):{body}", "text/x-NAME"
"""


@pytest.fixture(scope="module")
def world() -> Iterator[LiveWorld]:
    with live_world(opened=True) as world:
        yield world


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random = np.random.default_rng(7)
    n = 400
    made = pd.DataFrame(
        {
            "age": random.normal(40, 12, n).round(1),
            "fare": random.lognormal(3, 1, n),
            "city": random.choice(["Köln", "Paris, France", 'the "other"', "Oslo"], n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**6, n), unit="min"),
        }
    )
    made.loc[::9, "age"] = np.nan
    made.loc[::11, "city"] = None
    made["survived"] = (made["fare"] > 20).astype(int)
    return made


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> FittedRecipe:
    steps = [
        {"impute": {"columns": ["age"], "strategy": "median"}},
        {"log1p": {"columns": ["fare"]}},
        {"scale": {"columns": ["age", "fare"]}},
        {"one_hot": {"columns": ["city"]}},
        {"date_parts": {"columns": ["when"]}},
    ]
    return Recipe(steps, target="survived").fit(table)


def features_of(fitted: FittedRecipe, table: pd.DataFrame) -> Any:
    return fitted.transform(table.drop(columns="survived")).to_numpy(dtype=np.float64)


@pytest.fixture(scope="module")
def recipe(world: LiveWorld, fitted: FittedRecipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The recipe as a container definition."""
    file = tmp_path_factory.mktemp("recipe") / "recipe.clary"
    fitted.save(file)
    return {
        "Image": "clary/data",
        "ModelDataUrl": world.upload("pipelines/recipe.tar.gz", packed({"recipe.clary": file.read_bytes()})),
    }


@pytest.fixture(scope="module")
def booster(fitted: FittedRecipe, table: pd.DataFrame) -> Any:
    import xgboost

    matrix = xgboost.DMatrix(features_of(fitted, table).astype(np.float32), table["survived"])
    return xgboost.train({"max_depth": 3, "objective": "binary:logistic"}, matrix, 10)


@pytest.fixture(scope="module")
def model(world: LiveWorld, booster: Any) -> dict[str, Any]:
    data = packed({"xgboost-model": bytes(booster.save_raw("ubj"))})
    return {"Image": XGBOOST, "ModelDataUrl": world.upload("pipelines/xgboost.tar.gz", data)}


def script(world: LiveWorld, name: str, text: str, environment: dict[str, str], **files: str) -> dict[str, Any]:
    """A scikit-learn container with this script."""
    data = packed({"code/inference.py": text, **files})
    return {
        "Image": SCIKIT_LEARN,
        "ModelDataUrl": world.upload(f"pipelines/{name}.tar.gz", data),
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", **environment},
    }


def deploy(world: LiveWorld, name: str, *containers: dict[str, Any]) -> None:
    world.sagemaker.create_model(ModelName=name, ExecutionRoleArn=world.role, Containers=list(containers))
    world.make_config(name, name)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    endpoint = world.endpoint(name)
    assert endpoint["EndpointStatus"] == "InService", endpoint
    images = endpoint["ProductionVariants"][0]["DeployedImages"]
    assert [image["SpecifiedImage"] for image in images] == [item["Image"] for item in containers]


def invoke(world: LiveWorld, endpoint: str, body: str | bytes, content_type: str = "text/csv", **more: str) -> str:
    answer = world.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType=content_type, **more)
    return str(answer["Body"].read().decode())


def as_csv(table: pd.DataFrame, header: bool = False) -> str:
    return str(table.drop(columns="survived").to_csv(index=False, header=header))


def as_json(table: pd.DataFrame) -> str:
    text = table.drop(columns="survived").astype({"when": str})
    return json.dumps({"instances": text.astype(object).where(text.notna(), None).to_dict("records")})


@pytest.fixture(scope="module")
def fused(world: LiveWorld, recipe: dict[str, Any], model: dict[str, Any]) -> Iterator[str]:
    deploy(world, "fused", recipe, model)
    yield "fused"
    world.delete_endpoint("fused")


@pytest.fixture(scope="module")
def chained(world: LiveWorld, recipe: dict[str, Any]) -> Iterator[str]:
    """A recipe before a model with a script of its user's."""
    text = json.dumps({"factor": 3.0})
    weighted = script(world, "weights", SCRIPT, {"WHO": "the second"}, **{"weights.json": text})
    deploy(world, "chained", recipe, weighted)
    yield "chained"
    world.delete_endpoint("chained")


@pytest.fixture(scope="module")
def echoes(world: LiveWorld) -> Iterator[str]:
    containers = [
        script(world, name, ECHO.replace("NAME", name), {}) | {"ContainerHostname": name} for name in ("one", "two")
    ]
    deploy(world, "echoes", *containers)
    yield "echoes"
    world.delete_endpoint("echoes")


def test_raw_rows_become_the_models_predictions(world, fused, fitted, booster, table):
    expected = booster.inplace_predict(features_of(fitted, table).astype(np.float32))
    for answer in (invoke(world, fused, as_csv(table)), invoke(world, fused, as_json(table), "application/json")):
        assert [float(line) for line in answer.split()] == expected.tolist()


def test_one_row_is_answered_as_it_is_among_others(world, fused, table):
    together = invoke(world, fused, as_csv(table)).split()
    for number in (0, 9, 11, 399):
        assert invoke(world, fused, as_csv(table.iloc[[number]])).split() == [together[number]]


def test_an_error_in_a_row_names_the_container(world, fused, table):
    body = as_csv(table.head(3)).replace("\n", "\nnone", 1)
    with pytest.raises(ClientError) as refused:
        invoke(world, fused, body)
    assert refused.value.response["Error"]["Code"] == "ModelError"
    assert refused.value.response["OriginalStatusCode"] == 400
    assert "container-1: row 2: column 'age'" in refused.value.response["OriginalMessage"]


def test_a_fused_pipeline_is_one_process(world, fused):
    (task,) = world.tasks(fused)
    hosts = [host.name for host in (task / "hosts").iterdir()]
    assert len(hosts) == 1


def test_a_recipe_alone_gives_the_features_of_the_batch(world, recipe, fitted, table):
    world.make_model("features", **recipe | {"Environment": {}})
    world.sagemaker.create_endpoint(EndpointName="features", EndpointConfigName="features")
    assert world.endpoint("features")["EndpointStatus"] == "InService"
    expected = features_of(fitted, table)
    named = invoke(world, "features", as_csv(table, header=True), "text/csv; header=present")
    by_json = json.loads(invoke(world, "features", as_json(table), "application/json", Accept="application/json"))
    got = [
        [[float(value or "nan") for value in row] for row in csv.reader(io.StringIO(named))],
        [[np.nan if value is None else value for value in item["features"]] for item in by_json["instances"]],
    ]
    for item in got:
        np.testing.assert_array_equal(np.array(item), expected)
    world.delete_endpoint("features")


def test_a_chain_gives_each_container_its_own_model_and_environment(world, chained, fitted, table):
    few = table.head(20)
    answer = invoke(world, chained, as_csv(few), Accept="application/json")
    # The script gets float32, as from AWS's image.
    expected = features_of(fitted, few).astype(np.float32).astype(float).sum(axis=1) * 3.0
    assert json.loads(answer) == expected.tolist()
    streams = world.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/chained")["logStreams"]
    names = sorted(stream["logStreamName"] for stream in streams)
    assert [name.rpartition("/")[2] for name in names] == ["container-1", "container-2"]
    events = world.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/Endpoints/chained", logStreamName=names[1]
    )
    assert any("for the second" in event["message"] for event in events["events"])


def test_what_one_container_answers_the_next_one_is_asked(world, echoes):
    answer = world.runtime.invoke_endpoint(
        EndpointName=echoes, Body="hello", ContentType="text/csv", Accept="text/plain", CustomAttributes="a=1"
    )
    # The caller's Content-Type is for the first container, its Accept for the last.
    assert answer["Body"].read() == b"two(text/x-one,text/plain):one(text/csv,application/json):hello"
    assert answer["ContentType"] == "text/x-two"


def test_a_stream_comes_from_the_last_container(world, echoes):
    answer = world.runtime.invoke_endpoint_with_response_stream(EndpointName=echoes, Body="hi", ContentType="text/csv")
    body_received = b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])
    assert body_received == b"two(text/x-one,application/json):one(text/csv,application/json):hi"


def test_an_error_names_the_container(world, echoes, chained):
    with pytest.raises(ClientError) as failed:
        invoke(world, echoes, "fail")
    assert failed.value.response["OriginalStatusCode"] == 500
    assert "server error (500) from one with message" in str(failed.value)
    with pytest.raises(ClientError) as failed:
        invoke(world, chained, "1,2")
    assert "client error (400) from container-1 with message" in str(failed.value)


def test_a_pipeline_whose_second_container_cannot_start_fails_and_names_it(world, recipe):
    broken = script(world, "broken", "raise RuntimeError('no luck')", {})
    world.sagemaker.create_model(ModelName="broken", ExecutionRoleArn=world.role, Containers=[recipe, broken])
    world.make_config("broken", "broken")
    world.sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName="broken")
    endpoint = world.endpoint("broken")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "container-2" in endpoint["FailureReason"]
    assert "no luck" in endpoint["FailureReason"]
    world.delete_endpoint("broken")


@pytest.mark.sdk
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_with_the_sagemaker_sdk(world, recipe, model, fitted, booster, table, tmp_path, version):
    few = table.head(3)
    expected = booster.inplace_predict(features_of(fitted, few).astype(np.float32)).tolist()
    scenario(
        world,
        [
            str(environment(f"sdk-{version}") / "python"),
            "-W",
            "ignore",
            str(PROGRAMS / f"pipeline_with_sdk_{version}.py"),
        ],
        tmp_path,
        RECIPE_URL=recipe["ModelDataUrl"],
        MODEL_URL=model["ModelDataUrl"],
        ROWS=as_csv(few),
        EXPECTED=" ".join(map(repr, expected)),
    )
