"""Requests that are all right, to be broken one member at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from clary.wire.shapes import Service, Shape

ROLE = "arn:aws:iam::000000000000:role/ClaryExecutionRole"

GOOD: dict[str, dict[str, Any]] = {
    "CreateTrainingJob": {
        "TrainingJobName": "xgb-1",
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": "10", "objective": "binary:logistic"},
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "auc", "Regex": "auc:(\\S+)"}],
            "ContainerEntrypoint": ["/bin/bash"],
        },
        "InputDataConfig": [
            {
                "ChannelName": name,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": "s3://bucket/key",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for name in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "EnableNetworkIsolation": False,
        "Environment": {"a": "b"},
        "Tags": [{"Key": "team", "Value": "garden"}],
    },
    "CreateProcessingJob": {
        "ProcessingJobName": "split-1",
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/split.py"],
            "ContainerArguments": ["--share", "0.8"],
        },
        "ProcessingInputs": [
            {
                "InputName": "rows",
                "AppManaged": False,
                "S3Input": {
                    "S3Uri": "s3://bucket/rows",
                    "LocalPath": "/opt/ml/processing/rows",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                    "S3DataDistributionType": "FullyReplicated",
                    "S3CompressionType": "None",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "train",
                    "S3Output": {
                        "S3Uri": "s3://bucket/train",
                        "LocalPath": "/opt/ml/processing/train",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "Environment": {"a": "b"},
        "NetworkConfig": {"EnableNetworkIsolation": False},
        "Tags": [{"Key": "team", "Value": "garden"}],
    },
    "CreateEndpointConfig": {
        "EndpointConfigName": "config-1",
        "ProductionVariants": [
            {
                "VariantName": "one",
                "ModelName": "model-1",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": 0.7,
            }
        ],
        "DataCaptureConfig": {
            "InitialSamplingPercentage": 50,
            "DestinationS3Uri": "s3://bucket/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    },
    "CreateModel": {
        "ModelName": "model-1",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "ModelDataSource": {
                "S3DataSource": {"S3Uri": "s3://bucket/model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
            },
            "Environment": {"a": "b"},
        },
    },
    "ListTrainingJobs": {
        "MaxResults": 5,
        "NameContains": "xgb",
        "StatusEquals": "Completed",
        "SortBy": "Name",
        "SortOrder": "Ascending",
        "CreationTimeAfter": 1700000000.5,
    },
}

Path = tuple[str | int, ...]


def leaves(service: Service, operation: str) -> list[tuple[Path, Shape]]:
    """Every member of a good request, containers included, and its shape."""
    found: list[tuple[Path, Shape]] = []
    _walk(service, service.shapes[service.operations[operation].input], GOOD[operation], (), found)
    return found


def _walk(service: Service, shape: Shape, value: Any, path: Path, found: list[tuple[Path, Shape]]) -> None:
    for step, inner_shape, inner in _inside(service, shape, value):
        found.append(((*path, step), inner_shape))
        _walk(service, inner_shape, inner, (*path, step), found)


def _inside(service: Service, shape: Shape, value: Any) -> Iterator[tuple[str | int, Shape, Any]]:
    match shape["type"]:
        case "structure":
            for name, inner in value.items():
                yield name, service.shapes[shape["members"][name]["shape"]], inner
        case "list":
            for index, inner in enumerate(value):
                yield index, service.shapes[shape["member"]["shape"]], inner
        case "map":
            for key, inner in value.items():
                yield key, service.shapes[shape["value"]["shape"]], inner


def with_value(operation: str, path: Path, value: Any) -> dict[str, Any]:
    """The good request with one member set to something else."""
    request = copy.deepcopy(GOOD[operation])
    at: Any = request
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return request


def without(operation: str, path: Path) -> dict[str, Any]:
    request = copy.deepcopy(GOOD[operation])
    at: Any = request
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return request


def aws_path(path: Path) -> str:
    """A path as AWS's messages have it: names start small, items count from one."""
    return ".".join(f"{step + 1}.member" if isinstance(step, int) else step[:1].lower() + step[1:] for step in path)
