"""The server's handlers: what comes in, what goes out, what is refused."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from pyarrow import parquet
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from clary.algorithms.xgboost import ALGORITHM
from clary.formats.decoding import NAMES
from clary.formats.recordio import parse_record, records, write_rows
from clary.tasks.host.handlers import RequestError
from clary.tasks.xgboost import model
from clary.tasks.xgboost.serving import BoosterHandlers, Options

MODELS = {
    "binary:logistic": (load_breast_cancer, {}),
    "binary:logitraw": (load_breast_cancer, {}),
    "multi:softprob": (load_iris, {"num_class": 3}),
    "multi:softmax": (load_iris, {"num_class": 3}),
    "reg:squarederror": (load_diabetes, {}),
    "count:poisson": (load_diabetes, {}),
}
ROUNDS = 5


def rows_of(objective: str, count: int = 3) -> Any:
    data = MODELS[objective][0]().data.astype(np.float32)
    return data[:: len(data) // count][:count]


def trained(objective: str, **parameters: Any) -> Any:
    load, more = MODELS[objective]
    data = load()
    matrix = xgb.DMatrix(data.data.astype(np.float32), label=data.target)
    return xgb.train({"objective": objective, **more, **parameters}, matrix, num_boost_round=ROUNDS)


@pytest.fixture(scope="session")
def boosters() -> dict[str, Any]:
    return {objective: trained(objective) for objective in MODELS}


def as_csv(rows: Any) -> bytes:
    return "\n".join(",".join(f"{value:.9g}" for value in row) for row in rows).encode()


class Endpoint:
    """A model behind its handlers."""

    def __init__(self, folder: Path, *boosters: Any, **environment: str) -> None:
        for number, booster in enumerate(boosters):
            model.save(booster, folder / (model.NAME if len(boosters) == 1 else f"{model.NAME}-{number}"))
        self.handlers = BoosterHandlers(Options.from_environment(environment))
        self.model = self.handlers.load(folder)

    def invoke(
        self, body: bytes, content_type: str | None = "text/csv", accept: str | None = None
    ) -> tuple[bytes, str]:
        return self.handlers.transform(self.model, body, content_type, accept)

    def refuses(self, body: bytes, content_type: str | None = "text/csv", accept: str | None = None) -> tuple[int, str]:
        with pytest.raises(RequestError) as refused:
            self.invoke(body, content_type, accept)
        return refused.value.status, refused.value.message


@pytest.fixture
def cancer(tmp_path: Path, boosters: dict[str, Any]) -> Endpoint:
    return Endpoint(tmp_path, boosters["binary:logistic"])


def expected(boosters: dict[str, Any], objective: str) -> list[Any]:
    values: list[Any] = boosters[objective].predict(xgb.DMatrix(rows_of(objective))).tolist()
    return values


def test_one_prediction_a_line(cancer: Endpoint, boosters: dict[str, Any]) -> None:
    body, content_type = cancer.invoke(as_csv(rows_of("binary:logistic")))
    assert content_type == "text/csv; charset=utf-8"
    assert body.endswith(b"\n")
    assert [float(line) for line in body.split()] == expected(boosters, "binary:logistic")


def test_json_answers(cancer: Endpoint, boosters: dict[str, Any]) -> None:
    body, content_type = cancer.invoke(as_csv(rows_of("binary:logistic")), accept="application/json")
    assert content_type == "application/json"
    assert json.loads(body) == {"predictions": [{"score": value} for value in expected(boosters, "binary:logistic")]}


def test_json_lines_and_records(cancer: Endpoint, boosters: dict[str, Any]) -> None:
    values = expected(boosters, "binary:logistic")
    body, _ = cancer.invoke(as_csv(rows_of("binary:logistic")), accept="application/jsonlines")
    assert [json.loads(line) for line in body.splitlines()] == [{"score": value} for value in values]
    body, _ = cancer.invoke(as_csv(rows_of("binary:logistic")), accept="application/x-recordio-protobuf")
    labels = [parse_record(record)[1]["score"][0].tolist() for record in records(body)]
    assert labels == [[value] for value in values]


def test_every_content_type_gives_the_same(cancer: Endpoint) -> None:
    rows = rows_of("binary:logistic")
    out = io.BytesIO()
    parquet.write_table(pa.table({str(index): column for index, column in enumerate(rows.T)}), out)
    libsvm = "\n".join(" ".join(f"{index}:{value:.9g}" for index, value in enumerate(row)) for row in rows).encode()
    responses = [
        cancer.invoke(as_csv(rows)),
        cancer.invoke(as_csv(rows), None),  # no content type, but recognizable
        cancer.invoke(as_csv(rows), "text/csv; label_size=1; charset=utf-8"),
        cancer.invoke(libsvm, "text/libsvm"),
        cancer.invoke(libsvm, None),
        cancer.invoke(b"1 " + libsvm, "text/x-libsvm"),
        cancer.invoke(out.getvalue(), "application/x-parquet"),
        cancer.invoke(write_rows(rows), "application/x-recordio-protobuf"),
    ]
    assert responses == [responses[0]] * len(responses)


def test_missing_cells_are_missing(cancer: Endpoint, boosters: dict[str, Any]) -> None:
    row = rows_of("binary:logistic", 1)
    row[0, 3:8] = np.nan
    response, _ = cancer.invoke(as_csv(row).replace(b"nan", b""))
    assert float(response) == boosters["binary:logistic"].predict(xgb.DMatrix(row))[0]
    sparse = " ".join(f"{index}:{value:.9g}" for index, value in enumerate(row[0]) if not np.isnan(value)).encode()
    assert cancer.invoke(sparse, "text/libsvm")[0] == response


def test_a_vector_is_a_row(tmp_path: Path, boosters: dict[str, Any]) -> None:
    endpoint = Endpoint(tmp_path, boosters["multi:softprob"])
    values = expected(boosters, "multi:softprob")
    csv, _ = endpoint.invoke(as_csv(rows_of("multi:softprob")))
    assert [[float(cell) for cell in line.split(",")] for line in csv.decode().splitlines()] == values
    response, _ = endpoint.invoke(as_csv(rows_of("multi:softprob")), accept="application/json")
    assert json.loads(response) == {"predictions": [{"score": vector} for vector in values]}


def test_batch_transform_has_one_prediction_a_line(tmp_path: Path, boosters: dict[str, Any]) -> None:
    """A vector in brackets, as AWS's image prints it."""
    endpoint = Endpoint(tmp_path, boosters["multi:softprob"], SAGEMAKER_BATCH="true")
    response, _ = endpoint.invoke(as_csv(rows_of("multi:softprob")))
    assert [json.loads(line) for line in response.splitlines()] == expected(boosters, "multi:softprob")


