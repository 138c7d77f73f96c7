"""Several containers as one program: each with its own model and environment; each response is the next request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from clary.data.recipe import FittedRecipe, Recipe
from clary.tasks.host.handlers import RequestError
from clary.tasks.pipeline import Pipeline, Stage
from tests.programs.running import opt_ml, started

PROGRAM = ["-m", "clary.tasks.pipeline"]


class Spells:
    """A container that repeats its request."""

    def __init__(self, name: str, status: int = 200) -> None:
        self.name, self.status = name, status

    def load(self, model_dir: Path) -> Any:
        return model_dir

    def transform(self, model: Any, body: bytes, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
        if self.status != 200:
            raise RequestError(self.status, "not this")
        return f"{self.name}@{model}({content_type},{accept}):".encode() + body, f"text/{self.name}"


def a_pipeline(*statuses: int) -> Pipeline:
    return Pipeline([Stage(f"c{n}", Spells(f"c{n}", status), Path(f"m{n}")) for n, status in enumerate(statuses, 1)])


def test_each_program_gets_what_the_one_before_it_answered():
    pipeline = a_pipeline(200, 200, 200)
    response = pipeline.transform(pipeline.load(Path("none")), b"x", "text/csv", "text/last")
    assert response == (b"c3@m3(text/c2,text/last):c2@m2(text/c1,None):c1@m1(text/csv,None):x", "text/c3")


def test_an_error_names_the_container_and_ends_the_pipeline():
    pipeline = a_pipeline(200, 415, 200)
    with pytest.raises(RequestError, match="c2: not this") as refused:
        pipeline.transform(pipeline.load(Path("none")), b"x", None, None)
    assert refused.value.status == 415


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame({"x": random.normal(size=100), "kind": random.choice(["a", "b"], 100)})


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> FittedRecipe:
    return Recipe([{"scale": {"columns": ["x"]}}, {"one_hot": {}}]).fit(table)


@pytest.fixture(scope="module")
def booster(fitted: FittedRecipe, table: pd.DataFrame) -> Any:
    features = fitted.transform(table).to_numpy(dtype=np.float32)
    return xgb.train({"max_depth": 2}, xgb.DMatrix(features, table["x"] > 0), 4)


def laid_out(folder: Path, fitted: FittedRecipe, booster: Any, *, header: str = "") -> Path:
    """/opt/ml of a pipeline of both."""
    containers = []
    for name, program, environment in (
        ("first", "data", {"CLARY_CSV_HEADER": header}),
        ("second", "xgboost", {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json"}),
    ):
        place = f"pipeline/{name}/model"
        (folder / place).mkdir(parents=True)
        containers.append({"name": name, "program": program, "environment": environment, "model": place})
    fitted.save(folder / "pipeline/first/model/recipe.clary")
    (folder / "pipeline/second/model/xgboost-model").write_bytes(booster.save_raw("ubj"))
    return opt_ml(folder, pipeline=containers)


def test_raw_rows_become_predictions_in_one_process(tmp_path, fitted, booster, table):
    base = laid_out(tmp_path, fitted, booster, header="present")
    expected = booster.inplace_predict(fitted.transform(table).to_numpy(dtype=np.float32)).tolist()
    with started(PROGRAM, base) as host:
        assert host.ping().status == 200
        response = host.invoke(table.to_csv(index=False).encode(), content_type="text/csv")
        assert response.content_type == "application/json"
        assert [prediction["score"] for prediction in json.loads(response.body)["predictions"]] == expected
        by_csv = host.invoke(table.to_csv(index=False).encode(), content_type="text/csv", accept="text/csv")
        assert [float(line) for line in by_csv.text.split()] == expected
        refused = host.invoke(b"x,kind\none,a\n", content_type="text/csv")
        assert (refused.status, refused.text[:24]) == (400, "first: column 'x': 'one'")
        assert json.loads(host.invoke(path="/execution-parameters", method="GET").body)["MaxPayloadInMB"] == 6
        assert host.end() == 0


def test_a_model_that_cannot_be_loaded_ends_the_program(tmp_path, fitted, booster):
    base = laid_out(tmp_path, fitted, booster)
    (base / "pipeline/second/model/xgboost-model").unlink()
    with started(PROGRAM, base) as host:
        assert host.process.wait(20) == 1
        assert "There is no model in" in host.log.read_text()


def test_an_invalid_environment_variable_is_reported(tmp_path, fitted, booster):
    base = laid_out(tmp_path, fitted, booster)
    file = base / "input/config/pipeline.json"
    file.write_text(
        file.read_text()
        .replace('"CLARY_CSV_HEADER"', '"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"')
        .replace('": ""', '": "x"')
    )
    with started(PROGRAM, base) as host:
        assert host.process.wait(20) == 1
        assert "ClientError: SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is 'x'" in host.log.read_text()
