"""The data of the demo: the breast cancer table that ships with scikit-learn.

Reference: W. Street, W. Wolberg, O. Mangasarian (1993), Wisconsin Diagnostic Breast Cancer, UCI Machine Learning
Repository; 569 tumours, 30 measurements each, benign (1) or malignant (0).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Split:
    """features (rows, 30), labels (rows,) of 0.0 or 1.0."""

    features: NDArray[np.float64]
    labels: NDArray[np.float64]

    def csv(self) -> bytes:
        """As SageMaker's built-in algorithms want it: no header, label first."""
        return _csv(np.column_stack([self.labels, self.features]))

    def rows(self) -> list[bytes]:
        """One CSV line for each row, without the label: the body of an invocation."""
        return _csv(self.features).splitlines()


def _csv(table: NDArray[np.float64]) -> bytes:
    text = io.BytesIO()
    np.savetxt(text, table, delimiter=",", fmt="%.10g")
    return text.getvalue()


def breast_cancer() -> dict[str, Split]:
    """train (341 rows), validation (114) and test (114), classes in the same proportion in each."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    features, labels = load_breast_cancer(return_X_y=True)
    features, test_x, labels, test_y = train_test_split(
        features, labels.astype(float), test_size=0.2, stratify=labels, random_state=7
    )
    train_x, validation_x, train_y, validation_y = train_test_split(
        features, labels, test_size=0.25, stratify=labels, random_state=7
    )
    return {
        "train": Split(train_x, train_y),
        "validation": Split(validation_x, validation_y),
        "test": Split(test_x, test_y),
    }
