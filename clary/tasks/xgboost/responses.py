"""Predictions in each of the formats that a caller may ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clary.tasks.algorithm.responses import RECORD_TYPES, as_list, encode_records, lines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES = ("predicted_label", "labels")
PROBABILITIES = ("probability", "probabilities")
SCORES = ("raw_score", "raw_scores")
# What SAGEMAKER_INFERENCE_OUTPUT may ask for, by the model's objective.
SELECTABLE: Mapping[str, tuple[str, ...]] = {
    "reg:squarederror": ("predicted_score",),
    "reg:logistic": ("predicted_score",),
    "reg:gamma": ("predicted_score",),
    "reg:tweedie": ("predicted_score",),
    "binary:logistic": CLASSES + PROBABILITIES + SCORES,
    "binary:logitraw": CLASSES + SCORES,
    "binary:hinge": CLASSES + SCORES,
    "multi:softmax": CLASSES + SCORES,
    "multi:softprob": CLASSES + PROBABILITIES + SCORES,
}


def encode(predictions: NDArray[np.float32], accept: str, batch: bool) -> bytes:
    """predictions  (rows,), or (rows, classes) for multi:softprob
    batch           batch transform: one prediction a line, a vector as a list in brackets, as AWS's image has it
    """
    values = predictions.tolist()
    if accept in RECORD_TYPES:
        return encode_records(({"score": value} for value in values), accept)
    if batch:
        return lines(map(str, values))
    return lines(",".join(map(str, as_list(value))) for value in values)


def encode_selected(
    predictions: NDArray[np.float32], keys: Sequence[str], accept: str, batch: bool, objective: str, num_class: int
) -> bytes:
    """The selected keys; NaN for a key that this objective does not have. Raises ValueError where it has none."""
    if objective not in SELECTABLE:
        raise ValueError(f"Objective {objective} unsupported for selectable inference predictions.")
    rows = [
        {key: _selected(key, prediction, objective, num_class) for key in keys} for prediction in predictions.tolist()
    ]
    if accept in RECORD_TYPES:
        return encode_records(rows, accept)
    text = "\n".join(",".join(_cell(row[key]) for key in keys) for row in rows)
    return f"{text}\n".encode() if batch else text.encode()


def _selected(key: str, prediction: Any, objective: str, num_class: int) -> Any:
    if key not in SELECTABLE[objective]:
        return math.nan
    vector = isinstance(prediction, list)
    match key:
        case "predicted_label":
            return _label(prediction, objective)
        case "labels":
            return list(range(num_class if objective.startswith("multi:") else 2))
        case "probabilities" | "raw_scores":
            return prediction if vector else [1.0 - prediction, prediction]
    return max(prediction) if vector else prediction


def _label(prediction: Any, objective: str) -> float:
    match objective:
        case "multi:softprob":
            return int(max(range(len(prediction)), key=prediction.__getitem__))
        case "binary:logistic":
            return int(prediction > 0.5)
        case "binary:logitraw":
            return int(prediction > 0)
    return float(prediction)


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)
