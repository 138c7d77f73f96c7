"""Tags: added, listed and deleted on every kind of resource alike."""

from __future__ import annotations

import pytest

from tests.context import a_config, a_model, a_training_job
from tests.unit.client import Client, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def many(count: int, start: int = 0) -> list[dict[str, str]]:
    return tags(**{f"k{number:03}": "v" for number in range(start, start + count)})


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    client.create_model(**a_model("M-1", Tags=tags(b="2", a="1")))
    yield client
    client.close()


def test_tags_of_the_create_request_are_kept(server):
    assert server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"] == tags(a="1", b="2")


def test_adding_appends_overwrites_and_returns_all_tags(server):
    answer = server.add_tags(ResourceArn=f"{ARN}:model/m-1", Tags=tags(b="3", c=""))
    assert answer["Tags"] == tags(a="1", b="3", c="") == server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"]


def test_deleting_removes_keys_that_exist_and_ignores_others(server):
    server.delete_tags(ResourceArn=f"{ARN}:model/m-1", TagKeys=["a", "nothing"])
    assert server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"] == tags(b="2")


@pytest.mark.parametrize("kind", ["training-job", "model", "endpoint-config", "endpoint"])
def test_every_kind_has_them_from_its_create_on(server, kind):
    server.create_model(**a_model("m"))
    match kind:
        case "training-job":
            server.create_training_job(**a_training_job("x", Tags=tags(k="v")))
        case "model":
            server.create_model(**a_model("x", Tags=tags(k="v")))
        case "endpoint-config":
            server.create_endpoint_config(**a_config("x", "m"), Tags=tags(k="v"))
        case "endpoint":
            server.create_endpoint_config(**a_config("x", "m"))
            server.create_endpoint(EndpointName="x", EndpointConfigName="x", Tags=tags(k="v"))
    assert server.list_tags(ResourceArn=f"{ARN}:{kind}/x")["Tags"] == tags(k="v")


def test_arns_are_looked_up_whatever_their_case(server):
    assert server.list_tags(ResourceArn=f"{ARN}:model/M-1")["Tags"]


def test_tags_change_nothing_that_describe_returns(server):
    server.create_training_job(**a_training_job("j"))
    before = server.describe_training_job(TrainingJobName="j")
    server.clock.advance(60)
    server.add_tags(ResourceArn=before["TrainingJobArn"], Tags=tags(a="1"))
    assert server.describe_training_job(TrainingJobName="j") == before


def test_a_new_resource_under_an_old_name_has_none_of_the_old_tags(server):
    server.delete_model(ModelName="M-1")
    server.create_model(**a_model("M-1"))
    assert server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"] == []


# ---- limits ----


def test_fifty_fit_and_no_more(server):
    server.add_tags(ResourceArn=f"{ARN}:model/m-1", Tags=many(48))
    code, message = refusal(server.add_tags, ResourceArn=f"{ARN}:model/m-1", Tags=tags(one_more=""))
    assert (code, message) == ("ValidationException", "The resource would have 51 tags: at most 50 are allowed.")
    server.add_tags(ResourceArn=f"{ARN}:model/m-1", Tags=tags(a="overwritten"))
    assert len(server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"]) == 50


@pytest.mark.parametrize(
    ("tags_given", "text"),
    [
        (tags(**{"aws:owner": "x"}), "keys that begin with aws: are reserved"),
        (tags(**{"AWS:Owner": "x"}), "keys that begin with aws: are reserved"),
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "Duplicate tag key 'a'"),
        (many(51), "length less than or equal to 50"),
        (tags(**{"": "x"}), "length greater than or equal to 1"),
        (tags(**{"k" * 129: "x"}), "length less than or equal to 128"),
        (tags(k="v" * 257), "length less than or equal to 256"),
        (tags(k="no;semicolons"), "regular expression pattern"),
        ([{"Key": "a"}], "'tags.1.member.value'"),
    ],
    ids=["aws", "AWS", "double", "51", "empty key", "long key", "long value", "pattern", "no value"],
)
def test_tags_that_are_refused(server, tags_given, text):
    for refused in (
        refusal(server.add_tags, ResourceArn=f"{ARN}:model/m-1", Tags=tags_given),
        refusal(server.create_model, **a_model("other", Tags=tags_given)),
    ):
        assert refused[0] == "ValidationException"
        assert text in refused[1]
    assert [model["ModelName"] for model in server.list_models()["Models"]] == ["M-1"]
    assert server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"] == tags(a="1", b="2")


@pytest.mark.parametrize("key", ["ключ", "a b", "a/b:c=d+e-f@g._", "k" * 128])
def test_tags_that_are_accepted(server, key):
    server.add_tags(ResourceArn=f"{ARN}:model/m-1", Tags=tags(**{key: "значение 1"}))
    assert tags(**{key: "значение 1"})[0] in server.list_tags(ResourceArn=f"{ARN}:model/m-1")["Tags"]


@pytest.mark.parametrize(
    "arn",
    [
        f"{ARN}:model/other",
        f"{ARN}:model/",
        f"{ARN}:model/m-1/x",
        f"{ARN}:thing/m-1",
        f"{ARN}:pipeline/m-1",
        "arn:aws:sagemaker:us-east-1:111111111111:model/m-1",
        "arn:aws:sagemaker:eu-west-1:000000000000:model/m-1",
        "arn:aws-cn:sagemaker:us-east-1:000000000000:model/m-1",
        f"{ARN}:model/../m-1",
    ],
)
def test_an_arn_of_nothing_here_is_refused_by_name(server, arn):
    for refused in (
        refusal(server.list_tags, ResourceArn=arn),
        refusal(server.add_tags, ResourceArn=arn, Tags=tags(a="1")),
        refusal(server.delete_tags, ResourceArn=arn, TagKeys=["a"]),
    ):
        assert refused[0] == "ValidationException"
        assert repr(arn) in refused[1]


# ---- pages ----


def test_pages_of_fewer_than_fifty_are_refused_and_fifty_are_one_page(server):
    server.add_tags(ResourceArn=f"{ARN}:model/m-1", Tags=many(48))
    page = server.list_tags(ResourceArn=f"{ARN}:model/m-1", MaxResults=50)
    assert len(page["Tags"]) == 50
    assert "NextToken" not in page
    code, message = refusal(server.list_tags, ResourceArn=f"{ARN}:model/m-1", MaxResults=49)
    assert code == "ValidationException"
    assert "'maxResults'" in message


@pytest.mark.parametrize("token", ["x", "-1", "51", "1e3", "9" * 5000, "0x1"])
def test_a_token_that_nobody_gave_out_is_refused(server, token):
    code, message = refusal(server.list_tags, ResourceArn=f"{ARN}:model/m-1", NextToken=token)
    assert (code, message.split(":")[0]) == ("ValidationException", "NextToken is invalid")
