"""Endpoint configurations and endpoints as callers see them: statuses, updates, weights, what is refused and how."""

from __future__ import annotations

from typing import Any

import pytest

from clary.core.errors import CapacityError
from clary.core.tasks import Phase
from clary.resources.endpoints import EndpointStatus
from tests.context import a_config, a_model
from tests.unit.client import Client, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    client.create_model(**a_model("m"))
    yield client
    client.close()


def a_variant(name: str = "v0", **members: Any) -> dict[str, Any]:
    variant = {"VariantName": name, "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    return {key: value for key, value in {**variant, **members}.items() if value is not None}


def serve(server: Client, name: str = "E", **config: Any) -> None:
    """An endpoint that is in service."""
    server.create_endpoint_config(**a_config(name, "m", **config))
    server.create_endpoint(EndpointName=name, EndpointConfigName=name)
    server.settle()
    server.move(name, Phase.READY)


def described(server: Client, name: str = "E") -> dict[str, Any]:
    return server.describe_endpoint(EndpointName=name)


def variants(endpoint: dict[str, Any]) -> dict[str, tuple[float, int, int]]:
    """name -> weight, instances that answer, instances wanted."""
    return {
        v["VariantName"]: (v["CurrentWeight"], v["CurrentInstanceCount"], v["DesiredInstanceCount"])
        for v in endpoint["ProductionVariants"]
    }


def route(server: Client, name: str = "E") -> dict[str, tuple[float, int]]:
    """The route that the gateway has: variant -> weight, replicas."""
    found = server.server.world._read_route(name)
    assert found is not None
    return {variant.name: (variant.weight, len(variant.replicas)) for variant in found.variants}


def change(server: Client, *wanted: dict[str, Any]) -> dict[str, Any]:
    return server.update_endpoint_weights_and_capacities(EndpointName="E", DesiredWeightsAndCapacities=list(wanted))


# ---- configurations ----

BAD_CONFIGS = {
    "a model that is not there": ([a_variant(ModelName="No")], f'Could not find model "{ARN}:model/no".'),
    "a variant twice": ([a_variant(), a_variant()], "Variant name 'v0' is given more than once"),
    "no model": ([a_variant(ModelName=None)], "ProductionVariant 'v0': ModelName is missing"),
    "no instance type": ([a_variant(InstanceType=None)], "ProductionVariant 'v0': InstanceType is missing"),
    "no instance count": (
        [a_variant(InitialInstanceCount=None)],
        "ProductionVariant 'v0': InitialInstanceCount is missing",
    ),
    "no weight at all": (
        [a_variant(InitialVariantWeight=0), a_variant("v1", InitialVariantWeight=0.0)],
        "Every InitialVariantWeight is 0",
    ),
    "weights beyond every number": (
        [a_variant(InitialVariantWeight=1e308), a_variant("v1", InitialVariantWeight=1e308)],
        "The sum of InitialVariantWeight is too large for a number",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("variants", "text"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_contradictory_configuration_is_refused(server, variants, text):
    code, message = refusal(server.create_endpoint_config, EndpointConfigName="c", ProductionVariants=variants)
    assert code == "ValidationException"
    assert text in message
    assert server.list_endpoint_configs() == {"EndpointConfigs": []}


def test_a_configuration_name_that_is_taken(server):
    server.create_endpoint_config(**a_config("C", "m"))
    code, message = refusal(server.create_endpoint_config, **a_config("C", "m"))
    assert code == "ValidationException"
    assert f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/c".' in message
    assert "already exists" in message


@pytest.mark.parametrize("verb", ["describe_endpoint_config", "delete_endpoint_config"])
def test_a_configuration_that_is_not_there(server, verb):
    assert refusal(getattr(server, verb), EndpointConfigName="No") == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/no".',
    )


def test_a_weight_that_was_not_given_is_one(server):
    server.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[a_variant()])
    (variant,) = server.describe_endpoint_config(EndpointConfigName="c")["ProductionVariants"]
    assert variant["InitialVariantWeight"] == 1.0


# ---- creating and describing ----


def test_an_endpoint_comes_into_service_when_every_replica_answers(server):
    server.create_endpoint_config(**a_config("E", "m", count=2, weights=(3.0, 1.0)))
    assert server.create_endpoint(EndpointName="E", EndpointConfigName="E") == {"EndpointArn": f"{ARN}:endpoint/e"}
    server.settle()
    endpoint = described(server)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("Creating", "E")
    assert variants(endpoint) == {"v0": (3.0, 0, 2), "v1": (1.0, 0, 2)}
    assert endpoint["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating"
    assert endpoint["PendingDeploymentSummary"]["EndpointConfigName"] == "E"
    server.clock.advance(7)
    server.move("E", Phase.READY)
    endpoint = described(server)
    assert endpoint["EndpointStatus"] == "InService"
    assert variants(endpoint) == {"v0": (3.0, 2, 2), "v1": (1.0, 2, 2)}
    assert "PendingDeploymentSummary" not in endpoint
    assert "VariantStatus" not in endpoint["ProductionVariants"][0]
    assert (endpoint["LastModifiedTime"] - endpoint["CreationTime"]).total_seconds() == 7
    assert route(server) == {"v0": (3.0, 2), "v1": (1.0, 2)}


def test_an_endpoint_name_that_is_taken(server):
    serve(server)
    code, message = refusal(server.create_endpoint, EndpointName="E", EndpointConfigName="E")
    assert code == "ValidationException"
    assert f'Cannot create already existing endpoint "{ARN}:endpoint/e".' in message
    assert "already exists" in message


def test_an_endpoint_of_a_configuration_that_is_not_there(server):
    assert refusal(server.create_endpoint, EndpointName="E", EndpointConfigName="No") == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/no".',
    )
    assert server.list_endpoints() == {"Endpoints": []}


def test_an_endpoint_of_a_model_that_is_gone(server):
    server.create_endpoint_config(**a_config("E", "m"))
    server.delete_model(ModelName="m")
    code, message = refusal(server.create_endpoint, EndpointName="E", EndpointConfigName="E")
    assert (code, message) == ("ValidationException", f'Could not find model "{ARN}:model/m".')


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("describe_endpoint", {}),
        ("delete_endpoint", {}),
        ("update_endpoint", {"EndpointConfigName": "c"}),
        ("update_endpoint_weights_and_capacities", {"DesiredWeightsAndCapacities": [{"VariantName": "v"}]}),
    ],
)
def test_an_endpoint_that_is_not_there(server, verb, more):
    assert refusal(getattr(server, verb), EndpointName="No", **more) == (
        "ValidationException",
        f'Could not find endpoint "{ARN}:endpoint/no".',
    )


