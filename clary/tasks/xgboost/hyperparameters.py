"""What the hyperparameters ask XGBoost for, and which of them do not go together.

Names, types and ranges are the manifest's (`clary.algorithms.xgboost`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.algorithms.xgboost import ALGORITHM, LINEAR_UPDATERS, REMOVED_UPDATERS, TREE_UPDATERS
from clary.tasks.algorithm.hyperparameters import parse
from clary.tasks.failure import ClientError
from clary.tasks.xgboost.custom_metrics import CUSTOM_METRICS

MULTICLASS = ("multi:softmax", "multi:softprob")
TREE_GROWERS = ("grow_colmaker", "grow_histmaker", "grow_quantile_histmaker")

WITHOUT_EFFECT = tuple(item.name for item in ALGORITHM.hyperparameters if item.without_effect)
# For this program, not for XGBoost.
NOT_BOOSTER = (
    "num_round",
    "csv_weights",
    "early_stopping_rounds",
    "eval_metric",
    "_tuning_objective_metric",
    "save_model_on_termination",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """A training, as the hyperparameters request it.

    booster           parameters of xgboost.train, eval_metric included
    custom_metrics    those that XGBoost does not have
    stopping_metric   of early stopping; None: the last metric that XGBoost reports
    keep_on_stop      a job that is stopped leaves the model trained so far
    without_effect    hyperparameters that were given and change nothing
    """

    booster: Mapping[str, Any]
    num_round: int
    objective: str
    csv_weights: bool = False
    early_stopping_rounds: int | None = None
    custom_metrics: tuple[str, ...] = ()
    stopping_metric: str | None = None
    keep_on_stop: bool = True
    without_effect: tuple[str, ...] = ()


def settings(texts: Mapping[str, str]) -> Settings:
    """Raises ClientError naming a hyperparameter, its value, and what is allowed."""
    values = parse(texts, ALGORITHM)
    objective = values.get("objective", "reg:squarederror")
    if objective == "reg:linear":  # the name until XGBoost 0.83
        values["objective"] = objective = "reg:squarederror"
    metrics = _metrics(values)
    _check_classes(values, objective)
    _check_metrics(values, objective, metrics)
    _check_updater(values)
    booster = {name: value for name, value in values.items() if name not in NOT_BOOSTER + WITHOUT_EFFECT}
    booster |= _converted(values)
    native = [metric for metric in metrics if metric not in CUSTOM_METRICS]
    if native:
        booster["eval_metric"] = native
    return Settings(
        booster=booster,
        num_round=values["num_round"],
        objective=objective,
        csv_weights=values.get("csv_weights") == 1,
        early_stopping_rounds=values.get("early_stopping_rounds"),
        custom_metrics=tuple(metric for metric in metrics if metric in CUSTOM_METRICS),
        stopping_metric=_tuned(values) or (metrics[-1] if metrics else None),
        keep_on_stop=values.get("save_model_on_termination", True),
        without_effect=tuple(name for name in values if name in WITHOUT_EFFECT),
    )


def _metrics(values: Mapping[str, Any]) -> list[str]:
    """The metrics to report: eval_metric, and the one that a tuning job optimizes."""
    metrics = [_named(metric, values) for metric in values.get("eval_metric", [])]
    tuned = _tuned(values)
    return metrics if tuned is None or tuned in metrics else [*metrics, tuned]


def _tuned(values: Mapping[str, Any]) -> str | None:
    metric = values.get("_tuning_objective_metric")
    return None if metric is None else _named(metric, values)


def _named(metric: str, values: Mapping[str, Any]) -> str:
    """As XGBoost names it: `tweedie-nloglik` with its parameter."""
    return f"{metric}@{values.get('tweedie_variance_power', 1.5)}" if metric == "tweedie-nloglik" else metric


def _check_classes(values: Mapping[str, Any], objective: str) -> None:
    if objective in MULTICLASS and "num_class" not in values:
        domain = ALGORITHM.domains["num_class"]
        raise ClientError(f"Missing required hyperparameter: num_class: {domain} is needed for objective {objective}.")
    if objective not in MULTICLASS and "num_class" in values:
        raise ClientError(
            f"Hyperparameter num_class: value '{values['num_class']}' is not allowed for objective {objective}; "
            f"it is for {' and '.join(MULTICLASS)}."
        )


def _check_metrics(values: Mapping[str, Any], objective: str, metrics: list[str]) -> None:
    def refuse(metric: str, why: str) -> None:
        name = "eval_metric" if metric in values.get("eval_metric", []) else "_tuning_objective_metric"
        raise ClientError(f"Hyperparameter {name}: value '{metric}' is not allowed for objective {objective}; {why}")

    for metric in metrics:
        if metric == "auc" and not objective.startswith(("binary:", "rank:", "multi:", "reg:logistic")):
            refuse(metric, "it can only be applied for classification and ranking problems.")
        if metric == "aft-nloglik" and objective != "survival:aft":
            refuse(metric, "it can only be applied for survival:aft.")
        if metric in ("precision", "recall", "f1_binary") and values.get("num_class", 2) > 2:
            refuse(metric, f"it is for two classes: take {metric.partition('_')[0]}_macro.")
        if metric in ("mse", "r2") and objective == "multi:softprob":
            refuse(metric, "it is for numbers, not for classes.")


def _check_updater(values: Mapping[str, Any]) -> None:
    updaters = values.get("updater", [])
    allowed: tuple[str, ...] = TREE_UPDATERS
    purpose = "trees"
    if values.get("booster") == "gblinear":
        allowed, purpose = LINEAR_UPDATERS, "booster gblinear"
    elif values.get("process_type") == "update":
        allowed, purpose = ("refresh", "prune"), "process_type update"
    for updater in updaters:
        if updater not in allowed:
            why = "XGBoost has removed it" if updater in REMOVED_UPDATERS else f"it is not for {purpose}"
            raise ClientError(
                f"Hyperparameter updater: value {updater!r} is not allowed; {why}. Take one of {', '.join(allowed)}."
            )
    growers = [updater for updater in updaters if updater in TREE_GROWERS]
    if len(growers) > 1 or (purpose == "booster gblinear" and len(updaters) > 1):
        raise ClientError(
            f"Hyperparameter updater: value {','.join(updaters)!r} is not allowed; only one can grow the model."
        )


def _converted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that XGBoost wants in another form than SageMaker."""
    converted: dict[str, Any] = {}
    if "updater" in values:
        converted["updater"] = ",".join(values["updater"])
    if "monotone_constraints" in values:
        converted["monotone_constraints"] = f"({','.join(map(str, values['monotone_constraints']))})"
    if "interaction_constraints" in values:
        converted["interaction_constraints"] = str(values["interaction_constraints"])
    if values.get("tree_method") == "gpu_hist":  # its name until XGBoost 2.0
        converted |= {"tree_method": "hist", "device": "cuda"}
    return converted
