"""Answers requests: a model and the rows of a request in, predictions out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.algorithms.xgboost import ALGORITHM
from clary.formats.decoding import Format
from clary.formats.media_types import CSV, preferred
from clary.formats.table import Table, widen
from clary.tasks.algorithm.artifacts import ModelError
from clary.tasks.algorithm.requests import read_rows
from clary.tasks.host.handlers import Handlers, RequestError
from clary.tasks.host.options import execution_parameters, flag
from clary.tasks.xgboost import model
from clary.tasks.xgboost.library import reason, xgboost
from clary.tasks.xgboost.responses import encode, encode_selected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# These predict a class, so that an ensemble votes.
VOTING = ("multi:softmax", "binary:hinge")


def serve() -> None:
    """Until SIGTERM. Where the environment names a script, it answers in place of the algorithm."""
    from clary.tasks.host import server

    if os.environ.get("SAGEMAKER_PROGRAM"):
        from clary.tasks.xgboost import script_serving

        script_serving.serve()
    else:
        server.serve(BoosterHandlers())


@dataclass(frozen=True, slots=True)
class Model:
    """boosters   a single one, or an ensemble, each with the rounds to use of it: (0, 0) for all
    columns       how many features a row has
    linear        XGBoost cannot predict "in place" with a linear model
    num_class     of a multi: objective
    """

    boosters: tuple[tuple[Any, tuple[int, int]], ...]
    columns: int
    objective: str
    num_class: int
    linear: bool


@dataclass(frozen=True, slots=True)
class Options:
    """batch   SAGEMAKER_BATCH: the requests are those of a batch transform job
    selected   SAGEMAKER_INFERENCE_OUTPUT: the keys of each prediction; empty: the score alone
    accept     SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: for requests without an Accept header
    ensemble   SAGEMAKER_INFERENCE_ENSEMBLE: all model files are used, not the first alone
    """

    batch: bool = False
    selected: tuple[str, ...] = ()
    accept: str = CSV
    ensemble: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Options:
        selected = environment.get("SAGEMAKER_INFERENCE_OUTPUT", "").replace(" ", "").lower()
        return cls(
            batch=flag(environment, "SAGEMAKER_BATCH"),
            selected=tuple(key for key in selected.split(",") if key),
            accept=environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or CSV,
            ensemble=environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true").lower() == "true",
        )


def handlers(environment: Mapping[str, str]) -> Handlers:
    """Raises ValueError naming the variable."""
    return BoosterHandlers(Options.from_environment(environment))


class BoosterHandlers:
    """The handlers of a model host."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options.from_environment(os.environ)

    def load(self, model_dir: Path) -> Model:
        """Raises ModelError."""
        files = model.files(model_dir, self.options.ensemble)
        if not files:
            raise ModelError(f"There is no model in {model_dir}: a file {model.NAME} is expected.")
        boosters = tuple(model.load(file) for file in files)
        for booster in boosters:
            booster.set_param({"nthread": 1})  # requests run beside each other
        learner = json.loads(boosters[0].save_config())["learner"]
        linear = learner["gradient_booster"]["name"] == "gblinear"
        return Model(
            boosters=tuple((booster, (0, 0) if linear else _rounds(booster)) for booster in boosters),
            columns=boosters[0].num_features(),
            objective=learner["objective"]["name"],
            num_class=int(learner["learner_model_param"].get("num_class") or 0),
            linear=linear,
        )

    def transform(self, loaded: Model, body: bytes, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
        if not body:
            return b"", ""
        response_type = self._response_type(accept)
        predictions = predict(loaded, features(body, content_type, loaded))
        if self.options.selected:
            try:
                response = encode_selected(
                    predictions,
                    self.options.selected,
                    response_type,
                    self.options.batch,
                    loaded.objective,
                    loaded.num_class,
                )
            except ValueError as error:
                raise RequestError(400, str(error)) from None
        else:
            response = encode(predictions, response_type, self.options.batch)
        return response, f"{CSV}; charset=utf-8" if response_type == CSV else response_type

    def execution_parameters(self) -> Mapping[str, Any]:
        return execution_parameters(os.environ)

    def _response_type(self, accept: str | None) -> str:
        if found := preferred(accept, ALGORITHM.response_types, self.options.accept):
            return found
        supported = ", ".join(ALGORITHM.response_types)
        raise RequestError(
            406, f"Accept type {accept} is not supported. Please use supported accept types: {supported}."
        )


def features(body: bytes, content_type: str | None, loaded: Model) -> Any:
    """The features of the body's rows, as many columns as the model has. Raises RequestError (415, 400)."""
    table, kind = read_rows(body, content_type)
    return _checked_features(table, kind, loaded.columns)


def predict(loaded: Model, features: Any) -> NDArray[np.float32]:
    """(rows,), or (rows, classes). Of an ensemble the mean, or the class with the most votes."""
    import numpy as np

    try:
        predictions = [_predict(booster, rounds, features, loaded.linear) for booster, rounds in loaded.boosters]
    except (xgboost().core.XGBoostError, ValueError) as error:
        raise RequestError(400, f"Unable to evaluate payload provided: {reason(error)}") from error
    if len(predictions) == 1:
        return predictions[0]
    stacked = np.stack(predictions)
    if loaded.objective not in VOTING:
        return np.asarray(stacked.mean(axis=0), dtype=np.float32)
    votes = [np.bincount(column).argmax() for column in stacked.astype(np.int64).T]
    return np.array(votes, dtype=np.float32)


def _rounds(booster: Any) -> tuple[int, int]:
    """A model trained with early stopping outside of SageMaker may have rounds beyond its best one."""
    best = booster.attr("best_iteration")
    return (0, min(int(best) + 1, booster.num_boosted_rounds())) if best is not None else (0, 0)


def _predict(booster: Any, rounds: tuple[int, int], features: Any, linear: bool) -> NDArray[np.float32]:
    predictions: NDArray[np.float32]
    if linear:
        predictions = booster.predict(xgboost().DMatrix(features, nthread=1), validate_features=False)
    else:
        predictions = booster.inplace_predict(features, iteration_range=rounds, validate_features=False)
    return predictions


def _checked_features(table: Table, kind: Format, columns: int) -> Any:
    if table.sparse:
        if table.columns > columns:
            raise RequestError(
                400,
                f"Unable to evaluate payload provided: Feature size of {kind} inference data {table.columns} is larger "
                f"than feature size of trained model {columns}.",
            )
        return widen(table.features, columns)
    if table.columns != columns:
        raise RequestError(
            400,
            f"Unable to evaluate payload provided: Feature size of {kind} inference data {table.columns} is not "
            f"consistent with feature size of trained model {columns}.",
        )
    return table.features
