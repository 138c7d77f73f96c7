"""The metrics AWS adds to XGBoost's: of classification, by scikit-learn's definitions, and of regression.

All follow from sums over rows (a confusion matrix; sums of squares), so that several hosts, each with its own rows, get
the metric of all rows by adding up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.tasks.failure import ClientError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sum = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # over all hosts

REGRESSION = ("mse", "r2")
CLASSIFICATION = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "precision",
    "precision_macro",
    "precision_micro",
    "recall",
    "recall_macro",
    "recall_micro",
)
CUSTOM_METRICS = (*CLASSIFICATION, *REGRESSION)


@dataclass(frozen=True, slots=True)
class CustomMetrics:
    """Called by XGBoost after each round, with what the model predicts and the rows it predicts for."""

    names: Sequence[str]
    objective: str
    num_class: int
    total: Sum

    def __call__(self, predictions: Any, matrix: Any) -> list[tuple[str, float]]:
        labels = matrix.get_label()
        values: dict[str, float] = {}
        if any(name in CLASSIFICATION for name in self.names):
            values |= scores(self.total(self._confusion(labels, predictions)))
        if any(name in REGRESSION for name in self.names):
            values |= errors(self.total(moments(labels, predictions)))
        return [(name, values[name]) for name in self.names]

    def _confusion(self, labels: Any, predictions: Any) -> NDArray[np.float64]:
        import numpy as np

        truth = labels.astype(np.int64)
        if not np.array_equal(truth, labels) or (len(truth) and not 0 <= truth.min() <= truth.max() < self.num_class):
            raise ClientError(
                f"{', '.join(self.names)} need labels 0 to {self.num_class - 1}; "
                f"there are others in the data, such as {_first_other(labels, self.num_class)}."
            )
        predicted = classes(predictions, self.objective)
        return np.bincount(truth * self.num_class + predicted, minlength=self.num_class**2).astype(np.float64)


def classes(predictions: Any, objective: str) -> NDArray[np.int64]:
    """The predicted class of each row."""
    import numpy as np

    if predictions.ndim == 2:
        return np.asarray(np.argmax(predictions, axis=1), dtype=np.int64)
    if objective == "multi:softmax":
        return np.asarray(predictions, dtype=np.int64)
    threshold = 0.5 if objective.endswith("logistic") or objective == "binary:hinge" else 0.0
    return np.asarray(predictions > threshold, dtype=np.int64)


def scores(confusion: NDArray[np.float64]) -> dict[str, float]:
    """By metric. confusion: (classes²), true classes by predicted ones; classes that occur in neither are left out."""
    import numpy as np

    size = int(np.sqrt(len(confusion)))
    matrix = confusion.reshape(size, size)
    correct, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    seen = true + predicted > 0
    precision, recall = _ratio(correct, predicted), _ratio(correct, true)
    f1 = _ratio(2 * correct, true + predicted)
    accuracy = float(correct.sum() / matrix.sum())
    return {
        "accuracy": accuracy,
        "balanced_accuracy": float(recall[true > 0].mean()),
        "f1": float(f1[seen].mean()),
        "f1_macro": float(f1[seen].mean()),
        "f1_binary": float(f1[1]),
        "precision": float(precision[1]),
        "precision_macro": float(precision[seen].mean()),
        "precision_micro": accuracy,
        "recall": float(recall[1]),
        "recall_macro": float(recall[seen].mean()),
        "recall_micro": accuracy,
    }


def moments(labels: Any, predictions: Any) -> NDArray[np.float64]:
    """Number of labels, their sum, the sum of their squares, and the sum of squared errors."""
    import numpy as np

    label, prediction = labels.astype(np.float64), predictions.astype(np.float64)
    return np.array([len(label), label.sum(), (label**2).sum(), ((label - prediction) ** 2).sum()])


def errors(moments: NDArray[np.float64]) -> dict[str, float]:
    """By metric. moments: as `moments` gives them."""
    count, total, squares, squared_errors = (float(value) for value in moments)
    variation = squares - total**2 / count
    r2 = 1 - squared_errors / variation if variation > 0 else float(squared_errors == 0)
    return {"mse": squared_errors / count, "r2": r2}


def _ratio(part: Any, whole: Any) -> Any:
    """Element by element; 0 where there is nothing to divide by."""
    import numpy as np

    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _first_other(labels: Any, num_class: int) -> float:
    return next(float(label) for label in labels if label not in range(num_class))
