"""`train` or `serve`, as AWS's image is started. Heavy modules are imported where they are used."""

from __future__ import annotations

from collections.abc import Mapping

from clary.tasks.algorithm import program


def train() -> int:
    return program.train(_algorithm, "sagemaker_xgboost_container.training:main")


def _algorithm(hyperparameters: Mapping[str, str]) -> None:
    from clary.tasks.xgboost.training import run

    run(hyperparameters)


def serve() -> None:
    from clary.tasks.xgboost import serving

    serving.serve()


if __name__ == "__main__":
    program.main(train, serve)
