"""`train` or `serve`, as AWS's image is started."""

from __future__ import annotations

import sys

from clary.tasks import hyperparameters

USAGE = "usage: python -m clary.tasks.xgboost train|serve"


def main(arguments: list[str]) -> int:
    match arguments:
        case ["train"]:
            return train()
        case ["serve"]:
            from clary.tasks.xgboost.serving import serve

            serve()
            return 0
    print(USAGE, file=sys.stderr)
    return 2


def train() -> int:
    """The exit code. A job that names a script gets script mode, any other the algorithm."""
    from clary.tasks.failure import report

    try:
        texts = hyperparameters.read()
        if "sagemaker_program" in texts:
            from clary.tasks import script

            return script.train("sagemaker_xgboost_container.training:main")
        from clary.tasks.xgboost.training import run

        run(texts)
    except Exception as error:
        report(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
