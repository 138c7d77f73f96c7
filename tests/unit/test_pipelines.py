"""Models of several containers: what is kept of them, what an endpoint's replicas run, and where requests go."""

from __future__ import annotations

import json

import pytest

from clary.core.settings import Settings
from clary.core.tasks import Input, Phase, Serve
from clary.resources.endpoints import pipelines
from clary.resources.endpoints.state import Container
from tests.context import IMAGE, ROLE, a_config
from tests.unit.client import Client

SCIKIT_LEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
RECIPE = {"Image": "clary/data", "ModelDataUrl": "s3://bucket/recipe.tar.gz", "Environment": {"CLARY_CSV_HEADER": "1"}}
MODEL = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz", "Environment": {"A": "b"}}
SCRIPT = {
    "Image": SCIKIT_LEARN,
    "ModelDataUrl": "s3://bucket/script.tar.gz",
    "Environment": {"SAGEMAKER_PROGRAM": "i.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/code.tar.gz"},
}


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    yield client
    client.close()


def deploy(server, *containers, **model):
    server.create_model(ModelName="m", ExecutionRoleArn=ROLE, Containers=list(containers), **model)
    server.create_endpoint_config(**a_config("c", "m"))
    server.create_endpoint(EndpointName="e", EndpointConfigName="c")
    server.settle()
    (task_id,) = server.tasks("e")
    return server.backend.tasks[task_id]


def test_a_pipeline_is_described_as_it_was_created(server):
    server.create_model(
        ModelName="m", ExecutionRoleArn=ROLE, Containers=[RECIPE, MODEL], InferenceExecutionConfig={"Mode": "Serial"}
    )
    model = server.describe_model(ModelName="m")
    assert model["Containers"] == [RECIPE, MODEL]
    assert model["InferenceExecutionConfig"] == {"Mode": "Serial"}


def test_programs_of_clarys_own_are_one_program(server):
    task = deploy(server, RECIPE, MODEL)
    assert (task.hosts, task.pipeline) == (("algo-1",), {})
    assert task.entrypoint == ("python", "-m", "clary.tasks.pipeline")
    assert json.loads(task.files["input/config/pipeline.json"]) == [
        {
            "name": "container-1",
            "program": "data",
            "environment": RECIPE["Environment"],
            "model": "pipeline/container-1/model",
        },
        {"name": "container-2", "program": "xgboost", "environment": {"A": "b"}, "model": "pipeline/container-2/model"},
    ]
    assert task.environment == {"A": "b"}
    assert task.inputs == (
        Input("archive", "s3://bucket/recipe.tar.gz", "pipeline/container-1/model", writable=False),
        Input("archive", "s3://bucket/model.tar.gz", "pipeline/container-2/model", writable=False),
    )
    assert task.serve == Serve(startup_timeout_s=240)


def test_other_containers_are_hosts_of_one_task(server):
    task = deploy(server, RECIPE | {"ContainerHostname": "prepare"}, SCRIPT | {"ContainerHostname": "predict"})
    assert task.hosts == ("prepare", "predict")
    assert task.entrypoint == ()
    assert task.log_stream.endswith("/{host}")
    first, second = task.for_host("prepare"), task.for_host("predict")
    assert (first.image, second.image) == ("clary/data", SCIKIT_LEARN)
    assert first.environment == RECIPE["Environment"]
    assert second.environment["CLARY_STAGED_CODE"] == "s3://bucket/code.tar.gz"
    assert first.inputs == (Input("archive", "s3://bucket/recipe.tar.gz", "model", writable=False),)
    assert second.inputs == (
        Input("archive", "s3://bucket/script.tar.gz", "model", writable=False),
        Input("archive", "s3://bucket/code.tar.gz", "code"),
    )


def test_the_route_leads_through_all_containers(server):
    deploy(server, RECIPE, SCRIPT)
    server.move("e", Phase.READY, address="http://127.0.0.1:1", pipeline_addresses=("http://127.0.0.1:2",))
    assert server.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"
    route = json.loads((server.server.folder / "routes" / "e.json").read_text())
    (replica,) = route["variants"][0]["replicas"]
    assert replica["address"] == "http://127.0.0.1:1"
    assert (replica["pipeline"], replica["further"]) == (["container-1", "container-2"], ["http://127.0.0.1:2"])
    images = server.describe_endpoint(EndpointName="e")["ProductionVariants"][0]["DeployedImages"]
    assert [image["SpecifiedImage"] for image in images] == ["clary/data", SCIKIT_LEARN]


def test_one_container_in_a_list_is_served_as_a_primary_one(server):
    task = deploy(server, MODEL)
    assert (task.hosts, task.pipeline, task.entrypoint) == (("algo-1",), {}, ())
    assert (task.image, task.environment) == (IMAGE, {"A": "b"})


def container(image, **environment):
    return Container("container-1", image, environment)


@pytest.mark.parametrize(
    ("containers", "settings", "expected"),
    [
        ([container("clary/data"), container(IMAGE)], {}, True),
        ([container("clary/data"), container("clary/data")], {}, True),
        ([container("clary/data"), container(IMAGE, SAGEMAKER_PROGRAM="i.py")], {}, False),
        ([container("clary/data"), container(SCIKIT_LEARN, SAGEMAKER_PROGRAM="i.py")], {}, False),
        ([container("clary/data"), container("busybox")], {}, False),
        ([container("clary/data"), container(IMAGE)], {"runtime_versions": "exact"}, False),
        ([container("clary/data"), container("clary/xgboost")], {"runtime_versions": "exact"}, True),
        ([container("clary/data"), container(IMAGE)], {"backend": "oci"}, False),
    ],
)
def test_what_can_be_one_program(tmp_path, containers, settings, expected):
    assert pipelines.fusible(containers, Settings(home=tmp_path, **settings)) is expected
