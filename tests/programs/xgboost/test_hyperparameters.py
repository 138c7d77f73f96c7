"""Hyperparameters that XGBoost accepts, and the errors about all others."""

from __future__ import annotations

from typing import Any

import pytest

from clary.tasks.failure import ClientError
from clary.tasks.xgboost.hyperparameters import Settings, settings


def settings_of(**texts: str) -> Settings:
    return settings({"num_round": "10", **{name.removesuffix("_"): text for name, text in texts.items()}})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("eta", "0.3", 0.3),
        ("eta", "1e-1", 0.1),
        ("max_depth", "6", 6),
        ("max_depth", "6.0", 6),
        ("objective", '"binary:logistic"', "binary:logistic"),
        ("objective", "reg:linear", "reg:squarederror"),
        ("booster", "dart", "dart"),
        ("monotone_constraints", "(1, -1,0)", "(1,-1,0)"),
        ("interaction_constraints", "[[0, 1], [2, 3]]", "[[0, 1], [2, 3]]"),
        ("updater", "grow_colmaker,prune", "grow_colmaker,prune"),
        ("seed", "-5", -5),
        ("scale_pos_weight", "0.01", 0.01),
        ("tweedie_variance_power", "1.2", 1.2),
        ("subsample", "1", 1.0),
        ("eval_metric", "auc,error@0.7", ["auc", "error@0.7"]),
        ("eval_metric", '["rmse", "mae"]', ["rmse", "mae"]),
    ],
)
def test_values_reach_xgboost(name: str, text: str, value: Any) -> None:
    job = settings_of(**({"objective": "binary:logistic"} if "auc" in text else {}), **{name: text})
    assert job.booster[name] == value


@pytest.mark.parametrize(
    ("alias", "name"),
    [("learning_rate", "eta"), ("min_split_loss", "gamma"), ("reg_lambda", "lambda"), ("reg_alpha", "alpha")],
)
def test_aliases(alias: str, name: str) -> None:
    assert settings_of(**{alias: "0.5"}).booster[name] == 0.5
    with pytest.raises(ClientError, match=f"Hyperparameter {name} is given twice"):
        settings_of(**{alias: "0.5", name: "0.5"})


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("num_round", "0", "an integer in [1, +inf)"),
        ("num_round", "ten", "an integer in [1, +inf)"),
        ("num_round", "1.5", "an integer in [1, +inf)"),
        ("eta", "1.1", "a number in [0, 1]"),
        ("eta", "nan", "a number in [0, 1]"),
        ("eta", "", "a number in [0, 1]"),
        ("gamma", "inf", "a number in [0, +inf)"),
        ("gamma", "-1", "a number in [0, +inf)"),
        ("subsample", "0", "a number in (0, 1]"),
        ("colsample_bytree", "0", "a number in (0, 1]"),
        ("tweedie_variance_power", "2", "a number in (1, 2)"),
        ("max_depth", "-1", "an integer in [0, +inf)"),
        ("csv_weights", "2", "an integer in [0, 1]"),
        ("verbosity", "4", "an integer in [0, 3]"),
        ("num_class", "1", "an integer in [2, +inf)"),
        ("seed", "2147483648", "an integer in (-2147483648, 2147483647)"),
        ("booster", "gbforest", "one of gbtree, gblinear, dart"),
        ("tree_method", "best", "one of auto, exact, approx, hist, gpu_hist"),
        ("save_model_on_termination", "yes", "true or false"),
        ("monotone_constraints", "(2,)", "a list of integers in [-1, 1], as (1, -1)"),
        ("monotone_constraints", "__import__('os')", "a list of integers in [-1, 1]"),
        ("monotone_constraints", "[" * 2000, "a list of integers in [-1, 1]"),
        ("interaction_constraints", "[0, 1]", "a list of lists of integers in [0, +inf)"),
        ("eval_metric", "auk", "a list, separated by commas, of accuracy, auc, aucpr"),
        ("eval_metric", "[1]", "a list, separated by commas, of accuracy"),
        ("eval_metric", "rmse@2", "a list, separated by commas, of accuracy"),
        ("eval_metric", "error@high", "a list, separated by commas, of accuracy"),
        ("_tuning_objective_metric", "auc", "validation:<metric>"),
    ],
)
def test_a_value_out_of_range_is_reported_with_name_and_range(name: str, text: str, allowed: str) -> None:
    with pytest.raises(ClientError) as error:
        settings_of(**{name: text})
    message = str(error.value)
    assert message.startswith(f"ClientError: Hyperparameter {name}: value {text[:100]!r} is not allowed; it must be ")
    assert allowed in message


