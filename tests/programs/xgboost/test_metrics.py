"""The metrics XGBoost does not have, and what is found in the log."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from clary.algorithms.xgboost import ALGORITHM, METRICS
from clary.tasks.failure import ClientError
from clary.tasks.xgboost.callbacks import metric_line
from clary.tasks.xgboost.custom_metrics import CUSTOM_METRICS, CustomMetrics, classes, errors, moments, scores

REGEXES = {metric.name: metric.regex for metric in ALGORITHM.metrics}
SKLEARN = {
    "accuracy": sklearn_metrics.accuracy_score,
    "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
    "f1": lambda y, p: sklearn_metrics.f1_score(y, p, average="macro", zero_division=0),
    "f1_macro": lambda y, p: sklearn_metrics.f1_score(y, p, average="macro", zero_division=0),
    "precision_macro": lambda y, p: sklearn_metrics.precision_score(y, p, average="macro", zero_division=0),
    "precision_micro": lambda y, p: sklearn_metrics.precision_score(y, p, average="micro", zero_division=0),
    "recall_macro": lambda y, p: sklearn_metrics.recall_score(y, p, average="macro", zero_division=0),
    "recall_micro": lambda y, p: sklearn_metrics.recall_score(y, p, average="micro", zero_division=0),
}
OF_TWO_CLASSES = {
    "f1_binary": lambda y, p: sklearn_metrics.f1_score(y, p, zero_division=0),
    "precision": lambda y, p: sklearn_metrics.precision_score(y, p, zero_division=0),
    "recall": lambda y, p: sklearn_metrics.recall_score(y, p, zero_division=0),
}

pairs = st.integers(2, 4).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=30)
    )
)


@given(pairs)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_scores_are_scikit_learns(case: tuple[int, list[tuple[int, int]]]) -> None:
    size, rows = case
    truth, predicted = (np.array(column) for column in zip(*rows, strict=True))
    confusion = np.bincount(truth * size + predicted, minlength=size * size).astype(float)
    got = scores(confusion)
    for name, expected in SKLEARN.items() | (OF_TWO_CLASSES.items() if size == 2 else set()):
        assert got[name] == pytest.approx(expected(truth, predicted)), name


def test_errors_are_scikit_learns() -> None:
    truth = np.array([1.0, 2, 4, 3], dtype=np.float32)
    predicted = np.array([1.5, 2, 3, 3.5], dtype=np.float32)
    got = errors(moments(truth, predicted))
    assert got["mse"] == pytest.approx(sklearn_metrics.mean_squared_error(truth, predicted))
    assert got["r2"] == pytest.approx(sklearn_metrics.r2_score(truth, predicted))


@pytest.mark.parametrize(
    ("predictions", "objective", "expected"),
    [
        ([0.4, 0.6], "binary:logistic", [0, 1]),
        ([-0.4, 0.6], "binary:logitraw", [0, 1]),
        ([0.0, 1.0], "binary:hinge", [0, 1]),
        ([2.0, 0.0], "multi:softmax", [2, 0]),
        ([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], "multi:softprob", [1, 0]),
    ],
)
def test_the_class_of_a_prediction(predictions: Any, objective: str, expected: list[int]) -> None:
    assert classes(np.array(predictions), objective).tolist() == expected


class Matrix:
    def __init__(self, *labels: float) -> None:
        self.labels = np.array(labels, dtype=np.float32)

    def get_label(self) -> Any:
        return self.labels


def test_hosts_add_up_their_sums() -> None:
    """Two hosts with two rows each get the metric of all four."""
    here, there = np.array([1.0, 0, 0, 1]), np.array([0.0, 1, 0, 1])
    metric = CustomMetrics(["accuracy"], "binary:logistic", 2, total=lambda part: part + there)
    assert np.array_equal(metric._confusion(Matrix(0, 1).labels, np.array([0.1, 0.9])), here)
    assert metric(np.array([0.1, 0.9]), Matrix(0, 1)) == [("accuracy", 0.75)]


def test_labels_that_are_no_classes_are_reported() -> None:
    metric = CustomMetrics(["f1"], "binary:logistic", 2, total=lambda part: part)
    with pytest.raises(ClientError, match=r"f1 need labels 0 to 1; there are others in the data, such as 2\.0"):
        metric(np.array([0.1, 0.9]), Matrix(0, 2))


def test_every_metric_is_found_in_its_line_and_no_other() -> None:
    """As the platform does it: TAB reads #011 in the log."""
    values = {metric: 0.5 + index / 1000 for index, metric in enumerate(METRICS.metrics)}
    logs = {channel: {metric: [value] for metric, value in values.items()} for channel in ("train", "validation")}
    line = metric_line(12, logs).replace("\t", "#011")
    assert line.startswith("[12]#011train-accuracy:0.50000#011")
    found = {name: float(re.search(regex, line)[1]) for name, regex in REGEXES.items()}  # type: ignore[index]
    assert found == {f"{channel}:{metric}": round(value, 5) for channel in logs for metric, value in values.items()}


def test_a_metric_with_a_parameter_is_found_under_its_name() -> None:
    regex = REGEXES["validation:ndcg"]
    match = re.search(regex, "[0]#011train-ndcg@10:0.1#011validation-ndcg@10:1.5e-05")
    assert match
    assert match[1] == "1.5e-05"


def test_custom_metrics_are_metrics_of_the_manifest() -> None:
    assert set(CUSTOM_METRICS) < set(METRICS.metrics)