def test_an_empty_body_gets_an_empty_answer(cancer: Endpoint) -> None:
    assert cancer.invoke(b"") == (b"", "")


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "fragment"),
    [
        (b"{}", "application/json", None, 415, "application/json is not an accepted ContentType: csv, libsvm, parquet"),
        (b"a,b\n", "text/csv", None, 415, "column 1: 'a' is not a number"),
        (b"1:2:3", "text/libsvm", None, 415, "is not LIBSVM"),
        (b"abc", "application/x-recordio-protobuf", None, 415, "it ends inside a frame"),
        (
            b"1,2,3",
            "text/csv",
            None,
            400,
            "Feature size of csv inference data 3 is not consistent with feature size of trained model 30.",
        ),
        (
            b"0:1 30:1",
            "text/libsvm",
            None,
            400,
            "Feature size of libsvm inference data 31 is larger than feature size of trained model 30.",
        ),
        (b"0:1", "text/libsvm", "text/html", 406, "Accept type text/html is not supported."),
        (b"\n\n", "text/csv", None, 400, "inference data 0 is not consistent"),
    ],
)
def test_refusals(
    cancer: Endpoint, body: bytes, content_type: str, accept: str | None, status: int, fragment: str
) -> None:
    got, message = cancer.refuses(body, content_type, accept)
    assert got == status
    assert fragment in message


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/csv; charset=utf-8"),
        ("application/json;verbose=true", "application/json"),
        ("text/html, application/json;q=0.5", "application/json"),
    ],
)
def test_accept(cancer: Endpoint, accept: str, content_type: str) -> None:
    assert cancer.invoke(as_csv(rows_of("binary:logistic")), accept=accept)[1] == content_type


def test_the_default_accept_can_be_set(tmp_path: Path, boosters: dict[str, Any]) -> None:
    environment = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json"}
    endpoint = Endpoint(tmp_path, boosters["binary:logistic"], **environment)
    assert endpoint.invoke(as_csv(rows_of("binary:logistic")))[1] == "application/json"