@pytest.mark.parametrize(
    ("texts", "fragment"),
    [
        ({"depth": "3"}, "Extraneous hyperparameter found: depth."),
        (
            {"objective": "multi:softmax"},
            "Missing required hyperparameter: num_class: an integer in [2, +inf) is needed",
        ),
        ({"num_class": "3"}, "num_class: value '3' is not allowed for objective reg:squarederror"),
        ({"eval_metric": "rmse,auc"}, "eval_metric: value 'auc' is not allowed for objective reg:squarederror"),
        ({"_tuning_objective_metric": "validation:auc"}, "_tuning_objective_metric: value 'auc' is not allowed"),
        ({"eval_metric": "aft-nloglik"}, "it can only be applied for survival:aft"),
        (
            {"objective": "multi:softprob", "num_class": "3", "eval_metric": "f1_binary"},
            "it is for two classes: take f1_macro.",
        ),
        ({"updater": "grow_skmaker"}, "updater: value 'grow_skmaker' is not allowed; XGBoost has removed it."),
        ({"updater": "shotgun"}, "updater: value 'shotgun' is not allowed; it is not for trees."),
        ({"booster": "gblinear", "updater": "prune"}, "Take one of shotgun, coord_descent."),
        (
            {"process_type": "update", "updater": "sync"},
            "it is not for process_type update. Take one of refresh, prune.",
        ),
        ({"updater": "grow_colmaker,grow_histmaker"}, "only one can grow the model"),
    ],
)
def test_hyperparameters_that_exclude_each_other(texts: dict[str, str], fragment: str) -> None:
    with pytest.raises(ClientError) as error:
        settings_of(**texts)
    assert fragment in str(error.value)


def test_num_round_is_required() -> None:
    with pytest.raises(ClientError, match="Missing required hyperparameter: num_round"):
        settings({"eta": "0.1"})


def test_the_platforms_own_hyperparameters_are_ignored() -> None:
    assert settings_of(sagemaker_region='"us-east-1"') == settings_of()


def test_hyperparameters_without_effect_are_accepted_and_reported() -> None:
    job = settings_of(silent="0", sketch_eps="0.03", single_precision_histogram="true", predictor="cpu_predictor")
    assert set(job.without_effect) == {"silent", "sketch_eps", "single_precision_histogram", "predictor"}
    assert not set(job.without_effect) & set(job.booster)


def test_a_gpu_is_requested_by_its_old_name() -> None:
    assert settings_of(tree_method="gpu_hist").booster == {"tree_method": "hist", "device": "cuda"}


def test_metrics_that_xgboost_lacks_are_custom_metrics() -> None:
    job = settings_of(objective="binary:logistic", eval_metric="f1,auc,accuracy", early_stopping_rounds="3")
    assert job.booster["eval_metric"] == ["auc"]
    assert job.custom_metrics == ("f1", "accuracy")
    assert job.stopping_metric == "accuracy"


def test_a_tuned_metric_is_reported_and_stops() -> None:
    job = settings_of(objective="binary:logistic", eval_metric="auc,error", _tuning_objective_metric="validation:f1")
    assert job.booster["eval_metric"] == ["auc", "error"]
    assert job.custom_metrics == ("f1",)
    assert job.stopping_metric == "f1"


def test_the_tweedie_metric_has_its_power_in_its_name() -> None:
    job = settings_of(objective="reg:tweedie", eval_metric="tweedie-nloglik", tweedie_variance_power="1.3")
    assert job.booster["eval_metric"] == ["tweedie-nloglik@1.3"]
    assert job.stopping_metric == "tweedie-nloglik@1.3"
