"""After each round: the line with its metrics, a checkpoint, early stopping, the stop that was requested."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from clary.algorithms.xgboost import MAXIMIZED
from clary.tasks.algorithm.checkpoints import Checkpoints
from clary.tasks.algorithm.stopping import StopRequest
from clary.tasks.xgboost import collective
from clary.tasks.xgboost.hyperparameters import Settings
from clary.tasks.xgboost.library import xgboost

log = logging.getLogger(__name__)


def early_stopping(job: Settings, validated: bool) -> list[Any]:
    """The callback, where the job asks for it and there are validation data."""
    if not job.early_stopping_rounds:
        return []
    if not validated:
        log.warning("Hyperparameter early_stopping_rounds has no effect: the job has no channel validation")
        return []
    metric = job.stopping_metric
    callback = xgboost().callback.EarlyStopping(
        rounds=job.early_stopping_rounds,
        data_name="validation",
        metric_name=metric,
        maximize=metric.partition("@")[0] in MAXIMIZED if metric else None,
        # A linear model is no sequence of trees: it cannot be cut back.
        save_best=job.booster.get("booster") != "gblinear",
    )
    return [callback]


def each_round(done: int, stop: StopRequest, saver: Checkpoints[Any] | None, leads: bool) -> Any:
    """done: rounds of the checkpoint that training goes on from; leads: whether this host prints and saves."""

    class EachRound(xgboost().callback.TrainingCallback):  # type: ignore[misc]
        """Its base class is known when the library is."""

        def after_iteration(self, booster: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> bool:
            number = done + epoch
            if leads:
                print(metric_line(number, evals_log), flush=True)
            last = self.any_host(stop.requested)
            if saver:
                saver.after_round(booster, number)
            return last

        def after_training(self, model: Any) -> Any:
            if saver:
                saver.finish(model, model.num_boosted_rounds() - 1)
            return model

        def any_host(self, requested: bool) -> bool:
            """Hosts stop together: one that waits for another that has ended would wait in vain."""
            import numpy as np

            return bool(collective.total(np.array([float(requested)]))[0])

    return EachRound()


def metric_line(number: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> str:
    """`[0]<TAB>train-auc:0.98765<TAB>validation-auc:0.91234`, as the metrics' regular expressions expect it."""
    values = [
        f"\t{channel}-{metric}:{history[-1]:.5f}"
        for channel, metrics in evals_log.items()
        for metric, history in metrics.items()
    ]
    return f"[{number}]{''.join(values)}"