def test_an_endpoint_lives_on_without_what_it_was_made_from(server):
    serve(server)
    server.delete_endpoint_config(EndpointConfigName="E")
    server.delete_model(ModelName="m")
    change(server, {"VariantName": "v0", "DesiredInstanceCount": 2})
    server.settle()
    server.move("E", Phase.READY)
    assert variants(described(server)) == {"v0": (1.0, 2, 2)}


def test_an_endpoint_that_cannot_start_fails_with_the_reason_and_can_only_be_deleted(server):
    server.create_endpoint_config(**a_config("E", "m"))
    server.create_endpoint(EndpointName="E", EndpointConfigName="E")
    server.settle()
    server.move("E", Phase.EXITED, exit_code=1, failure="no module named model")
    endpoint = described(server)
    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"] == (
        "The primary container for production variant v0 did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint. no module named model"
    )
    code, message = refusal(server.update_endpoint, EndpointName="E", EndpointConfigName="E")
    assert (code, message) == (
        "ValidationException",
        f'Endpoint "{ARN}:endpoint/e" is in status Failed: only DeleteEndpoint is accepted.',
    )
    server.delete_endpoint(EndpointName="E")
    server.settle()
    assert server.list_endpoints() == {"Endpoints": []}


def test_an_endpoint_without_capacity_has_a_failure_reason(server):
    server.backend.refuse = CapacityError("this machine has no GPU")
    server.create_endpoint_config(**a_config("E", "m"))
    server.create_endpoint(EndpointName="E", EndpointConfigName="E")
    server.settle()
    assert described(server)["FailureReason"] == "CapacityError: this machine has no GPU"


