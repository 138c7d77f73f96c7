"""The hyperparameters of the XGBoost algorithm: names, types and ranges as AWS documents them, and what they need.

Defaults are XGBoost's own, which are those AWS documents, but for what AWS's older versions fixed (base_score 0.5).
Reference: "XGBoost hyperparameters" (developer guide).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.tasks.failure import ClientError
from clary.tasks.hyperparameters import (
    Choice,
    Flag,
    Integer,
    IntegerList,
    Interval,
    Kind,
    Real,
    Words,
    parse,
    words_of,
)
from clary.tasks.xgboost.metrics import METRICS, OWN, WITH_PARAMETER

NON_NEGATIVE = Interval(low=0)
UNIT = Interval(low=0, high=1)
SHARE = Interval(low=0, high=1, low_open=True)
COUNT = Integer(Interval(low=1))
BIT = Integer(UNIT)

OBJECTIVES = (
    "binary:logistic",
    "binary:logitraw",
    "binary:hinge",
    "count:poisson",
    "multi:softmax",
    "multi:softprob",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
    "reg:linear",
    "reg:squarederror",
    "reg:absoluteerror",
    "reg:logistic",
    "reg:gamma",
    "reg:pseudohubererror",
    "reg:squaredlogerror",
    "reg:tweedie",
    "survival:aft",
    "survival:cox",
)
MULTICLASS = ("multi:softmax", "multi:softprob")
TREE_UPDATERS = ("grow_colmaker", "grow_histmaker", "grow_quantile_histmaker", "sync", "refresh", "prune")
TREE_GROWERS = ("grow_colmaker", "grow_histmaker", "grow_quantile_histmaker")
LINEAR_UPDATERS = ("shotgun", "coord_descent")
# AWS's list has them still; XGBoost dropped them in 1.0 to 1.6.
GONE_UPDATERS = ("distcol", "grow_local_histmaker", "grow_skmaker")


@dataclass(frozen=True, slots=True)
class Metrics:
    """Names of metrics, some with a parameter: `auc,error@0.7`. Parsed as Words are."""

    def parse(self, text: str) -> list[str]:
        words = words_of(text)
        if not words or not all(is_metric(word) for word in words):
            raise ValueError
        return list(dict.fromkeys(words))

    def __str__(self) -> str:
        parameter = "error, map and ndcg may have a parameter, as in error@0.7"
        return f"a list, separated by commas, of {', '.join(METRICS)}; {parameter}"


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric of a channel, as a tuning job names it: `validation:auc`. Parsed to the metric."""

    def parse(self, text: str) -> str:
        channel, _, metric = text.partition(":")
        if channel not in ("train", "validation") or not is_metric(metric):
            raise ValueError
        return metric

    def __str__(self) -> str:
        return f"validation:<metric>, where the metric is one of {', '.join(METRICS)}"


def is_metric(word: str) -> bool:
    name, at, parameter = word.partition("@")
    if not at:
        return name in METRICS
    try:
        float(parameter.removesuffix("-"))  # ndcg@5- scores lists without relevant items with 0
    except ValueError:
        return False
    return name in WITH_PARAMETER


TABLE: Mapping[str, Kind] = {
    # how long, on what
    "num_round": COUNT,
    "num_class": Integer(Interval(low=2)),
    "csv_weights": BIT,
    "early_stopping_rounds": COUNT,
    "objective": Choice(OBJECTIVES),
    "eval_metric": Metrics(),
    "_tuning_objective_metric": Objective(),
    "save_model_on_termination": Flag(),
    "seed": Integer(Interval(low=-(2**31), high=2**31 - 1, low_open=True, high_open=True)),
    "nthread": COUNT,
    "verbosity": Integer(Interval(low=0, high=3)),
    # what a model is made of
    "booster": Choice(("gbtree", "gblinear", "dart")),
    "base_score": Real(NON_NEGATIVE),
    "eta": Real(UNIT),
    "gamma": Real(NON_NEGATIVE),
    "lambda": Real(NON_NEGATIVE),
    "alpha": Real(NON_NEGATIVE),
    "max_depth": Integer(NON_NEGATIVE),
    "max_leaves": Integer(NON_NEGATIVE),
    "max_bin": Integer(NON_NEGATIVE),
    "max_delta_step": Real(NON_NEGATIVE),
    "min_child_weight": Real(NON_NEGATIVE),
    "num_parallel_tree": COUNT,
    "scale_pos_weight": Real(Interval(low=0, low_open=True)),
    "subsample": Real(SHARE),
    "sampling_method": Choice(("uniform", "gradient_based")),
    "colsample_bytree": Real(SHARE),
    "colsample_bylevel": Real(SHARE),
    "colsample_bynode": Real(SHARE),
    "tree_method": Choice(("auto", "exact", "approx", "hist", "gpu_hist")),
    "grow_policy": Choice(("depthwise", "lossguide")),
    "updater": Words(tuple(dict.fromkeys(TREE_UPDATERS + LINEAR_UPDATERS + GONE_UPDATERS))),
    "refresh_leaf": BIT,
    "process_type": Choice(("default", "update")),
    "monotone_constraints": IntegerList(Interval(low=-1, high=1)),
    "interaction_constraints": IntegerList(NON_NEGATIVE, nested=True),
    # dart
    "sample_type": Choice(("uniform", "weighted")),
    "normalize_type": Choice(("tree", "forest")),
    "rate_drop": Real(UNIT),
    "one_drop": BIT,
    "skip_drop": Real(UNIT),
    # objectives
    "tweedie_variance_power": Real(Interval(low=1, high=2, low_open=True, high_open=True)),
    "aft_loss_distribution": Choice(("normal", "logistic", "extreme")),
    "aft_loss_distribution_scale": Real(NON_NEGATIVE),
    # of no effect any more: see WITHOUT_EFFECT
    "silent": BIT,
    "lambda_bias": Real(UNIT),
    "sketch_eps": Real(Interval(low=0, high=1, low_open=True, high_open=True)),
    "dsplit": Choice(("row", "col")),
    "predictor": Choice(("auto", "cpu_predictor", "gpu_predictor")),
    "single_precision_histogram": Flag(),
    "deterministic_histogram": Flag(),
    "prob_buffer_row": Real(Interval(low=1, low_open=True)),
    "use_dask_gpu_training": Flag(),
}
ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}