ALL = "predicted_label,labels,probability,probabilities,raw_score,raw_scores"


def selected(folder: Path, booster: Any, objective: str, keys: str, accept: str) -> bytes:
    endpoint = Endpoint(folder, booster, SAGEMAKER_INFERENCE_OUTPUT=keys)
    return endpoint.invoke(as_csv(rows_of(objective)), accept=accept)[0]


def test_selected_outputs_of_two_classes(tmp_path: Path, boosters: dict[str, Any]) -> None:
    response = selected(tmp_path, boosters["binary:logistic"], "binary:logistic", ALL, "application/json")
    for row, score in zip(json.loads(response)["predictions"], expected(boosters, "binary:logistic"), strict=True):
        assert row == {
            "predicted_label": int(score > 0.5),
            "labels": [0, 1],
            "probability": score,
            "probabilities": [1 - score, score],
            "raw_score": score,
            "raw_scores": [1 - score, score],
        }


def test_selected_outputs_of_many_classes(tmp_path: Path, boosters: dict[str, Any]) -> None:
    response = selected(tmp_path, boosters["multi:softprob"], "multi:softprob", ALL, "application/jsonlines")
    for line, vector in zip(response.splitlines(), expected(boosters, "multi:softprob"), strict=True):
        assert json.loads(line) == {
            "predicted_label": int(np.argmax(vector)),
            "labels": [0, 1, 2],
            "probability": max(vector),
            "probabilities": vector,
            "raw_score": max(vector),
            "raw_scores": vector,
        }


def test_selected_outputs_in_csv_keep_the_order_asked_for(tmp_path: Path, boosters: dict[str, Any]) -> None:
    response = selected(
        tmp_path, boosters["reg:squarederror"], "reg:squarederror", "labels, predicted_score", "text/csv"
    )
    assert response.decode() == "\n".join(f"nan,{value}" for value in expected(boosters, "reg:squarederror"))


def test_selected_outputs_as_records(tmp_path: Path, boosters: dict[str, Any]) -> None:
    accept = "application/x-recordio-protobuf"
    response = selected(tmp_path, boosters["multi:softmax"], "multi:softmax", "predicted_label,labels", accept)
    found = [
        {name: tensor[0].tolist() for name, tensor in parse_record(record)[1].items()} for record in records(response)
    ]
    classes = expected(boosters, "multi:softmax")
    assert found == [{"predicted_label": [value], "labels": [0, 1, 2]} for value in classes]


def test_selected_outputs_need_an_objective_that_has_some(tmp_path: Path, boosters: dict[str, Any]) -> None:
    endpoint = Endpoint(tmp_path, boosters["count:poisson"], SAGEMAKER_INFERENCE_OUTPUT="predicted_score")
    status, message = endpoint.refuses(as_csv(rows_of("count:poisson")))
    assert (status, message) == (400, "Objective count:poisson unsupported for selectable inference predictions.")


def test_an_ensemble_is_the_mean_of_its_models(tmp_path: Path, boosters: dict[str, Any]) -> None:
    other = trained("binary:logistic", max_depth=2)
    endpoint = Endpoint(tmp_path, boosters["binary:logistic"], other)
    response, _ = endpoint.invoke(as_csv(rows_of("binary:logistic")))
    matrix = xgb.DMatrix(rows_of("binary:logistic"))
    mean = np.mean([boosters["binary:logistic"].predict(matrix), other.predict(matrix)], axis=0)
    np.testing.assert_allclose([float(line) for line in response.split()], mean, rtol=1e-6)
    alone = Endpoint(tmp_path, SAGEMAKER_INFERENCE_ENSEMBLE="false").invoke(as_csv(rows_of("binary:logistic")))[0]
    assert [float(line) for line in alone.split()] == expected(boosters, "binary:logistic")


def test_an_ensemble_of_classes_votes(tmp_path: Path, boosters: dict[str, Any]) -> None:
    always_two = xgb.train(
        {"objective": "multi:softmax", "num_class": 3, "base_score": 0.5},
        xgb.DMatrix(load_iris().data, label=np.full(150, 2)),
        num_boost_round=3,
    )
    booster = boosters["multi:softmax"]
    endpoint = Endpoint(tmp_path, booster, booster, always_two)
    response, _ = endpoint.invoke(as_csv(rows_of("multi:softmax")))
    assert [float(line) for line in response.split()] == expected(boosters, "multi:softmax")


