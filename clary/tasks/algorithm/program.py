"""The command line of a program, as AWS's images are started: `train` or `serve`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from clary.tasks import configuration, failure


def main(train: Callable[[], int], serve: Callable[[], None]) -> None:
    """Does not return. `train` gives the exit code; `serve` returns at SIGTERM."""
    match sys.argv[1:]:
        case ["train"]:
            sys.exit(train())
        case ["serve"]:
            serve()
            sys.exit(0)
        case arguments:
            print(f"usage: train|serve; give train or serve, not {' '.join(arguments)!r}.", file=sys.stderr)
            sys.exit(2)


def train(algorithm: Callable[[Mapping[str, str]], None], framework_module: str) -> int:
    """The exit code of a training job. One that names a script gets script mode, any other the algorithm.

    algorithm         trains with these hyperparameters; what it raises becomes FailureReason
    framework_module  what AWS's toolkit names in SM_FRAMEWORK_MODULE
    """
    try:
        hyperparameters = configuration.hyperparameters()
        if "sagemaker_program" in hyperparameters:
            from clary.tasks.script import training

            return training.train(framework_module)
        algorithm(hyperparameters)
    except Exception as error:
        failure.report(error)
        return 1
    return 0
