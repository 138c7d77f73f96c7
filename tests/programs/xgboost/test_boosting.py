"""Training gives what plain XGBoost gives, and stops, resumes and fails as documented."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from clary.formats.table import Table
from clary.tasks.algorithm import checkpoints
from clary.tasks.failure import ClientError
from clary.tasks.xgboost import boosting, model
from clary.tasks.xgboost.hyperparameters import settings


def table(load: Any, part: slice) -> Table:
    data = load()
    return Table(data.data[part].astype(np.float32), labels=data.target[part].astype(np.float32))


def tables(load: Any) -> dict[str, Table]:
    return {"train": table(load, slice(0, None, 2)), "validation": table(load, slice(1, None, 2))}


def stop_request(requested: bool = False) -> Any:
    return SimpleNamespace(requested=requested)


def latest(folder: Path) -> Any:
    return checkpoints.latest(folder, model.CHECKPOINT, model.load)


def train(load: Any, where: Path | None = None, stop: Any = None, **texts: str) -> Any:
    texts = {name.removesuffix("_"): text for name, text in texts.items()}
    return boosting.boost(
        settings({"num_round": "10", "nthread": "1", **texts}), tables(load), where, stop or stop_request()
    )


def matrix(table: Table) -> Any:
    return xgb.DMatrix(table.features, label=table.labels)


@pytest.mark.parametrize(
    ("load", "texts", "plain"),
    [
        (load_breast_cancer, {"objective": "binary:logistic"}, {"objective": "binary:logistic"}),
        (load_diabetes, {"max_depth": "3", "eta": ".1"}, {"max_depth": 3, "eta": 0.1}),
        (
            load_diabetes,
            {"booster": "gblinear", "objective": "reg:linear", "updater": "coord_descent"},
            {"booster": "gblinear", "updater": "coord_descent"},
        ),
        (
            load_diabetes,
            {"booster": "dart", "rate_drop": "0.1", "seed": "3"},
            {"booster": "dart", "rate_drop": 0.1, "seed": 3},
        ),
        (
            load_diabetes,
            {"monotone_constraints": "(1,0,-1)", "subsample": "0.5"},
            {"monotone_constraints": "(1,0,-1)", "subsample": 0.5},
        ),
        (load_diabetes, {"interaction_constraints": "[[0,1],[2,3]]"}, {"interaction_constraints": "[[0,1],[2,3]]"}),
        (load_iris, {"objective": "multi:softprob", "num_class": "3"}, {"objective": "multi:softprob", "num_class": 3}),
        (load_iris, {"objective": "count:poisson", "lambda_bias": "0.5"}, {"objective": "count:poisson"}),
    ],
)
def test_the_model_is_plain_xgboosts(load: Any, texts: dict[str, str], plain: dict[str, Any]) -> None:
    data = tables(load)
    expected = xgb.train({"nthread": 1, **plain}, matrix(data["train"]), num_boost_round=10)
    got = train(load, **texts)
    test = matrix(data["validation"])
    np.testing.assert_array_equal(got.predict(test), expected.predict(test))


def test_rows_are_printed_as_aws_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    train(load_breast_cancer, objective="binary:logistic", eval_metric="auc,f1", num_round="3")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Training 3 rounds of binary:logistic"
    row = r"\[%d\]\ttrain-auc:\d\.\d{5}\ttrain-f1:\d\.\d{5}\tvalidation-auc:\d\.\d{5}\tvalidation-f1:\d\.\d{5}"
    assert [bool(re.fullmatch(row % number, line)) for number, line in enumerate(lines[1:])] == [True] * 3


def test_what_is_printed_is_what_the_model_does(capsys: pytest.CaptureFixture[str]) -> None:
    booster = train(load_iris, objective="multi:softprob", num_class="3", eval_metric="accuracy", num_round="4")
    data = tables(load_iris)["validation"]
    accuracy = float((booster.predict(matrix(data)).argmax(axis=1) == data.labels).mean())
    assert capsys.readouterr().out.rstrip().endswith(f"validation-accuracy:{accuracy:.5f}")


@pytest.mark.parametrize(("metric", "better"), [("auc", max), ("logloss", min), ("accuracy", max)])
def test_early_stopping_leaves_the_best_model(metric: str, better: Any, capsys: pytest.CaptureFixture[str]) -> None:
    booster = train(
        load_breast_cancer, objective="binary:logistic", eval_metric=metric, early_stopping_rounds="3", num_round="200"
    )
    values = [float(text) for text in re.findall(rf"validation-{metric}:(\S+)", capsys.readouterr().out)]
    assert len(values) < 200
    assert values[booster.num_boosted_rounds() - 1] == better(values)


def test_early_stopping_without_a_metric_uses_xgboosts_default() -> None:
    booster = train(load_breast_cancer, objective="binary:logistic", early_stopping_rounds="3", num_round="200")
    assert booster.num_boosted_rounds() < 200


def test_early_stopping_needs_a_validation_channel(caplog: pytest.LogCaptureFixture) -> None:
    job = settings({"num_round": "8", "early_stopping_rounds": "1"})
    booster = boosting.boost(job, {"train": table(load_diabetes, slice(0, 50))}, None, stop_request())
    assert booster.num_boosted_rounds() == 8
    assert "early_stopping_rounds has no effect" in caplog.text


def test_weights_and_queries_count() -> None:
    data = table(load_diabetes, slice(0, 200))
    weights = np.linspace(0, 1, 200, dtype=np.float32)
    heavy = Table(data.features, labels=data.labels, weights=weights)
    expected = xgb.train({}, xgb.DMatrix(data.features, label=data.labels, weight=weights), num_boost_round=5)
    got = boosting.boost(settings({"num_round": "5"}), {"train": heavy}, None, stop_request())
    np.testing.assert_array_equal(got.predict(matrix(data)), expected.predict(matrix(data)))

    groups = np.repeat(np.arange(10), 20)
    ranked = Table(data.features, labels=(data.labels > 140).astype(np.float32), groups=groups)  # type: ignore[operator]
    job = settings({"num_round": "5", "objective": "rank:ndcg", "eval_metric": "ndcg@5"})
    got = boosting.boost(job, {"train": ranked}, None, stop_request())
    expected = xgb.train(
        {"objective": "rank:ndcg"}, xgb.DMatrix(ranked.features, label=ranked.labels, qid=groups), num_boost_round=5
    )
    np.testing.assert_array_equal(got.predict(matrix(data)), expected.predict(matrix(data)))


def test_survival_times_may_be_censored() -> None:
    data = table(load_diabetes, slice(0, 100))
    labels = np.where(np.arange(100) % 2, data.labels, -data.labels).astype(np.float32)  # type: ignore[operator]
    job = settings({"num_round": "3", "objective": "survival:aft", "eval_metric": "aft-nloglik"})
    booster = boosting.boost(job, {"train": Table(data.features, labels=labels)}, None, stop_request())
    assert booster.predict(matrix(data)).min() > 0


def test_a_stop_ends_after_the_round_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    booster = train(load_diabetes, tmp_path, stop_request(requested=True))
    assert booster.num_boosted_rounds() == 1
    assert latest(tmp_path).num_boosted_rounds() == 1


def test_resumed_training_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(load_diabetes, tmp_path, num_round="4")
    capsys.readouterr()
    resumed = train(load_diabetes, tmp_path)
    rows = re.findall(r"^\[(\d+)\]", capsys.readouterr().out, re.M)
    assert rows == ["4", "5", "6", "7", "8", "9"]
    test = matrix(tables(load_diabetes)["validation"])
    np.testing.assert_array_equal(resumed.predict(test), train(load_diabetes).predict(test))
    assert train(load_diabetes, tmp_path, num_round="2").num_boosted_rounds() == 10  # nothing left to do


def test_a_broken_checkpoint_is_passed_over(tmp_path: Path) -> None:
    train(load_diabetes, tmp_path, num_round="2")
    (tmp_path / "xgboost-checkpoint.9").write_bytes(b"{ half of")
    assert latest(tmp_path).num_boosted_rounds() == 2


@pytest.mark.parametrize(
    ("load", "texts", "fragment"),
    [
        (
            load_iris,
            {"objective": "binary:logistic"},
            "Channel train, row 51: label must be in [0,1] for binary:logistic, and it is 2.0.",
        ),
        (
            load_iris,
            {"objective": "multi:softmax", "num_class": "2"},
            "Channel train, row 51: label must be a class in [0, 2) for multi:softmax, and it is 2.0.",
        ),
        (load_iris, {"objective": "reg:squarederror", "eval_metric": "accuracy"}, "accuracy need labels 0 to 1"),
        (load_diabetes, {"process_type": "update"}, "XGB train call failed with exception"),
        (load_diabetes, {"tree_method": "gpu_hist"}, "gpu_hist"),
    ],
)
def test_errors_of_xgboost_are_client_errors(load: Any, texts: dict[str, str], fragment: str) -> None:
    with pytest.raises(ClientError) as error:
        train(load, **texts)
    assert fragment in str(error.value)
    assert "Stack trace" not in str(error.value)


def test_data_that_xgboost_cannot_use() -> None:
    bad = Table(np.array([[np.inf]], dtype=np.float32), labels=np.array([1], dtype=np.float32))
    with pytest.raises(ClientError, match=r"XGBoost cannot use the data: .*Input data contains `inf`"):
        boosting.boost(settings({"num_round": "1"}), {"train": bad}, None, stop_request())


def test_channels_must_agree_on_the_features() -> None:
    data = tables(load_diabetes)
    data["validation"] = Table(data["validation"].features[:, :4], labels=data["validation"].labels)
    with pytest.raises(ClientError, match=r"number of features: train 10, validation 4\."):
        boosting.boost(settings({"num_round": "1"}), data, None, stop_request())
