"""`train` or `serve`, as AWS's image is started. Heavy modules are imported where they are used."""

from __future__ import annotations

from clary.tasks.algorithm import program


def train() -> int:
    from clary.tasks.script import training

    return training.train("sagemaker_sklearn_container.training:main")


def serve() -> None:
    from clary.tasks.scikit_learn import serving

    serving.serve()


if __name__ == "__main__":
    program.main(train, serve)
