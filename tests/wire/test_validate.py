import math
import time
from datetime import UTC, datetime

import pytest

from clary.core.errors import SerializationException, ValidationException
from clary.wire.rules import MAX_VIOLATIONS
from clary.wire.shapes import Services
from clary.wire.validate import Validator
from tests.wire.requests import GOOD, ROLE, with_value, without

SERVICE = Services().named("sagemaker")
VALIDATOR = Validator(SERVICE)


def read(operation, request):
    return VALIDATOR.request(SERVICE.operations[operation], request)


def violations(operation, request):
    with pytest.raises(ValidationException) as caught:
        read(operation, request)
    return caught.value.message


def type_error(operation, request):
    with pytest.raises(SerializationException) as caught:
        read(operation, request)
    return caught.value.message


@pytest.mark.parametrize("operation", sorted(set(GOOD) - {"ListTrainingJobs"}))
def test_a_good_request_comes_through_as_it_is(operation):
    assert read(operation, GOOD[operation]) == GOOD[operation]


def test_timestamps_arrive_aware_and_in_utc():
    noon = datetime(2024, 1, 31, 12, tzinfo=UTC)
    for given in (noon.timestamp(), int(noon.timestamp()), "2024-01-31T12:00:00Z", "2024-01-31T13:00:00+01:00",
                  "Wed, 31 Jan 2024 12:00:00 GMT"):  # fmt: skip
        assert read("ListTrainingJobs", {"CreationTimeAfter": given}) == {"CreationTimeAfter": noon}


def test_messages_have_awss_wording():
    assert violations("DescribeTrainingJob", {"TrainingJobName": "x_y"}) == (
        "1 validation error detected: Value 'x_y' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_all_violations_come_in_one_answer():
    request = with_value("CreateEndpointConfig", ("ProductionVariants", 0, "ModelName"), "ENTER MODEL NAME")
    request["ProductionVariants"][0]["InitialVariantWeight"] = -1
    request["ProductionVariants"].append({"VariantName": "b" * 64})
    message = violations("CreateEndpointConfig", request)
    assert message.startswith("4 validation errors detected: ")
    assert (
        "Value 'ENTER MODEL NAME' at 'productionVariants.1.member.modelName' failed to satisfy constraint: " in message
    )
    assert (
        "Value '-1.0' at 'productionVariants.1.member.initialVariantWeight' failed to satisfy constraint: "
        "Member must have value greater than or equal to 0; "
    ) in message
    assert (
        f"Value '{'b' * 64}' at 'productionVariants.2.member.variantName' failed to satisfy constraint: "
        "Member must have length less than or equal to 63"
    ) in message


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (without("CreateTrainingJob", ("RoleArn",)), "Value null at 'roleArn' failed to satisfy constraint: "
         "Member must not be null"),
        (with_value("CreateTrainingJob", ("RoleArn",), None), "Value null at 'roleArn'"),
        (with_value("CreateTrainingJob", ("Tags", 0), None), "Value null at 'tags.1.member'"),
        (with_value("CreateTrainingJob", ("HyperParameters", "k" * 257), "v"),
         "Map keys must satisfy constraint: [Member must have length less than or equal to 256, "),
        (with_value("CreateTrainingJob", ("HyperParameters", "a"), "v" * 2501),
         "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: "
         "[Member must have length less than or equal to 2500, "),
        (with_value("CreateTrainingJob", ("VpcConfig", "Subnets"), ["subnet-1", "a b"]),
         "Value '[subnet-1, a b]' at 'vpcConfig.subnets' failed to satisfy constraint: Member must satisfy constraint: "
         "[Member must have length less than or equal to 32, "
         "Member must satisfy regular expression pattern: [-0-9a-zA-Z]+]"),
        (with_value("CreateTrainingJob", ("VpcConfig", "Subnets"), ["s", None]), ", Member must not be null]"),
        (with_value("CreateTrainingJob", ("VpcConfig", "Subnets"), []),
         "Value '[]' at 'vpcConfig.subnets' failed to satisfy constraint: "
         "Member must have length greater than or equal to 1"),
        (with_value("CreateTrainingJob", ("InputDataConfig",), GOOD["CreateTrainingJob"]["InputDataConfig"] * 11),
         "Value at 'inputDataConfig' failed to satisfy constraint: Member must have length less than or equal to 20"),
        (with_value("CreateTrainingJob", ("AlgorithmSpecification", "TrainingInputMode"), "Fax"),
         "Value 'Fax' at 'algorithmSpecification.trainingInputMode' failed to satisfy constraint: "
         "Member must satisfy enum value set: [Pipe, File, FastFile]"),
        (with_value("CreateTrainingJob", ("StoppingCondition", "MaxRuntimeInSeconds"), 0),
         "Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: "
         "Member must have value greater than or equal to 1"),
    ],
)  # fmt: skip
def test_each_rule_is_named(request_, text):
    assert text in violations("CreateTrainingJob", request_)


def test_local_is_an_instance_type():
    for local in ("local", "local_gpu"):
        read("CreateTrainingJob", with_value("CreateTrainingJob", ("ResourceConfig", "InstanceType"), local))


def test_unknown_members_are_left_out_as_aws_does():
    request = {"TrainingJobName": "a", "Newer": {"Deep": [None]}}
    assert read("DescribeTrainingJob", request) == {"TrainingJobName": "a"}


