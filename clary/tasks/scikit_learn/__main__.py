"""Heavy things are imported where they are used: a script should start at once."""

from __future__ import annotations

import sys


def main() -> None:
    match sys.argv[1:]:
        case ["train"]:
            from clary.tasks import script

            script.main("sagemaker_sklearn_container.training:main")
        case ["serve"]:
            from clary.tasks.scikit_learn import serving

            serving.main()
        case given:
            sys.exit(f"give train or serve, not {' '.join(given)!r}.")


main()
