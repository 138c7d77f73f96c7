"""Tables as XGBoost's matrices, with labels that go with the objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.formats.table import Table, widen
from clary.tasks.failure import ClientError
from clary.tasks.xgboost.hyperparameters import Settings
from clary.tasks.xgboost.library import reason, xgboost


def to_matrices(tables: Mapping[str, Table], job: Settings) -> dict[str, Any]:
    """By channel. Raises ClientError where XGBoost cannot use the data."""
    library = xgboost()
    columns = max(table.columns for table in tables.values())
    widths = {table.columns for table in tables.values() if not table.sparse}
    if len(widths) > 1:
        raise ClientError(
            "Channels train and validation differ in their number of features: "
            + ", ".join(f"{name} {table.columns}" for name, table in tables.items())
            + "."
        )
    for name, table in tables.items():
        _check_labels(table.labels, name, job)
    try:
        return {name: _matrix(library, table, columns, job) for name, table in tables.items()}
    except (library.core.XGBoostError, ValueError) as error:
        raise ClientError(f"XGBoost cannot use the data: {reason(error)}") from error


def _check_labels(labels: Any, channel: str, job: Settings) -> None:
    """XGBoost checks them too, but may fail first over what follows from them."""
    import numpy as np

    if job.objective.startswith("multi:"):
        high = job.booster["num_class"]
        good, allowed = (labels >= 0) & (labels < high) & (labels == np.floor(labels)), f"a class in [0, {high})"
    elif job.objective.startswith("binary:") or job.objective == "reg:logistic":
        good, allowed = (labels >= 0) & (labels <= 1), "in [0,1]"
    else:
        good, allowed = np.isfinite(labels), "a number"
    if not good.all():
        row = int(np.argmin(good))
        raise ClientError(
            f"Channel {channel}, row {row + 1}: label must be {allowed} for {job.objective}, and it is {labels[row]}."
        )


def _matrix(library: Any, table: Table, columns: int, job: Settings) -> Any:
    features = widen(table.features, columns) if table.sparse else table.features
    matrix = library.DMatrix(
        features, label=table.labels, weight=table.weights, qid=table.groups, nthread=job.booster.get("nthread")
    )
    if job.objective == "survival:aft":
        lower, upper = _bounds(table.labels)
        matrix.set_float_info("label_lower_bound", lower)
        matrix.set_float_info("label_upper_bound", upper)
    return matrix


def _bounds(labels: Any) -> tuple[Any, Any]:
    """The intervals of survival:aft. As for survival:cox, a negative label is right-censored."""
    import numpy as np

    return np.abs(labels), np.where(labels < 0, np.inf, labels).astype(np.float32)