# ---- what each status allows ----


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
@pytest.mark.parametrize("verb", ["delete_endpoint", "update_endpoint", "update_endpoint_weights_and_capacities"])
def test_an_endpoint_that_is_changing_refuses_other_changes(server, status, verb):
    serve(server)
    server.force("endpoint", "E", status=EndpointStatus(status))
    more = {
        "delete_endpoint": {},
        "update_endpoint": {"EndpointConfigName": "E"},
        "update_endpoint_weights_and_capacities": {"DesiredWeightsAndCapacities": [{"VariantName": "v0"}]},
    }[verb]
    code, message = refusal(getattr(server, verb), EndpointName="E", **more)
    assert code == "ValidationException"
    assert message.startswith(f'Cannot update in-progress endpoint "{ARN}:endpoint/e".')
    assert status in message


def test_a_deleted_endpoint_is_deleting_until_its_replicas_are_gone_and_then_unknown(server):
    serve(server)
    assert server.delete_endpoint(EndpointName="E") == {}
    server.settle()
    assert described(server)["EndpointStatus"] == "Deleting"
    assert not (server.server.folder / "routes" / "E.json").exists(), "nobody is sent there any more"
    server.backend.end_stopped()
    server.settle()
    assert refusal(server.describe_endpoint, EndpointName="E")[1] == f'Could not find endpoint "{ARN}:endpoint/e".'
    assert server.backend.states == {}
    server.create_endpoint(EndpointName="E", EndpointConfigName="E")


# ---- weights and counts ----


def test_weights_move_at_once(server):
    serve(server, weights=(0.7, 0.3))
    change(server, {"VariantName": "v0", "DesiredWeight": 0.0})
    server.settle()
    assert described(server)["EndpointStatus"] == "InService"
    assert variants(described(server)) == {"v0": (0.0, 1, 1), "v1": (0.3, 1, 1)}
    assert route(server) == {"v0": (0.0, 1), "v1": (0.3, 1)}


def test_counts_move_as_replicas_come_and_go(server):
    serve(server)
    change(server, {"VariantName": "v0", "DesiredInstanceCount": 3})
    server.settle()
    assert (described(server)["EndpointStatus"], variants(described(server))) == ("Updating", {"v0": (1.0, 1, 3)})
    assert route(server) == {"v0": (1.0, 1)}, "it serves all the while"
    server.move("E", Phase.READY)
    assert (described(server)["EndpointStatus"], variants(described(server))) == ("InService", {"v0": (1.0, 3, 3)})
    change(server, {"VariantName": "v0", "DesiredInstanceCount": 1})
    server.settle()
    server.backend.end_stopped()
    server.settle()
    assert (described(server)["EndpointStatus"], variants(described(server))) == ("InService", {"v0": (1.0, 1, 1)})
    assert len(server.tasks("E")) == 1


BAD_CHANGES = {
    "a variant that is not there": (
        [{"VariantName": "v0", "DesiredWeight": 1}, {"VariantName": "x", "DesiredWeight": 1}],
        "The variant(s) x do not exist on endpoint 'E'; it has v0, v1.",
    ),
    "no weight left": (
        [{"VariantName": "v0", "DesiredWeight": 0}, {"VariantName": "v1", "DesiredWeight": 0}],
        "Every DesiredWeight is 0",
    ),
    "weights beyond every number": (
        [{"VariantName": "v0", "DesiredWeight": 1e308}, {"VariantName": "v1", "DesiredWeight": 1e308}],
        "The sum of DesiredWeight is too large for a number",
    ),
    "a variant twice": (
        [{"VariantName": "v0", "DesiredWeight": 1}, {"VariantName": "v0", "DesiredWeight": 2}],
        "Variant name 'v0' is given more than once",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "text"), BAD_CHANGES.values(), ids=BAD_CHANGES)
def test_a_contradictory_change_is_refused_and_changes_nothing(server, wanted, text):
    serve(server, weights=(0.7, 0.3))
    before = described(server)
    code, message = refusal(
        server.update_endpoint_weights_and_capacities, EndpointName="E", DesiredWeightsAndCapacities=wanted
    )
    assert code == "ValidationException"
    assert text in message
    assert described(server) == before


