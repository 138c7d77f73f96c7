"""The metrics of the XGBoost algorithm, and how its log tells them. No library is needed: the server reads this too."""

from __future__ import annotations

import re

MAXIMIZE = (
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
)
MINIMIZE = (
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)
METRICS = (*MAXIMIZE, *MINIMIZE)

# These take a parameter, `ndcg@10`, which the log repeats behind the name.
WITH_PARAMETER = ("error", "map", "ndcg", "tweedie-nloglik")

# Not XGBoost's: computed by own_metrics.
OWN = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "mse",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
)

NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


def _regex(channel: str, metric: str) -> str:
    parameter = "(?:@[^:]+)?" if metric in WITH_PARAMETER else ""
    return rf".*\[[0-9]+\].*#011{channel}-{re.escape(metric)}{parameter}:{NUMBER}.*"


METRIC_DEFINITIONS: tuple[tuple[str, str], ...] = tuple(
    (f"{channel}:{metric}", _regex(channel, metric)) for channel in ("train", "validation") for metric in METRICS
)


def is_maximized(metric: str) -> bool:
    return metric.partition("@")[0] in MAXIMIZE