def test_a_linear_model_answers(tmp_path: Path) -> None:
    booster = trained("reg:squarederror", booster="gblinear")
    response, _ = Endpoint(tmp_path, booster).invoke(as_csv(rows_of("reg:squarederror")))
    values = booster.predict(xgb.DMatrix(rows_of("reg:squarederror")))
    np.testing.assert_array_equal([np.float32(line) for line in response.split()], values)


def test_rounds_beyond_the_best_one_are_not_used(tmp_path: Path, boosters: dict[str, Any]) -> None:
    booster = trained("reg:squarederror")
    booster.set_attr(best_iteration="1")
    response, _ = Endpoint(tmp_path, booster).invoke(as_csv(rows_of("reg:squarederror")))
    values = booster.predict(xgb.DMatrix(rows_of("reg:squarederror")), iteration_range=(0, 2))
    np.testing.assert_array_equal([np.float32(line) for line in response.split()], values)


@pytest.mark.parametrize("write", [pickle.dumps, lambda booster: bytes(booster.save_raw("json"))])
def test_models_others_wrote_are_loaded(write: Any, tmp_path: Path, boosters: dict[str, Any]) -> None:
    (tmp_path / model.NAME).write_bytes(write(boosters["reg:squarederror"]))
    (tmp_path / "notes.txt").write_text("not a model")
    response, _ = Endpoint(tmp_path).invoke(as_csv(rows_of("reg:squarederror")))
    assert [float(line) for line in response.split()] == expected(boosters, "reg:squarederror")


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/clary-was-here",)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (pickle.dumps(Evil()), "Only a pickled xgboost.Booster is loaded, since a pickle can run any code."),
        (pickle.dumps({"a": 1}), "is a pickle of a dict, not of an xgboost.Booster"),
        (pickle.dumps([1, 2])[:-3], "is a broken pickle"),
        (b"binf" + bytes(50), "old binary format, which XGBoost no longer reads since version 3.1"),
        (b"hello", "is not a model of XGBoost"),
        (b"", "is not a model of XGBoost"),
    ],
)
def test_a_file_that_is_no_model_is_reported(content: bytes, fragment: str, tmp_path: Path) -> None:
    (tmp_path / model.NAME).write_bytes(content)
    with pytest.raises(model.ModelError) as error:
        BoosterHandlers().load(tmp_path)
    assert fragment in str(error.value)
    assert not Path("/tmp/clary-was-here").exists()


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(model.ModelError, match="There is no model in"):
        BoosterHandlers().load(tmp_path)


def test_a_model_is_written_whole_and_plain_xgboost_reads_it(tmp_path: Path, boosters: dict[str, Any]) -> None:
    model.save(boosters["binary:logistic"], tmp_path / "deep" / model.NAME)
    assert [file.name for file in (tmp_path / "deep").iterdir()] == [model.NAME]
    plain = xgb.Booster()
    plain.load_model(bytearray((tmp_path / "deep" / model.NAME).read_bytes()))
    matrix = xgb.DMatrix(rows_of("binary:logistic"))
    assert plain.predict(matrix).tolist() == expected(boosters, "binary:logistic")


def test_execution_parameters(cancer: Endpoint) -> None:
    parameters = cancer.handlers.execution_parameters()
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    assert parameters["MaxPayloadInMB"] == 6


def test_one_row_takes_less_than_a_millisecond(cancer: Endpoint) -> None:
    row = as_csv(rows_of("binary:logistic", 1))
    took_s = []
    for _ in range(50):
        start_s = time.perf_counter()
        cancer.invoke(row)
        took_s.append(time.perf_counter() - start_s)
    assert min(took_s) < 0.001


def test_the_manifest_declares_the_formats_that_are_read() -> None:
    assert set(ALGORITHM.content_types) == set(NAMES)
    for channel in ALGORITHM.channels:
        assert set(channel.content_types) == set(NAMES)


@pytest.mark.parametrize("response_type", ALGORITHM.response_types)
def test_every_declared_response_type_is_given(response_type: str, cancer: Endpoint) -> None:
    assert cancer.invoke(as_csv(rows_of("binary:logistic")), accept=response_type)[1].startswith(response_type)
