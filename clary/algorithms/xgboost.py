"""XGBoost, AWS's built-in algorithm.

Defaults are XGBoost's own, which are those AWS documents, but for what AWS's older versions fixed (base_score 0.5).
References: "XGBoost hyperparameters", "Tune an XGBoost Model" (SageMaker Developer Guide); the scales of the
recommended ranges as AWS's open-source container declares them (aws/sagemaker-xgboost-container).
"""

from __future__ import annotations

import re

from clary.algorithms.domains import (
    Boolean,
    Categorical,
    CategoryList,
    Continuous,
    Integer,
    IntegerList,
    Interval,
    MetricList,
    ObjectiveMetric,
)
from clary.algorithms.manifest import NUMBER, Algorithm, Channel, Hyperparameter, Metric, TuningRange, Versions

# Metrics, by which direction is better.
MAXIMIZED = (
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
MINIMIZED = (
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
# The log repeats the parameter of these behind the name: `ndcg@10`.
PARAMETRIZED = ("error", "map", "ndcg", "tweedie-nloglik")
METRICS = MetricList((*MAXIMIZED, *MINIMIZED), PARAMETRIZED)
# The channels that are evaluated.
EVALUATED = ("train", "validation")

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
TREE_UPDATERS = ("grow_colmaker", "grow_histmaker", "grow_quantile_histmaker", "sync", "refresh", "prune")
LINEAR_UPDATERS = ("shotgun", "coord_descent")
# AWS's list still has them; XGBoost removed them in 1.0 to 1.6.
REMOVED_UPDATERS = ("distcol", "grow_local_histmaker", "grow_skmaker")

COUNT = Integer(low=1)
BIT = Integer(low=0, high=1)
NON_NEGATIVE = Continuous(low=0)
NON_NEGATIVE_INTEGER = Integer(low=0)
UNIT = Continuous(low=0, high=1)
SHARE = Continuous(low=0, high=1, low_open=True)

_TRAINING = (
    Hyperparameter(
        "num_round",
        COUNT,
        required=True,
        description="rounds of boosting",
        tunable=True,
        recommended=TuningRange(1, 4000),
    ),
    Hyperparameter(
        "num_class",
        Integer(low=2),
        description="number of classes; for `multi:softmax` and `multi:softprob`, which require it",
    ),
    Hyperparameter(
        "objective",
        Categorical(OBJECTIVES),
        default="reg:squarederror",
        description="what is learnt; `reg:linear` is the older name of `reg:squarederror`",
    ),
    Hyperparameter("eval_metric", METRICS, description="metrics to report; by default the objective's own"),
    Hyperparameter(
        "_tuning_objective_metric",
        ObjectiveMetric(EVALUATED, METRICS),
        description="the metric that a tuning job optimizes; set by tuning jobs",
    ),
    Hyperparameter(
        "early_stopping_rounds",
        COUNT,
        description="training ends after so many rounds in which the metric of channel `validation` did not improve",
    ),
    Hyperparameter("csv_weights", BIT, default="0", description="1: the second column of CSV holds instance weights"),
    Hyperparameter(
        "save_model_on_termination",
        Boolean(),
        default="true",
        description="a stopped job leaves the model trained so far (AWS's default: `false`)",
    ),
    Hyperparameter(
        "seed",
        Integer(low=-(2**31), high=2**31 - 1, low_open=True, high_open=True),
        default="0",
        description="of the random numbers",
    ),
    Hyperparameter("nthread", COUNT, description="threads; by default all processors of the task"),
    Hyperparameter("verbosity", Integer(low=0, high=3), default="1", description="of XGBoost's own messages"),
)
_MODEL = (
    Hyperparameter(
        "booster",
        Categorical(("gbtree", "gblinear", "dart")),
        default="gbtree",
        description="trees, a linear model, or trees with dropout",
    ),
    Hyperparameter(
        "base_score",
        NON_NEGATIVE,
        description="the first prediction; by default estimated from the labels (AWS up to 1.7: 0.5)",
        tunable=True,
        recommended=TuningRange(0.1, 0.5),
    ),
    Hyperparameter(
        "eta",
        UNIT,
        default="0.3",
        description="step size shrinkage",
        tunable=True,
        recommended=TuningRange(0.1, 0.5),
        aliases=("learning_rate",),
    ),
    Hyperparameter(
        "gamma",
        NON_NEGATIVE,
        default="0",
        description="loss reduction that a split must bring",
        tunable=True,
        recommended=TuningRange(0, 5),
        aliases=("min_split_loss",),
    ),
    Hyperparameter(
        "lambda",
        NON_NEGATIVE,
        default="1",
        description="L2 regularization of weights",
        tunable=True,
        recommended=TuningRange(0, 1000),
        aliases=("reg_lambda",),
    ),
    Hyperparameter(
        "alpha",
        NON_NEGATIVE,
        default="0",
        description="L1 regularization of weights",
        tunable=True,
        recommended=TuningRange(0, 1000),
        aliases=("reg_alpha",),
    ),
    Hyperparameter(
        "max_depth",
        NON_NEGATIVE_INTEGER,
        default="6",
        description="of a tree; 0: no limit",
        tunable=True,
        recommended=TuningRange(0, 10),
    ),
    Hyperparameter("max_leaves", NON_NEGATIVE_INTEGER, default="0", description="of a tree; 0: no limit"),
    Hyperparameter("max_bin", NON_NEGATIVE_INTEGER, default="256", description="bins per feature of `hist`"),
    Hyperparameter(
        "max_delta_step",
        NON_NEGATIVE,
        default="0",
        description="largest weight of a leaf; 0: no limit",
        tunable=True,
        recommended=TuningRange(0, 10),
    ),
    Hyperparameter(
        "min_child_weight",
        NON_NEGATIVE,
        default="1",
        description="least sum of instance weights (hessian) in a child",
        tunable=True,
        recommended=TuningRange(0, 120),
    ),
    Hyperparameter("num_parallel_tree", COUNT, default="1", description="trees per round"),
    Hyperparameter(
        "scale_pos_weight",
        Continuous(low=0, low_open=True),
        default="1",
        description="weight of the positive class",
    ),
    Hyperparameter(
        "subsample",
        SHARE,
        default="1",
        description="share of the rows for each tree",
        tunable=True,
        recommended=TuningRange(0.5, 1),
    ),
    Hyperparameter(
        "sampling_method",
        Categorical(("uniform", "gradient_based")),
        default="uniform",
        description="how `subsample` chooses rows",
    ),
    Hyperparameter(
        "colsample_bytree",
        SHARE,
        default="1",
        description="share of the features for each tree",
        tunable=True,
        recommended=TuningRange(0.5, 1),
    ),
    Hyperparameter(
        "colsample_bylevel",
        SHARE,
        default="1",
        description="share of the features for each level of a tree",
        tunable=True,
        recommended=TuningRange(0.1, 1),
    ),
    Hyperparameter(
        "colsample_bynode",
        SHARE,
        default="1",
        description="share of the features for each split",
        tunable=True,
        recommended=TuningRange(0.1, 1),
    ),
    Hyperparameter(
        "tree_method",
        Categorical(("auto", "exact", "approx", "hist", "gpu_hist")),
        default="auto",
        description="`gpu_hist` needs a GPU",
    ),
    Hyperparameter(
        "grow_policy",
        Categorical(("depthwise", "lossguide")),
        default="depthwise",
        description="split nearest to the root first, or where the loss falls most",
    ),
    Hyperparameter(
        "updater",
        CategoryList((*TREE_UPDATERS, *LINEAR_UPDATERS, *REMOVED_UPDATERS)),
        description="by default the tree method's; for `gblinear` one of `shotgun`, `coord_descent`; "
        "`distcol`, `grow_local_histmaker` and `grow_skmaker` are refused, since XGBoost has removed them",
    ),
    Hyperparameter("refresh_leaf", BIT, default="1", description="1: updater `refresh` updates leaves, too"),
    Hyperparameter(
        "process_type",
        Categorical(("default", "update")),
        default="default",
        description="train new trees, or update those of a checkpoint",
    ),
    Hyperparameter(
        "monotone_constraints", IntegerList(Interval(low=-1, high=1)), description="one per feature: `(1, 0, -1)`"
    ),
    Hyperparameter(
        "interaction_constraints",
        IntegerList(Interval(low=0), nested=True),
        description="groups of features that may interact",
    ),
    Hyperparameter("sample_type", Categorical(("uniform", "weighted")), default="uniform", description="of `dart`"),
    Hyperparameter("normalize_type", Categorical(("tree", "forest")), default="tree", description="of `dart`"),
    Hyperparameter("rate_drop", UNIT, default="0", description="of `dart`: share of the trees to drop"),
    Hyperparameter("one_drop", BIT, default="0", description="of `dart`: 1: at least one tree is dropped"),
    Hyperparameter("skip_drop", UNIT, default="0", description="of `dart`: probability of dropping none"),
    Hyperparameter(
        "tweedie_variance_power",
        Continuous(low=1, high=2, low_open=True, high_open=True),
        default="1.5",
        description="of `reg:tweedie`",
    ),
    Hyperparameter(
        "aft_loss_distribution",
        Categorical(("normal", "logistic", "extreme")),
        default="normal",
        description="of `survival:aft`",
    ),
    Hyperparameter("aft_loss_distribution_scale", NON_NEGATIVE, default="1", description="of `survival:aft`"),
)
_WITHOUT_EFFECT = (
    Hyperparameter("silent", BIT, without_effect=True),
    Hyperparameter("lambda_bias", UNIT, without_effect=True),
    Hyperparameter("sketch_eps", Continuous(low=0, high=1, low_open=True, high_open=True), without_effect=True),
    Hyperparameter("dsplit", Categorical(("row", "col")), without_effect=True),
    Hyperparameter("predictor", Categorical(("auto", "cpu_predictor", "gpu_predictor")), without_effect=True),
    Hyperparameter("single_precision_histogram", Boolean(), without_effect=True),
    Hyperparameter("deterministic_histogram", Boolean(), without_effect=True),
    Hyperparameter("prob_buffer_row", Continuous(low=1, low_open=True), without_effect=True),
    Hyperparameter("use_dask_gpu_training", Boolean(), without_effect=True),
)


def _regex(channel: str, metric: str) -> str:
    """Of `[0]<TAB>train-auc:0.98765<TAB>validation-auc:0.91234`."""
    parameter = "(?:@[^:]+)?" if metric in PARAMETRIZED else ""
    return rf".*\[[0-9]+\].*#011{channel}-{re.escape(metric)}{parameter}:{NUMBER}.*"


_TRAINING_TYPES = (
    "text/libsvm",  # what AWS's image reads where the channel names no content type
    "text/x-libsvm",
    "libsvm",
    "text/csv",
    "csv",
    "application/x-parquet",
    "parquet",
    "application/x-recordio-protobuf",
    "recordio-protobuf",
)

ALGORITHM = Algorithm(
    name="xgboost",
    module="clary.tasks.xgboost",
    library="xgboost",
    package="xgboost",
    variants=("xgboost-cpu",),
    repositories=("sagemaker-xgboost", "xgboost"),
    own_repositories=("clary/xgboost",),
    versions=Versions(
        pins={
            "0.72": "0.72.1",
            "0.90": "0.90",
            "1.0": "1.0.2",
            "1.2": "1.2.1",
            "1.3": "1.3.3",
            "1.5": "1.5.2",
            "1.7": "1.7.6",
            "2.0": "2.0.3",
            "2.1": "2.1.4",
        },
        tags={"1": "0.72", "latest": "0.72"},
        build_is_patch=3,
        numpy_2=(2, 1),
        packages=("scikit-learn",),
    ),
    channels=(Channel("train", _TRAINING_TYPES, required=True), Channel("validation", _TRAINING_TYPES)),
    hyperparameters=(*_TRAINING, *_MODEL, *_WITHOUT_EFFECT),
    metrics=tuple(
        Metric(f"{channel}:{metric}", _regex(channel, metric), "Maximize" if metric in MAXIMIZED else "Minimize")
        for channel in EVALUATED
        for metric in METRICS.metrics
    ),
    serving="clary.tasks.xgboost.serving",
    content_types=_TRAINING_TYPES,
    response_types=("application/json", "application/jsonlines", "application/x-recordio-protobuf", "text/csv"),
    distributed=True,
)
