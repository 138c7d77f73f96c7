"""Clary's own image `clary/data`: profiles and recipes as processing jobs, fitted recipes as endpoints."""

from clary.algorithms.manifest import Algorithm

ALGORITHM = Algorithm(
    name="data",
    module="clary.tasks.recipe_job",
    library="pyarrow",
    package="pyarrow",
    own_repositories=("clary/data",),
    any_registry=True,  # pipelines put a registry before every image's name
    serving="clary.tasks.recipe.serving",
    content_types=(
        "text/csv",
        "application/json",
        "application/jsonlines",
        "application/x-jsonlines",
        "application/jsonl",
    ),
    response_types=(
        "text/csv",
        "application/json",
        "application/jsonlines",
        "application/x-jsonlines",
        "application/jsonl",
        "application/x-recordio-protobuf",
    ),
)
