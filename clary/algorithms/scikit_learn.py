"""scikit-learn: the image of AWS's framework container, which runs the user's scripts.

Reference: "Use scikit-learn with the SageMaker Python SDK".
"""

from clary.algorithms.manifest import Algorithm, Versions

ALGORITHM = Algorithm(
    name="scikit-learn",
    module="clary.tasks.scikit_learn",
    library="sklearn",
    package="scikit-learn",
    repositories=("sagemaker-scikit-learn",),
    own_repositories=("clary/scikit-learn",),
    versions=Versions(
        pins={"0.20": "0.20.4", "0.23": "0.23.2", "1.0": "1.0.2", "1.2": "1.2.2", "1.4": "1.4.2"},
        numpy_2=(1, 5),
    ),
    content_types=("text/csv", "application/json", "application/x-npy", "application/x-npz"),
    response_types=("application/json", "text/csv", "application/x-npy"),
)