def test_null_is_absent():
    assert read("ListModels", {"NameContains": None}) == {}


def union(value):
    return VALIDATOR.read("MetricSpecification", value)[1]


def test_a_union_has_exactly_one_member():
    predefined = {"Predefined": {"PredefinedMetricType": "x"}}
    assert union(predefined) == []
    for bad in ({}, {**predefined, "Customized": {"MetricName": "a"}}):
        assert "exactly one of its members set: [predefined, customized]" in union(bad)[-1]


def test_what_is_secret_is_not_shown():
    message = violations("CreateModelCard", {"ModelCardName": "a", "Content": "hush\n", "ModelCardStatus": "Draft"})
    assert "Value at 'content' failed to satisfy constraint" in message
    assert "hush" not in message


def test_long_values_are_cut_and_long_lists_shown_by_what_is_wrong_with_them():
    message = violations("DescribeTrainingJob", {"TrainingJobName": "_" * 100_000})
    assert len(message) < 2000
    subnets = [f"subnet-{i:020d}" for i in range(15)] + ["not this"]
    message = violations("CreateTrainingJob", with_value("CreateTrainingJob", ("VpcConfig", "Subnets"), subnets))
    assert "Value '[not this]' at 'vpcConfig.subnets'" in message


def test_a_flood_of_violations_ends_early():
    tags = [{"Key": "!" * 200, "Value": "!"}] * 10_000
    message = violations("AddTags", {"ResourceArn": "arn:aws:x", "Tags": tags})
    assert message.startswith(f"{MAX_VIOLATIONS} validation errors detected")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("TrainingJobName",), 5, "NUMBER_VALUE can not be converted to a String (at 'trainingJobName')"),
        (("TrainingJobName",), True, "TRUE_VALUE can not be converted to a String"),
        (("TrainingJobName",), {}, "Start of structure or map found where not expected (at 'trainingJobName')"),
        (("TrainingJobName",), ["a"], "Start of list found where not expected (at 'trainingJobName')"),
        (("TrainingJobName",), "a\x00", "Illegal character"),
        (("TrainingJobName",), "a\ud800", "Illegal character"),
        (("HyperParameters",), "a=b", "STRING_VALUE can not be converted to a Map (at 'hyperParameters')"),
        (("HyperParameters", "a"), 1, "NUMBER_VALUE can not be converted to a String (at 'hyperParameters.a')"),
        (("HyperParameters", "a\ud800"), "1", "Illegal character"),
        (("InputDataConfig",), {}, "expected a List"),
        (
            ("InputDataConfig", 0),
            "x",
            "STRING_VALUE can not be converted to a Structure (at 'inputDataConfig.1.member')",
        ),
        (("ResourceConfig", "InstanceCount"), "1", "STRING_VALUE can not be converted to an Integer"),
        (("ResourceConfig", "InstanceCount"), 1.5, "NUMBER_VALUE can not be converted to an Integer"),
        (("ResourceConfig", "InstanceCount"), True, "TRUE_VALUE can not be converted to an Integer"),
        (("ResourceConfig", "InstanceCount"), 2**31, "Numeric value out of range of an Integer"),
        (("ResourceConfig", "InstanceCount"), 10**400, "Numeric value out of range of an Integer"),
        (("EnableNetworkIsolation",), "true", "STRING_VALUE can not be converted to a Boolean"),
    ],
)
def test_another_json_type_is_a_serialization_exception(path, value, text):
    assert text in type_error("CreateTrainingJob", with_value("CreateTrainingJob", path, value))


@pytest.mark.parametrize("value", [1e300, -1e300, math.inf, math.nan, 10**400, "yesterday", "", [], True, "2024-13-01"])
def test_a_malformed_timestamp_is_refused(value):
    type_error("ListTrainingJobs", {"CreationTimeAfter": value})


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, 1e999])
def test_a_malformed_number_is_refused(value):
    path = ("ProductionVariants", 0, "InitialVariantWeight")
    type_error("CreateEndpointConfig", with_value("CreateEndpointConfig", path, value))


def test_endless_nesting_is_refused():
    expression = {}
    for _ in range(5000):
        expression = {"SubExpressions": [expression]}
    assert "nested too deeply" in type_error("Search", {"Resource": "TrainingJob", "SearchExpression": expression})


def test_blobs_are_base64():
    logs = Validator(Services().named("logs"))
    assert logs.node("Data").read("aGk=", "x", None) == b"hi"
    with pytest.raises(SerializationException, match="Base64"):
        logs.node("Data").read("a", "x", None)


def test_hostile_values_cannot_hold_a_request_up_for_long():
    request = {"Name": "a", "SchedulerConfig": {"PriorityClasses": [{"Name": "a" * 64 + "!", "Weight": 1}] * 20}}
    began = time.monotonic()
    message = violations("CreateClusterSchedulerConfig", request)
    assert "schedulerConfig.priorityClasses.20.member.name" in message
    assert time.monotonic() - began < 5


def test_a_typical_request_is_checked_within_a_millisecond():
    request = {**GOOD["CreateTrainingJob"], "HyperParameters": {f"k{i}": "1" for i in range(20)}, "RoleArn": ROLE}
    read("CreateTrainingJob", request)

    def once():
        began = time.perf_counter()
        read("CreateTrainingJob", request)
        return time.perf_counter() - began

    assert min(once() for _ in range(50)) < 0.001