# ---- updates ----


def test_the_old_serves_until_all_of_the_new_answers(server):
    serve(server, weights=(1.0,))
    server.create_endpoint_config(**a_config("new", "m", count=2, weights=(5.0,)))
    server.update_endpoint(EndpointName="E", EndpointConfigName="new")
    server.settle()
    endpoint = described(server)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("Updating", "E")
    assert endpoint["PendingDeploymentSummary"]["EndpointConfigName"] == "new"
    assert route(server) == {"v0": (1.0, 1)}
    server.move("E", Phase.READY)
    endpoint = described(server)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "new")
    assert variants(endpoint) == {"v0": (5.0, 2, 2)}
    assert route(server) == {"v0": (5.0, 2)}
    server.backend.end_stopped()
    server.settle()
    assert len(server.tasks("E")) == 2, "the old replica no longer exists"


def test_an_update_that_fails_goes_back_to_what_there_was(server):
    serve(server)
    server.create_endpoint_config(**a_config("new", "m"))
    server.update_endpoint(EndpointName="E", EndpointConfigName="new")
    server.settle()
    old, new = server.tasks("E")
    server.backend.move(new, Phase.EXITED, exit_code=1, failure="no module named model")
    server.settle()
    endpoint = described(server)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "E")
    assert "no module named model" in endpoint["FailureReason"]
    assert (server.tasks("E"), route(server)) == ([old], {"v0": (1.0, 1)})
    server.update_endpoint(EndpointName="E", EndpointConfigName="new")
    assert "FailureReason" not in described(server), "a new try has not failed"


def test_a_configuration_that_is_not_there_changes_nothing(server):
    serve(server)
    assert refusal(server.update_endpoint, EndpointName="E", EndpointConfigName="No")[1] == (
        f'Could not find endpoint configuration "{ARN}:endpoint-config/no".'
    )
    assert described(server)["EndpointStatus"] == "InService"


LIVE = (9.0, 3)  # weight and count that were set since
NEW = (5.0, 1)  # what the new configuration text


@pytest.mark.parametrize(
    ("members", "weight_and_count"),
    [
        ({}, NEW),
        ({"RetainAllVariantProperties": False}, NEW),
        ({"RetainAllVariantProperties": True}, LIVE),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
            },
            (NEW[0], LIVE[1]),
        ),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredInstanceCount"}],
            },
            (LIVE[0], NEW[1]),
        ),
        ({"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": []}, LIVE),
    ],
    ids=["absent", "false", "true", "but weight", "but count", "but nothing"],
)
def test_live_properties_give_way_to_the_new_configuration_unless_retained(server, members, weight_and_count):
    serve(server)
    change(server, {"VariantName": "v0", "DesiredWeight": LIVE[0], "DesiredInstanceCount": LIVE[1]})
    server.settle()
    server.move("E", Phase.READY)
    # v1 is new: there is nothing of it to retain.
    server.create_endpoint_config(**a_config("new", "m", weights=(NEW[0], 2.0)))
    server.update_endpoint(EndpointName="E", EndpointConfigName="new", **members)
    server.settle()
    server.move("E", Phase.READY)
    weight, count = weight_and_count
    assert variants(described(server)) == {"v0": (weight, count, count), "v1": (2.0, 1, 1)}


def test_exclusions_without_retaining_are_refused(server):
    serve(server)
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    code, message = refusal(
        server.update_endpoint, EndpointName="E", EndpointConfigName="E", ExcludeRetainedVariantProperties=excluded
    )
    assert code == "ValidationException"
    assert "without RetainAllVariantProperties" in message


def test_weights_that_are_retained_must_leave_one_that_takes_traffic(server):
    serve(server, weights=(1.0, 1.0))
    change(server, {"VariantName": "v0", "DesiredWeight": 0.0})
    server.settle()
    server.create_endpoint_config(**a_config("new", "m"))
    code, message = refusal(
        server.update_endpoint, EndpointName="E", EndpointConfigName="new", RetainAllVariantProperties=True
    )
    assert code == "ValidationException"
    assert "Every weight that is retained is 0" in message
    assert described(server)["EndpointStatus"] == "InService"
