"""Writes docs/coverage.md: which operations are built, which members they refuse, and which change nothing.

    python docs/make_coverage.py

What is built and what is refused comes from the code; what is without effect is listed here, and a test compares it
with the service models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from clary.gateway.call import MEMBERS, UNSUPPORTED_MEMBERS
from clary.resources import OPERATIONS, UNBUILT
from clary.wire.shapes import SERVICES, Services, _read

PAGE = Path(__file__).with_name("coverage.md")

_ENCRYPTION = "nothing is encrypted with it: the disk's encryption is the machine's affair"
_NETWORK = "everything runs on this machine, whatever the network's name"
_ROLE = "a name: every role may do the same"
_DISK = "the disk is the home's, as large as it is"
_EULA = "nobody asks for consent"
_ONE_ACCOUNT = "there is one account"
_UNMASKED = "nothing is masked"
_EVERYTHING = "everything is allowed to who has the keys"
_REGISTRY = "podman or docker log in to registries as they are set up to"

_CONTAINER = {
    "ImageConfig": _REGISTRY,
    "InferenceSpecificationName": "it belongs to model packages",
    "ContainerMetricsConfig": "the gateway's `/metrics` has the endpoint's metrics",
    "ModelDataSource.S3DataSource.ModelAccessConfig": _EULA,
    "ModelDataSource.S3DataSource.ETag": "the object is taken as it is",
    "ModelDataSource.S3DataSource.ManifestEtag": "it belongs to `ManifestS3Uri`",
}

# operation -> members that are accepted and change nothing; and why
WITHOUT_EFFECT: Mapping[str, Mapping[str, str]] = {
    "CreateTrainingJob": {
        "RoleArn": _ROLE,
        "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": "the log has every value, Describe the last ones",
        "AlgorithmSpecification.TrainingImageConfig": _REGISTRY,
        "InputDataConfig[].DataSource.S3DataSource.AttributeNames": "they belong to AugmentedManifestFile",
        "InputDataConfig[].DataSource.S3DataSource.ModelAccessConfig": _EULA,
        "OutputDataConfig.KmsKeyId": _ENCRYPTION,
        "ResourceConfig.VolumeSizeInGB": _DISK,
        "ResourceConfig.VolumeKmsKeyId": _ENCRYPTION,
        "ResourceConfig.InstancePlacementConfig": "there is one machine",
        "ResourceConfig.SelectedInstanceType": "it belongs to `InstancePreferences`",
        "ResourceConfig.SelectedInstanceCount": "it belongs to `InstancePreferences`",
        "VpcConfig": _NETWORK,
        "EnableInterContainerTrafficEncryption": "hosts talk within this machine",
        "EnableManagedSpotTraining": "nobody takes this machine away",
        "StoppingCondition.MaxWaitTimeInSeconds": "a job waits for room as long as it takes",
        "StoppingCondition.MaxPendingTimeInSeconds": "a job waits for room as long as it takes",
        "DebugHookConfig": "the program finds it in `debughookconfig.json`; nothing is uploaded",
        "DebugRuleConfigurations": "no rule is evaluated",
        "ProfilerConfig": "the program finds it in `profilerconfig.json`; nothing is profiled",
        "ProfilerRuleConfigurations": "no rule is evaluated",
        "TensorBoardOutputConfig": "write to `/opt/ml/output/data` or a checkpoint to keep what TensorBoard reads",
        "ExperimentConfig": "there are no experiments",
        "RemoteDebugConfig": "the process is on this machine: attach to it",
        "InfraCheckConfig": "nothing is checked before the start",
        "SessionChainingConfig": "sessions have no tags",
    },
    "CreateProcessingJob": {
        "RoleArn": _ROLE,
        "ProcessingOutputConfig.KmsKeyId": _ENCRYPTION,
        "ProcessingResources.ClusterConfig.VolumeSizeInGB": _DISK,
        "ProcessingResources.ClusterConfig.VolumeKmsKeyId": _ENCRYPTION,
        "ProcessingResources.ClusterConfig.SelectedInstanceType": "it belongs to `InstancePreferences`",
        "ProcessingResources.ClusterConfig.SelectedInstanceCount": "it belongs to `InstancePreferences`",
        "NetworkConfig.VpcConfig": _NETWORK,
        "NetworkConfig.EnableInterContainerTrafficEncryption": "hosts talk within this machine",
        "ExperimentConfig": "there are no experiments",
    },
    "CreateModel": {
        "ExecutionRoleArn": _ROLE,
        "VpcConfig": _NETWORK,
        "PrimaryContainer.ContainerHostname": "a container alone needs no name",
        **{f"PrimaryContainer.{member}": why for member, why in _CONTAINER.items()},
        **{f"Containers[].{member}": why for member, why in _CONTAINER.items()},
    },
    "CreateEndpointConfig": {
        "ExecutionRoleArn": _ROLE,
        "VpcConfig": _NETWORK,
        "EnableNetworkIsolation": "CreateModel's is what counts",
        "KmsKeyId": _ENCRYPTION,
        "MetricsConfig": "the gateway's `/metrics` is always exact",
        "DataCaptureConfig": "nothing is captured unless `EnableCapture` is true, which is refused",
        "ProductionVariants[].AcceleratorType": "AWS no longer sells them either",
        "ProductionVariants[].VolumeSizeInGB": _DISK,
        "ProductionVariants[].ModelDataDownloadTimeoutInSeconds": "fetching a model takes as long as it takes",
        "ProductionVariants[].VariantInstanceProvisionTimeoutInSeconds": "instances are there",
        "ProductionVariants[].EnableSSMAccess": "the process is on this machine",
        "ProductionVariants[].RoutingConfig": "a request goes to the replica with the fewest under way",
        "ProductionVariants[].InferenceAmiVersion": "the operating system is this machine's",
    },
    "UpdateEndpoint": {"RetainDeploymentConfig": "all traffic moves at once when the new replicas answer"},
    "ListTrainingJobs": {
        "WarmPoolStatusEquals": "no job has a warm pool, so none matches",
        "TrainingPlanArnEquals": "no job has a training plan, so none matches",
    },
    "DescribeLogGroups": {
        "accountIdentifiers": _ONE_ACCOUNT,
        "includeLinkedAccounts": _ONE_ACCOUNT,
        "logGroupClass": "there is one class",
        "logGroupIdentifiers": "filter by `logGroupNamePrefix` or `logGroupNamePattern`",
    },
    "GetLogEvents": {"unmask": _UNMASKED},
    "FilterLogEvents": {
        "unmask": _UNMASKED,
        "interleaved": "streams are always interleaved, as at AWS",
        "startFromHead": "the oldest lines come first",
    },
    "AssumeRole": dict.fromkeys(
        (
            "PolicyArns",
            "Policy",
            "Tags",
            "TransitiveTagKeys",
            "ExternalId",
            "SerialNumber",
            "TokenCode",
            "SourceIdentity",
            "ProvidedContexts",
            "MinimumSessionTokenSize",
        ),
        _EVERYTHING,
    ),
    "SimulatePrincipalPolicy": dict.fromkeys(
        (
            "PolicySourceArn",
            "PolicyInputList",
            "PermissionsBoundaryPolicyInputList",
            "PolicyExclusionList",
            "ResourcePolicy",
            "ResourceOwner",
            "CallerArn",
            "ContextEntries",
            "ResourceHandlingOption",
            "MaxItems",
            "Marker",
        ),
        _EVERYTHING,
    ),
}

TITLES = {"sagemaker": "SageMaker", "logs": "CloudWatch Logs", "sts": "STS", "iam": "IAM"}


def page() -> str:
    """The whole page."""
    services = (line for service in SERVICES for line in _service(service))
    return "\n".join([*_head(), *_counts(), *services, *_runtime(), *_s3()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Coverage: what is built"
    yield ""
    yield "<!-- Written by `python docs/make_coverage.py` from the code. -->"
    yield ""
    yield "Every operation of the service models is routed, and its request checked against the model. What is not"
    yield "built is *refused*: `NotImplementedByClary`, HTTP 400, with the operation or member by name and what to do"
    yield "instead. What is *without effect* is accepted, as a machine of one's own has no use for it."


def _counts() -> Iterator[str]:
    yield ""
    yield "| service | operations in the model | built |"
    yield "|---|---|---|"
    for service in SERVICES:
        yield f"| {TITLES[service]} | {len(Services().named(service).operations)} | {len(_built(service))} |"
    runtime = _read("sagemaker-runtime")["operations"]
    yield f"| SageMaker Runtime | {len(runtime)} | {len(MEMBERS)} |"


def _built(service: str) -> list[str]:
    return sorted(name for owner, name in OPERATIONS if owner == service)


def _service(service: str) -> Iterator[str]:
    yield ""
    yield f"## {TITLES[service]}"
    whole = [name for name in _built(service) if name not in UNBUILT and name not in WITHOUT_EFFECT]
    if whole:
        yield f"With every member: {', '.join(whole)}."
    for operation in _built(service):
        refused, idle = UNBUILT.get(operation, {}), WITHOUT_EFFECT.get(operation, {})
        if not refused and not idle:
            continue
        yield ""
        yield f"### {operation}"
        yield "| member | | |"
        yield "|---|---|---|"
        yield from _rows(refused, "refused")
        yield from _rows(idle, "without effect")


def _rows(members: Mapping[str, str], effect: str) -> Iterator[str]:
    """Members with the same text share a row."""
    rows: dict[str, list[str]] = {}
    for member, text in sorted(_containers_once(members)):
        rows.setdefault(text, []).append(_shown(member))
    for text, shown in rows.items():
        yield f"| {', '.join(shown)} | {effect} | {text} |"


def _containers_once(members: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Members of Containers[] are those of PrimaryContainer, and shown once."""
    return ((member, text) for member, text in members.items() if not member.startswith("Containers[]."))


def _shown(member: str) -> str:
    name, _, value = member.partition("=")
    return f"`{name}` = `{value}`" if value else f"`{name}`"


def _runtime() -> Iterator[str]:
    lacking = ", ".join(f"`{name[:1].upper()}{name[1:]}`" for name in sorted(UNSUPPORTED_MEMBERS))
    yield ""
    yield "## SageMaker Runtime"
    yield f"{' and '.join(MEMBERS)}, with every member of the model. Those for kinds of endpoints that"
    yield "cannot be made yet are refused as AWS refuses them for an endpoint of another kind:"
    yield f"{lacking}."


def _s3() -> Iterator[str]:
    yield ""
    yield "## S3"
    yield "The embedded S3 is `rclone serve s3`: buckets, objects, multipart uploads, ranges, user metadata, copies,"
    yield "listings, presigned URLs. For versions, policies, tags, lifecycles or events there is `s3_endpoint_url`."


if __name__ == "__main__":
    PAGE.write_text(page())
