"""The rounds of a training: XGBoost does them, this prints, checkpoints, stops early and stops when told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clary.algorithms.xgboost import MAXIMIZED
from clary.formats.table import Table, widen
from clary.tasks.failure import ClientError
from clary.tasks.xgboost import checkpoints, model
from clary.tasks.xgboost.custom_metrics import CustomMetrics
from clary.tasks.xgboost.hyperparameters import Settings
from clary.tasks.xgboost.library import reason, xgboost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

# What XGBoost says where not the user is to blame, but the machine or another host.
NOT_THE_USERS = ("bad_alloc", "bad allocation", "memory", "socket", "Rabit", "Connection", "tracker")


class Stops(Protocol):
    wished: bool


def boost(job: Settings, tables: Mapping[str, Table], where: Path | None, stop: Stops, *, leads: bool = True) -> Any:
    """A trained Booster; the best one where early stopping is asked for and there are validation data.

    tables  by channel, train first
    where   checkpoints are taken up from there, and left there by the host that leads
    Raises  ClientError where XGBoost cannot work with the parameters or the data.
    """
    library = xgboost()
    start = checkpoints.latest(where)
    done = start.num_boosted_rounds() if start is not None else 0
    parameters = {"nthread": model.threads(), **job.booster} if model.threads() else dict(job.booster)
    if job.booster.get("device") == "cuda" and not library.build_info()["USE_CUDA"]:
        raise ClientError(
            "Hyperparameter tree_method: value 'gpu_hist' is not allowed; this machine's XGBoost works without GPU. "
            "Take hist."
        )
    matrices = _matrices(library, tables, job)
    rounds = job.num_round - done
    if rounds <= 0:
        return _best(start, job)
    print(f"Training {rounds} rounds of {job.objective}", flush=True)
    try:
        return library.train(
            parameters,
            matrices["train"],
            num_boost_round=rounds,
            evals=[(matrix, name) for name, matrix in matrices.items()],
            custom_metric=_custom_metrics(job, library),
            callbacks=_callbacks(job, library, "validation" in tables, where if leads else None, stop, done, leads),
            xgb_model=start,
            verbose_eval=False,
        )
    except library.core.XGBoostError as error:
        text = reason(error)
        if any(word in text for word in NOT_THE_USERS):
            raise
        raise ClientError(f"XGB train call failed with exception: {text}") from error


def _best(booster: Any, job: Settings) -> Any:
    """A checkpoint that has all rounds; with early stopping, what early stopping would have left of it."""
    best = booster.attr("best_iteration")
    if job.early_stopping_rounds and best is not None and job.booster.get("booster") != "gblinear":
        return booster[: int(best) + 1]
    return booster


def _matrices(library: Any, tables: Mapping[str, Table], job: Settings) -> dict[str, Any]:
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
    """XGBoost looks at them too, but may stumble over what follows from them first."""
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
    """survival:aft wants intervals. As for survival:cox, a negative label is a time until which nothing happened."""
    import numpy as np

    return np.abs(labels), np.where(labels < 0, np.inf, labels).astype(np.float32)


def _custom_metrics(job: Settings, library: Any) -> CustomMetrics | None:
    if not job.custom_metrics:
        return None
    return CustomMetrics(
        job.custom_metrics, job.objective, job.booster.get("num_class", 2), lambda part: _total(part, library)
    )


def _total(part: NDArray[np.float64], library: Any) -> NDArray[np.float64]:
    """Summed over the hosts that train together."""
    collective = library.collective
    if not collective.is_distributed():
        return part
    total: NDArray[np.float64] = collective.allreduce(part, collective.Op.SUM)
    return total


def _callbacks(
    job: Settings, library: Any, validated: bool, where: Path | None, stop: Stops, done: int, leads: bool
) -> list[Any]:
    callback = library.callback
    callbacks = [_each_round(library, done, stop, checkpoints.Saver(where) if where else None, leads)]
    if job.early_stopping_rounds and not validated:
        log.warning("Hyperparameter early_stopping_rounds has no effect: the job has no channel validation")
    elif job.early_stopping_rounds:
        metric = job.stopping_metric
        callbacks.append(
            callback.EarlyStopping(
                rounds=job.early_stopping_rounds,
                data_name="validation",
                metric_name=metric,
                maximize=metric.partition("@")[0] in MAXIMIZED if metric else None,
                # A linear model is one, not a row of trees: it cannot be cut back.
                save_best=job.booster.get("booster") != "gblinear",
            )
        )
    return callbacks


def _each_round(library: Any, done: int, stop: Stops, saver: checkpoints.Saver | None, leads: bool) -> Any:
    class EachRound(library.callback.TrainingCallback):  # type: ignore[misc]
        """Its base is known when the library is."""

        def after_iteration(self, booster: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> bool:
            number = done + epoch
            if leads:
                print(_line(number, evals_log), flush=True)
            last = self.all_agree(stop.wished)
            if saver:
                saver.after_round(booster, number)
            return last

        def after_training(self, model: Any) -> Any:
            """All rounds are in the last checkpoint: a job whose model could not be uploaded need not train again."""
            if saver:
                saver.finish(model)
            return model

        def all_agree(self, wished: bool) -> bool:
            """Hosts leave together: one that waits for another that has gone would wait in vain."""
            import numpy as np

            return bool(_total(np.array([float(wished)]), library)[0])

    return EachRound()


def _line(number: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> str:
    """`[0]<TAB>train-auc:0.98765<TAB>validation-auc:0.91234`, what AWS's regular expressions look for."""
    values = [
        f"\t{channel}-{metric}:{history[-1]:.5f}"
        for channel, metrics in evals_log.items()
        for metric, history in metrics.items()
    ]
    return f"[{number}]{''.join(values)}"