# Accepted, since scripts written for older versions send them; the XGBoost of today knows them no more.
WITHOUT_EFFECT = (
    "silent",
    "lambda_bias",
    "sketch_eps",
    "dsplit",
    "predictor",
    "single_precision_histogram",
    "deterministic_histogram",
    "prob_buffer_row",
    "use_dask_gpu_training",
)
# Ours, not XGBoost's.
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
    """A training, as the hyperparameters ask for it.

    booster           what xgboost.train is given, eval_metric included
    own_metrics       those that XGBoost does not know
    stopping_metric   what early stopping looks at; None: the last one XGBoost reports
    keep_on_stop      a job that is stopped leaves the model made so far
    without_effect    hyperparameters that were given and change nothing
    """

    booster: Mapping[str, Any]
    num_round: int
    objective: str
    csv_weights: bool = False
    early_stopping_rounds: int | None = None
    own_metrics: tuple[str, ...] = ()
    stopping_metric: str | None = None
    keep_on_stop: bool = True
    without_effect: tuple[str, ...] = ()


def settings(texts: Mapping[str, str]) -> Settings:
    """Raises ClientError naming the hyperparameter that cannot be, its value, and what is allowed."""
    values = parse(texts, TABLE, required=["num_round"], aliases=ALIASES)
    objective = values.get("objective", "reg:squarederror")
    if objective == "reg:linear":  # its name until XGBoost 0.83
        values["objective"] = objective = "reg:squarederror"
    metrics = _metrics(values)
    _check_classes(values, objective)
    _check_metrics(values, objective, metrics)
    _check_updater(values)
    booster = {name: value for name, value in values.items() if name not in NOT_BOOSTER + WITHOUT_EFFECT}
    booster |= _for_xgboost(values)
    known = [metric for metric in metrics if metric not in OWN]
    if known:
        booster["eval_metric"] = known
    return Settings(
        booster=booster,
        num_round=values["num_round"],
        objective=objective,
        csv_weights=values.get("csv_weights") == 1,
        early_stopping_rounds=values.get("early_stopping_rounds"),
        own_metrics=tuple(metric for metric in metrics if metric in OWN),
        stopping_metric=_tuned(values) or (metrics[-1] if metrics else None),
        keep_on_stop=values.get("save_model_on_termination", True),
        without_effect=tuple(name for name in values if name in WITHOUT_EFFECT),
    )


def _metrics(values: Mapping[str, Any]) -> list[str]:
    """What is to be reported: eval_metric, and what a tuning job looks at."""
    metrics = [_named(metric, values) for metric in values.get("eval_metric", [])]
    tuned = _tuned(values)
    return metrics if tuned is None or tuned in metrics else [*metrics, tuned]


def _tuned(values: Mapping[str, Any]) -> str | None:
    metric = values.get("_tuning_objective_metric")
    return None if metric is None else _named(metric, values)


def _named(metric: str, values: Mapping[str, Any]) -> str:
    """As XGBoost has it: this one with its parameter in the name."""
    return f"{metric}@{values.get('tweedie_variance_power', 1.5)}" if metric == "tweedie-nloglik" else metric


def _check_classes(values: Mapping[str, Any], objective: str) -> None:
    if objective in MULTICLASS and "num_class" not in values:
        raise ClientError(
            f"Missing required hyperparameter: num_class: {TABLE['num_class']} is needed for objective {objective}."
        )
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
    where = "trees"
    if values.get("booster") == "gblinear":
        allowed, where = LINEAR_UPDATERS, "booster gblinear"
    elif values.get("process_type") == "update":
        allowed, where = ("refresh", "prune"), "process_type update"
    for updater in updaters:
        if updater not in allowed:
            why = "XGBoost has it no more" if updater in GONE_UPDATERS else f"it is not for {where}"
            raise ClientError(
                f"Hyperparameter updater: value {updater!r} is not allowed; {why}. Take one of {', '.join(allowed)}."
            )
    growers = [updater for updater in updaters if updater in TREE_GROWERS]
    if len(growers) > 1 or (where == "booster gblinear" and len(updaters) > 1):
        raise ClientError(
            f"Hyperparameter updater: value {','.join(updaters)!r} is not allowed; only one can grow the model."
        )


def _for_xgboost(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is written otherwise for XGBoost than for SageMaker."""
    changed: dict[str, Any] = {}
    if "updater" in values:
        changed["updater"] = ",".join(values["updater"])
    if "monotone_constraints" in values:
        changed["monotone_constraints"] = f"({','.join(map(str, values['monotone_constraints']))})"
    if "interaction_constraints" in values:
        changed["interaction_constraints"] = str(values["interaction_constraints"])
    if values.get("tree_method") == "gpu_hist":  # its name until XGBoost 2.0
        changed |= {"tree_method": "hist", "device": "cuda"}
    return changed
