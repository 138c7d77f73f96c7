"""`python -m clary.tasks.recipe_job`: a processing job; with the argument `serve`, a model server of an endpoint."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        from clary.tasks.recipe.serving import serve

        serve()
    else:
        from clary.tasks.recipe_job.job import main

        sys.exit(main())
