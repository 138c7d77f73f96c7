"""Models as callers see them: which are refused, and how."""

from __future__ import annotations

import pytest

from tests.context import IMAGE, ROLE, EmptyObjectStore, FailingObjectStore, a_model
from tests.unit.client import Client, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    yield client
    client.close()


def test_a_model_name_that_is_taken(server):
    server.create_model(**a_model("M"))
    code, message = refusal(server.create_model, **a_model("M"))
    assert code == "ValidationException"
    # The SDKs look for either phrase.
    assert f'Cannot create already existing model "{ARN}:model/m".' in message
    assert "already exists" in message


@pytest.mark.parametrize("verb", ["describe_model", "delete_model"])
def test_a_model_that_is_not_there(server, verb):
    assert refusal(getattr(server, verb), ModelName="No") == (
        "ValidationException",
        f'Could not find model "{ARN}:model/no".',
    )


CONTAINER = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}


SOURCE = {"S3DataSource": {"S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}}


BAD_MODELS = {
    "no container": ({"PrimaryContainer": None}, "Neither PrimaryContainer nor Containers is given"),
    "both forms": ({"Containers": [CONTAINER]}, "Both PrimaryContainer and Containers are given"),
    "no image": ({"PrimaryContainer": {"ModelDataUrl": "s3://b/m"}}, "PrimaryContainer.Image is missing"),
    "data twice": (
        {"PrimaryContainer": {**CONTAINER, "ModelDataSource": SOURCE}},
        "Both ModelDataUrl and ModelDataSource are given",
    ),
    "data that is not in S3": (
        {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "https://example.com/m"}},
        "ModelDataUrl = 'https://example.com/m' is not an S3 URI",
    ),
    "no image in a pipeline": (
        {"PrimaryContainer": None, "Containers": [CONTAINER, {"ModelDataUrl": "s3://b/m"}]},
        "Containers[1].Image is missing",
    ),
    "data twice in a pipeline": (
        {"PrimaryContainer": None, "Containers": [{**CONTAINER, "ModelDataSource": SOURCE}, CONTAINER]},
        "Both ModelDataUrl and ModelDataSource are given in Containers[0]",
    ),
    "a name for one of two": (
        {"PrimaryContainer": None, "Containers": [{**CONTAINER, "ContainerHostname": "a"}, CONTAINER]},
        "ContainerHostname is given for some containers",
    ),
    "one name twice": (
        {"PrimaryContainer": None, "Containers": [{**CONTAINER, "ContainerHostname": "a"}] * 2},
        "ContainerHostname 'a' is given twice",
    ),
    "data of the second that is not in S3": (
        {"PrimaryContainer": None, "Containers": [CONTAINER, {"Image": IMAGE, "ModelDataUrl": "https://e.com/m"}]},
        "ModelDataUrl = 'https://e.com/m' is not an S3 URI",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "text"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_contradictory_model_is_refused(server, members, text):
    request = {key: value for key, value in a_model("m", **members).items() if value is not None}
    code, message = refusal(server.create_model, **request)
    assert code == "ValidationException"
    assert text in message
    assert server.list_models() == {"Models": []}


def test_a_models_name_is_free_again_when_it_is_deleted(server):
    server.create_model(**a_model("m"))
    assert server.delete_model(ModelName="m") == {}
    server.create_model(**a_model("m"))


def test_a_list_of_one_container_is_a_model_too(server):
    server.create_model(ModelName="m", Containers=[CONTAINER])
    assert server.describe_model(ModelName="m")["Containers"] == [CONTAINER]


def test_model_data_that_is_not_there_is_refused_at_the_call(server):
    server.use(object_store=EmptyObjectStore())
    assert refusal(server.create_model, **a_model("m")) == (
        "ValidationException",
        "Could not find model data at s3://bucket/model.tar.gz.",
    )
    assert server.list_models() == {"Models": []}


def test_an_s3_that_does_not_answer_is_named_in_the_refusal(server):
    server.use(object_store=FailingObjectStore())
    _, message = refusal(server.create_model, **a_model("m"))
    assert message.startswith("Could not access model data at s3://bucket/model.tar.gz. Please ensure that the role")


def test_an_image_that_cannot_be_run_is_refused_at_the_call(server):
    server.use(image_problem=lambda uri: "no engine")
    assert refusal(server.create_model, **a_model("m")) == (
        "ValidationException",
        f"The image '{IMAGE}' cannot be used with the role {ROLE}: no engine",
    )


def test_lenient_accepts_a_model_whose_image_and_data_do_not_exist(tmp_path):
    server = Client(tmp_path, validation="lenient")
    server.use(image_problem=lambda uri: "no engine", object_store=EmptyObjectStore())
    server.create_model(**a_model("m"))
    assert len(server.list_models()["Models"]) == 1
    server.close()
