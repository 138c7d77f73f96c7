"""The rounds of a training: XGBoost runs them; this reads checkpoints, and names whose fault a failure is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clary.formats.table import Table
from clary.tasks import hardware
from clary.tasks.algorithm import checkpoints
from clary.tasks.algorithm.checkpoints import Checkpoints
from clary.tasks.algorithm.stopping import StopRequest
from clary.tasks.failure import ClientError
from clary.tasks.xgboost import collective, model
from clary.tasks.xgboost.callbacks import each_round, early_stopping
from clary.tasks.xgboost.custom_metrics import CustomMetrics
from clary.tasks.xgboost.hyperparameters import Settings
from clary.tasks.xgboost.library import reason, xgboost
from clary.tasks.xgboost.matrices import to_matrices

# In XGBoost's messages about failures of the machine or of another host, which are not the user's.
MACHINE_FAILURES = ("bad_alloc", "bad allocation", "memory", "socket", "Rabit", "Connection", "tracker")


def boost(
    job: Settings, tables: Mapping[str, Table], folder: Path | None, stop: StopRequest, *, leads: bool = True
) -> Any:
    """A trained Booster; the best one where early stopping is asked for and there are validation data.

    tables  by channel, train first
    folder  of checkpoints: training goes on from the last one, and the host that leads leaves others
    Raises  ClientError where XGBoost cannot work with the parameters or the data.
    """
    library = xgboost()
    start = checkpoints.latest(folder, model.CHECKPOINT, model.load)
    done = start.num_boosted_rounds() if start is not None else 0
    parameters = dict(job.booster)
    if cpus := hardware.granted("SM_NUM_CPUS"):
        parameters.setdefault("nthread", cpus)
    if job.booster.get("device") == "cuda" and not library.build_info()["USE_CUDA"]:
        raise ClientError(
            "Hyperparameter tree_method: value 'gpu_hist' is not allowed; this machine's XGBoost works without GPU. "
            "Take hist."
        )
    matrices = to_matrices(tables, job)
    rounds = job.num_round - done
    if rounds <= 0:
        return _best(start, job)
    saver = Checkpoints(folder, model.CHECKPOINT, model.save) if folder and leads else None
    print(f"Training {rounds} rounds of {job.objective}", flush=True)
    try:
        return library.train(
            parameters,
            matrices["train"],
            num_boost_round=rounds,
            evals=[(matrix, name) for name, matrix in matrices.items()],
            custom_metric=_custom_metrics(job),
            callbacks=[each_round(done, stop, saver, leads), *early_stopping(job, "validation" in tables)],
            xgb_model=start,
            verbose_eval=False,
        )
    except library.core.XGBoostError as error:
        text = reason(error)
        if any(word in text for word in MACHINE_FAILURES):
            raise
        raise ClientError(f"XGB train call failed with exception: {text}") from error


def _best(booster: Any, job: Settings) -> Any:
    """A checkpoint that has all rounds; with early stopping, what early stopping would have left of it."""
    best = booster.attr("best_iteration")
    if job.early_stopping_rounds and best is not None and job.booster.get("booster") != "gblinear":
        return booster[: int(best) + 1]
    return booster


def _custom_metrics(job: Settings) -> CustomMetrics | None:
    if not job.custom_metrics:
        return None
    return CustomMetrics(job.custom_metrics, job.objective, job.booster.get("num_class", 2), collective.total)
