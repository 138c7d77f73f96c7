"""A manifest that is no algorithm's: what is shared must work for any."""

from __future__ import annotations

from clary.algorithms.domains import Boolean, Categorical, CategoryList, Continuous, Integer, MetricList
from clary.algorithms.manifest import Algorithm, Channel, Hyperparameter

CONTENT_TYPES = ("application/x-recordio-protobuf", "text/csv")

ALGORITHM = Algorithm(
    name="example",
    module="none",
    library="none",
    package="none",
    channels=(Channel("train", CONTENT_TYPES, required=True), Channel("test", CONTENT_TYPES)),
    hyperparameters=(
        Hyperparameter("k", Integer(low=2), required=True),
        Hyperparameter("rate", Continuous(low=0, high=1, low_open=True), aliases=("learning_rate",)),
        Hyperparameter("init", Categorical(("random", "kmeans++"))),
        Hyperparameter("normalize", Boolean()),
        Hyperparameter("columns", CategoryList(("a", "b"))),
        Hyperparameter("eval_metrics", MetricList(("msd", "ssd"))),
    ),
)
