"""Good requests, and what can be wrong with their members: a table picked by hand, and strategies along the shapes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from clary.wire.shapes import Services, Shape
from tests.wire.requests import Path, _walk

SAGEMAKER = Services().named("sagemaker")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::000000000000:role/ClaryExecutionRole"
BUCKET = "sagemaker-us-east-1-000000000000"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def good(operation: str, name: str = "new") -> dict[str, Any]:
    """A request that is all right."""
    channel = {
        "ChannelName": "train",
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}},
    }
    variant = {
        "VariantName": "main",
        "ModelName": "there",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 0.5,
    }
    requests: dict[str, dict[str, Any]] = {
        "CreateTrainingJob": {
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "auc", "Regex": "auc:(.*)"}],
            },
            "RoleArn": ROLE,
            "HyperParameters": {"num_round": "no number"},
            "InputDataConfig": [channel],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
            "Environment": {"A": "b"},
            "RetryStrategy": {"MaximumRetryAttempts": 1},
            "Tags": [{"Key": "k", "Value": "v"}],
        },
        "CreateProcessingJob": {
            "ProcessingJobName": name,
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["/bin/false"],
                "ContainerArguments": ["an argument"],
            },
            "RoleArn": ROLE,
            "ProcessingInputs": [
                {
                    "InputName": "rows",
                    "AppManaged": False,
                    "S3Input": {
                        "S3Uri": f"s3://{BUCKET}/train/",
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
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": f"s3://{BUCKET}/processed",
                            "LocalPath": "/opt/ml/processing/out",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "Environment": {"A": "b"},
            "NetworkConfig": {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
            "Tags": [{"Key": "k", "Value": "v"}],
        },
        "CreateModel": {
            "ModelName": name,
            "PrimaryContainer": {
                "Image": IMAGE,
                "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
                "Environment": {"A": "b"},
            },
            "ExecutionRoleArn": ROLE,
            "Tags": [{"Key": "k", "Value": "v"}],
        },
        "CreateEndpointConfig": {"EndpointConfigName": name, "ProductionVariants": [variant]},
        "CreateEndpoint": {"EndpointName": name, "EndpointConfigName": "there"},
        "UpdateEndpoint": {
            "EndpointName": "there",
            "EndpointConfigName": "there",
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
        },
        "UpdateEndpointWeightsAndCapacities": {
            "EndpointName": "there",
            "DesiredWeightsAndCapacities": [{"VariantName": "main", "DesiredWeight": 1.0, "DesiredInstanceCount": 1}],
        },
        "DescribeTrainingJob": {"TrainingJobName": "there"},
        "DescribeProcessingJob": {"ProcessingJobName": "there"},
        "DescribeEndpoint": {"EndpointName": "there"},
        "StopTrainingJob": {"TrainingJobName": "there"},
        "StopProcessingJob": {"ProcessingJobName": "there"},
        "AddTags": {"ResourceArn": f"{ARN}:model/there", "Tags": [{"Key": "k", "Value": "v"}]},
        "ListTags": {"ResourceArn": f"{ARN}:model/there", "MaxResults": 50},
        "DeleteTags": {"ResourceArn": f"{ARN}:model/there", "TagKeys": ["k"]},
        **{
            f"List{noun}s": {
                "MaxResults": 5,
                "NameContains": "the",
                "SortBy": "Name",
                "SortOrder": "Ascending",
                "CreationTimeAfter": 1700000000,
                "CreationTimeBefore": 1900000000.5,
            }
            for noun in ("TrainingJob", "ProcessingJob", "Model", "EndpointConfig", "Endpoint")
        },
    }
    return requests[operation]


OPERATIONS = (
    *("CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"),
    *("UpdateEndpointWeightsAndCapacities", "DescribeTrainingJob", "DescribeEndpoint", "StopTrainingJob"),
    *("CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"),
    *("AddTags", "ListTags", "DeleteTags"),
    *("ListTrainingJobs", "ListProcessingJobs", "ListModels", "ListEndpointConfigs", "ListEndpoints"),
)


def changed(operation: str, path: Path, value: Any) -> dict[str, Any]:
    """The good request with one member set to something else."""
    request = copy.deepcopy(good(operation))
    put(request, path, value)
    return request


def put(request: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        request = request[step]
    request[path[-1]] = value


# ---- picked by hand ----

PROCESSING = "CreateProcessingJob"
GIVEN = ("ProcessingInputs", 0, "S3Input")
TAKEN = ("ProcessingOutputConfig", "Outputs", 0, "S3Output")
JOB, MODEL, CONFIG, ENDPOINT = "CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"
INPUT = ("InputDataConfig", 0)
SOURCE = (*INPUT, "DataSource", "S3DataSource")
VARIANT = ("ProductionVariants", 0)
INVALID, WRONG_TYPE = "ValidationException", "SerializationException"
CHANNEL, A_VARIANT = good(JOB)["InputDataConfig"][0], good(CONFIG)["ProductionVariants"][0]
DEEP: Any = "x"
for _ in range(200):
    DEEP = {"a": [DEEP]}

# operation, path, value, code, a part of the message
BROKEN: list[tuple[str, Path, Any, str, str]] = [
    # names
    (PROCESSING, ("ProcessingJobName",), "../../etc/passwd", INVALID, "'processingJobName'"),
    (PROCESSING, ("ProcessingJobName",), "there", "ResourceInUse", "already exists"),
    (PROCESSING, (*GIVEN, "LocalPath"), "/opt/ml/processing/../../../etc", INVALID, "cannot be a folder"),
    (PROCESSING, (*GIVEN, "LocalPath"), "/etc", INVALID, "must begin with /opt/ml/processing/"),
    (PROCESSING, (*GIVEN, "LocalPath"), "/opt/ml/processing/" + "a" * 238, INVALID, "'processingInputs.1"),
    (PROCESSING, (*GIVEN, "S3Uri"), "s3://no-such-bucket/x", INVALID, "No S3 objects found"),
    (PROCESSING, (*GIVEN, "S3Uri"), f"s3://{BUCKET}/none/", INVALID, "No S3 objects found"),
    (PROCESSING, (*GIVEN, "S3DataDistributionType"), "Sharded", INVALID, "enum value set"),
    (PROCESSING, (*TAKEN, "LocalPath"), "/opt/ml/processing/..", INVALID, "cannot be a folder"),
    (PROCESSING, (*TAKEN, "S3Uri"), "https://example.com/x", INVALID, "is not an S3 URI"),
    (PROCESSING, ("AppSpecification", "ImageUri"), "no/such image", INVALID, "cannot be used"),
    (PROCESSING, ("AppSpecification", "ContainerArguments"), ["a"] * 101, INVALID, "less than or equal to 100"),
    (PROCESSING, ("StoppingCondition", "MaxRuntimeInSeconds"), 777_601, INVALID, "less than or equal to 777600"),
    (PROCESSING, ("Environment",), {"A-B": "c"}, INVALID, "regular expression pattern"),
    (PROCESSING, ("ProcessingInputs",), {}, WRONG_TYPE, "processingInputs"),
    (JOB, ("TrainingJobName",), "", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "under_score", INVALID, "'trainingJobName' failed to satisfy constraint"),
    (JOB, ("TrainingJobName",), "-leading", INVALID, "regular expression pattern"),
    (JOB, ("TrainingJobName",), "trailing-", INVALID, "regular expression pattern"),
    (JOB, ("TrainingJobName",), "a" * 64, INVALID, "length less than or equal to 63"),
    (JOB, ("TrainingJobName",), "..", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "../../etc/passwd", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "a/b", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "a b", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "job\n", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "имя", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "١٢٣", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "a\u0000b", WRONG_TYPE, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "a\ud800b", WRONG_TYPE, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "💥", INVALID, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), None, INVALID, "'trainingJobName' failed to satisfy constraint: Member must not be"),
    (JOB, ("TrainingJobName",), 7, WRONG_TYPE, "NUMBER_VALUE can not be converted to a String (at 'trainingJobName')"),
    (JOB, ("TrainingJobName",), ["a"], WRONG_TYPE, "'trainingJobName'"),
    (JOB, ("TrainingJobName",), "there", "ResourceInUse", f"already exists ({ARN}:training-job/there)"),
    (MODEL, ("ModelName",), "there", INVALID, "Cannot create already existing model"),
    (MODEL, ("ModelName",), "a--", INVALID, "'modelName'"),
    (CONFIG, ("EndpointConfigName",), "there", INVALID, "Cannot create already existing endpoint configuration"),
    (ENDPOINT, ("EndpointName",), "there", INVALID, "Cannot create already existing endpoint"),
    (ENDPOINT, ("EndpointName",), ".", INVALID, "'endpointName'"),
    ("DescribeTrainingJob", ("TrainingJobName",), "nothing", INVALID, "Requested resource not found."),
    ("DescribeEndpoint", ("EndpointName",), "Nothing", INVALID, f'Could not find endpoint "{ARN}:endpoint/nothing".'),
    ("DescribeEndpoint", ("EndpointName",), "%2e%2e", INVALID, "'endpointName'"),
    ("StopTrainingJob", ("TrainingJobName",), "there", INVALID, "the training job is in status Failed"),
    # roles, images, URIs
    (JOB, ("RoleArn",), "role", INVALID, "'roleArn'"),
    (JOB, ("RoleArn",), "arn:aws:iam::12:role/x-y-z", INVALID, "'roleArn'"),
    (JOB, ("RoleArn",), "arn:aws:iam::000000000000:user/somebody", INVALID, "'roleArn'"),
    (JOB, ("RoleArn",), f"{ROLE}{'x' * 2048}", INVALID, "length less than or equal to 2048"),
    (JOB, ("AlgorithmSpecification", "TrainingImage"), "has blanks in it", INVALID, "'has blanks in it' cannot be"),
    (JOB, ("AlgorithmSpecification", "TrainingImage"), "x" * 256, INVALID, "length less than or equal to 255"),
    (JOB, ("AlgorithmSpecification", "TrainingImage"), "no.such.registry.invalid/image:1", INVALID, "no.such.registry"),
    (JOB, ("AlgorithmSpecification", "TrainingInputMode"), "Files", INVALID, "enum value set: [Pipe, File, FastFile]"),
    (JOB, ("OutputDataConfig", "S3OutputPath"), "/etc/passwd", INVALID, "'outputDataConfig.s3OutputPath'"),
    (JOB, ("OutputDataConfig", "S3OutputPath"), "file:///tmp", INVALID, "'outputDataConfig.s3OutputPath'"),
    (JOB, ("OutputDataConfig", "S3OutputPath"), "https://example.com/x", INVALID, "OutputDataConfig.S3OutputPath"),
    (JOB, ("OutputDataConfig", "S3OutputPath"), "s3://../x", INVALID, "OutputDataConfig.S3OutputPath"),
    (JOB, ("OutputDataConfig", "S3OutputPath"), None, INVALID, "'outputDataConfig.s3OutputPath'"),
    (JOB, (*SOURCE, "S3Uri"), "s3://", INVALID, "s3DataSource.s3Uri'"),
    (JOB, (*SOURCE, "S3Uri"), "s3:///train", INVALID, "s3DataSource.s3Uri'"),
    (JOB, (*SOURCE, "S3Uri"), f"s3://{BUCKET}/../../etc/passwd", INVALID, "/../../etc/passwd"),
    (JOB, (*SOURCE, "S3Uri"), f"s3://{BUCKET}/nothing/", INVALID, "No S3 objects found under S3 URL"),
    (JOB, (*SOURCE, "S3Uri"), "s3://no-such-bucket/x", INVALID, "No S3 objects found under S3 URL"),
    (JOB, (*SOURCE, "S3Uri"), "s3://b/" + "k" * 1024, INVALID, "length less than or equal to 1024"),
    (JOB, (*SOURCE, "S3DataType"), "Prefix", INVALID, "enum value set: [ManifestFile, S3Prefix"),
    (JOB, (*SOURCE, "S3DataType"), "ManifestFile", INVALID, "No S3 objects found"),
    (MODEL, ("PrimaryContainer", "ModelDataUrl"), f"s3://{BUCKET}/nothing", INVALID, "Could not find model data at"),
    (MODEL, ("PrimaryContainer", "ModelDataUrl"), "s3://", INVALID, "'primaryContainer.modelDataUrl'"),
    (MODEL, ("PrimaryContainer", "ModelDataUrl"), "gs://b/k", INVALID, "'primaryContainer.modelDataUrl'"),
    (MODEL, ("PrimaryContainer", "Image"), None, INVALID, "PrimaryContainer.Image is missing"),
    (MODEL, ("PrimaryContainer",), None, INVALID, "Neither PrimaryContainer nor Containers is given"),
    (MODEL, ("Containers",), [{"Image": IMAGE}], INVALID, "Both PrimaryContainer and Containers are given"),
    (MODEL, ("Containers",), [{"Image": IMAGE}] * 16, INVALID, "length less than or equal to 15"),
    (MODEL, ("PrimaryContainer", "Mode"), "Single", INVALID, "enum value set: [SingleModel, MultiModel]"),
    # channels
    (JOB, (*INPUT, "ChannelName"), "..", INVALID, "ChannelName '..'"),
    (JOB, (*INPUT, "ChannelName"), "a/b", INVALID, "'inputDataConfig.1.member.channelName'"),
    (JOB, (*INPUT, "ChannelName"), "x" * 65, INVALID, "length less than or equal to 64"),
    (JOB, ("InputDataConfig",), [CHANNEL, CHANNEL], INVALID, "names channel 'train' more than once"),
    (JOB, ("InputDataConfig",), [CHANNEL] * 21, INVALID, "length less than or equal to 20"),
    (JOB, ("InputDataConfig",), [], INVALID, "'inputDataConfig'"),
    (JOB, ("InputDataConfig",), [None], INVALID, "'inputDataConfig.1.member'"),
    (JOB, ("InputDataConfig",), {"train": CHANNEL}, WRONG_TYPE, "'inputDataConfig'"),
    (JOB, (*INPUT, "DataSource"), {}, INVALID, "DataSource.S3DataSource is missing"),
    (JOB, (*INPUT, "DataSource"), None, INVALID, "'inputDataConfig.1.member.dataSource'"),
    (JOB, (*INPUT, "ShuffleConfig"), {"Seed": "one"}, WRONG_TYPE, "'inputDataConfig.1.member.shuffleConfig.seed'"),
    # resources and limits
    (JOB, ("ResourceConfig", "InstanceType"), "ml.m5.huge", INVALID, "'resourceConfig.instanceType'"),
    (JOB, ("ResourceConfig", "InstanceType"), "m5.large", INVALID, "'resourceConfig.instanceType'"),
    (JOB, ("ResourceConfig", "InstanceCount"), 0, INVALID, "ResourceConfig.InstanceCount = 0"),
    (JOB, ("ResourceConfig", "InstanceCount"), -1, INVALID, "'resourceConfig.instanceCount'"),
    (JOB, ("ResourceConfig", "InstanceCount"), 1.5, WRONG_TYPE, "'resourceConfig.instanceCount'"),
    (JOB, ("ResourceConfig", "InstanceCount"), 10**30, WRONG_TYPE, "out of range of an Integer"),
    (JOB, ("ResourceConfig", "InstanceCount"), True, WRONG_TYPE, "TRUE_VALUE can not be converted"),
    (JOB, ("ResourceConfig", "InstanceType"), None, INVALID, "ResourceConfig.InstanceType is missing"),
    (JOB, ("StoppingCondition", "MaxRuntimeInSeconds"), 0, INVALID, "value greater than or equal to 1"),
    (JOB, ("StoppingCondition", "MaxRuntimeInSeconds"), 2419201, INVALID, "must be at most 2419200"),
    (JOB, ("StoppingCondition", "MaxWaitTimeInSeconds"), 60, INVALID, "without EnableManagedSpotTraining"),
    (JOB, ("EnableManagedSpotTraining",), True, INVALID, "StoppingCondition.MaxWaitTimeInSeconds must be given"),
    (JOB, ("EnableManagedSpotTraining",), "yes", WRONG_TYPE, "'enableManagedSpotTraining'"),
    (JOB, ("RetryStrategy", "MaximumRetryAttempts"), 31, INVALID, "value less than or equal to 30"),
    (JOB, ("CheckpointConfig",), {"S3Uri": "s3://bucket/c", "LocalPath": "/etc"}, INVALID, "CheckpointConfig.Local"),
    (JOB, ("HyperParameters",), {"a": 1}, WRONG_TYPE, "'hyperParameters.a'"),
    (JOB, ("HyperParameters",), {"a": "x" * 2501}, INVALID, "'hyperParameters'"),
    (JOB, ("HyperParameters",), {"k" * 257: "v"}, INVALID, "Map keys must satisfy constraint"),
    (JOB, ("HyperParameters",), {f"k{n}": "v" for n in range(101)}, INVALID, "length less than or equal to 100"),
    (JOB, ("HyperParameters",), DEEP, WRONG_TYPE, "'hyperParameters.a'"),
    (JOB, ("Environment",), {"1A": "b"}, INVALID, "'environment'"),
    (JOB, ("Environment",), {"A=B": "b"}, INVALID, "'environment'"),
    (JOB, ("AlgorithmSpecification", "MetricDefinitions"), [{"Name": "m", "Regex": "x"}] * 41, INVALID, "equal to 40"),
    (JOB, ("AlgorithmSpecification",), DEEP, INVALID, "'algorithmSpecification.trainingInputMode'"),
    (JOB, ("VpcConfig", "Subnets"), [], INVALID, "'vpcConfig.subnets'"),
    # variants and weights
    (CONFIG, ("ProductionVariants",), [], INVALID, "length greater than or equal to 1"),
    (CONFIG, ("ProductionVariants",), [A_VARIANT] * 11, INVALID, "less than or equal to 10"),
    (CONFIG, ("ProductionVariants",), [A_VARIANT] * 2, INVALID, "'main' is given more than once"),
    (CONFIG, (*VARIANT, "InitialVariantWeight"), 0, INVALID, "Every InitialVariantWeight is 0"),
    (CONFIG, (*VARIANT, "InitialVariantWeight"), -0.1, INVALID, "'productionVariants.1.member.initialVariantWeight'"),
    (CONFIG, (*VARIANT, "InitialVariantWeight"), "much", WRONG_TYPE, "initialVariantWeight"),
    (CONFIG, (*VARIANT, "InitialInstanceCount"), 0, INVALID, "initialInstanceCount"),
    (CONFIG, (*VARIANT, "InstanceType"), "ml.nothing", INVALID, "'productionVariants.1.member.instanceType'"),
    (CONFIG, (*VARIANT, "InstanceType"), None, INVALID, "'main': InstanceType is missing"),
    (CONFIG, (*VARIANT, "ModelName"), "nothing", INVALID, f'Could not find model "{ARN}:model/nothing".'),
    (CONFIG, (*VARIANT, "VariantName"), "..", INVALID, "'productionVariants.1.member.variantName'"),
    (ENDPOINT, ("EndpointConfigName",), "nothing", INVALID, "Could not find endpoint configuration"),
    ("UpdateEndpoint", ("EndpointName",), "nothing", INVALID, "Could not find endpoint"),
    ("UpdateEndpoint", ("EndpointName",), "there", INVALID, "in status Failed: only DeleteEndpoint is accepted"),
    ("UpdateEndpoint", ("RetainAllVariantProperties",), False, INVALID, "without RetainAllVariantProperties"),
    ("UpdateEndpoint", ("ExcludeRetainedVariantProperties",), [{}], INVALID, "variantPropertyType"),
    # tags
    (JOB, ("Tags",), [{"Key": "aws:mine", "Value": "x"}], INVALID, "'aws:mine'"),
    (JOB, ("Tags",), [{"Key": "a", "Value": "x"}, {"Key": "a", "Value": "y"}], INVALID, "Duplicate tag key 'a'"),
    (MODEL, ("Tags",), [{"Key": f"k{n}", "Value": ""} for n in range(51)], INVALID, "length less than or equal to 50"),
    (MODEL, ("Tags",), [{"Key": "a"}], INVALID, "'tags.1.member.value'"),
    (MODEL, ("Tags",), [{"Key": "semi;colon", "Value": "x"}], INVALID, "'tags.1.member.key'"),
    ("AddTags", ("ResourceArn",), "there", INVALID, "'resourceArn'"),
    ("AddTags", ("ResourceArn",), f"{ARN}:model/nothing", INVALID, "Could not find resource"),
    ("AddTags", ("ResourceArn",), f"{ARN}:model/../../x", INVALID, "ResourceArn"),
    ("AddTags", ("ResourceArn",), "arn:aws:sagemaker:eu-west-1:000000000000:model/there", INVALID, "region us-east-1"),
    ("DeleteTags", ("TagKeys",), [], INVALID, "'tagKeys'"),
    ("ListTags", ("NextToken",), "x", INVALID, "NextToken is invalid"),
    ("ListTags", ("MaxResults",), 1, INVALID, "value greater than or equal to 50"),
    # lists
    ("ListTrainingJobs", ("MaxResults",), 101, INVALID, "value less than or equal to 100"),
    ("ListTrainingJobs", ("MaxResults",), 0, INVALID, "value greater than or equal to 1"),
    ("ListTrainingJobs", ("NextToken",), "made-up.token", INVALID, "NextToken is invalid"),
    ("ListTrainingJobs", ("NextToken",), "x" * 8193, INVALID, "length less than or equal to 8192"),
    ("ListTrainingJobs", ("StatusEquals",), "Done", INVALID, "enum value set: [InProgress, Completed"),
    ("ListTrainingJobs", ("SortBy",), "name", INVALID, "'sortBy'"),
    ("ListTrainingJobs", ("CreationTimeAfter",), "yesterday", WRONG_TYPE, "'creationTimeAfter'"),
    ("ListTrainingJobs", ("CreationTimeAfter",), 1e300, WRONG_TYPE, "'creationTimeAfter'"),
    ("ListTrainingJobs", ("CreationTimeAfter",), "0001-01-01T00:00:00+14:00", WRONG_TYPE, "'creationTimeAfter'"),
    ("ListEndpoints", ("NameContains",), "%", INVALID, "'nameContains'"),
    ("ListEndpoints", ("NameContains",), "x" * 64, INVALID, "length less than or equal to 63"),
    ("ListModels", ("SortOrder",), "Up", INVALID, "enum value set: [Ascending, Descending]"),
]  # fmt: skip


# ---- along the shapes ----

LONGEST = 3000  # of what is made too long


def leaves(operation: str) -> list[tuple[Path, Shape]]:
    found: list[tuple[Path, Shape]] = []
    shape = SAGEMAKER.shapes[SAGEMAKER.operations[operation].input]
    _walk(SAGEMAKER, shape, good(operation), (), found)
    return found


def breaking(shape: Shape) -> st.SearchStrategy[tuple[Any, str]]:
    """Values that a shape forbids, with a part of the message; "" where JSON itself is of the wrong type."""
    kind = shape["type"]
    strategies = [st.tuples(_of_another_type(kind), st.just(""))]
    if kind == "string":
        if shape.get("max", LONGEST) < LONGEST:
            longer = st.integers(1, 50).map(lambda extra: "x" * (shape["max"] + extra))
            strategies.append(st.tuples(longer, st.just(f"length less than or equal to {shape['max']}")))
        if "enum" in shape:
            others = st.text(max_size=20).filter(lambda text: text not in shape["enum"] and _is_text(text))
            strategies.append(st.tuples(others, st.just("enum value set: [")))
        if shape.get("pattern", ".*") not in (".*", r"[\S\s]*"):
            # A line end is nowhere in AWS's patterns of names, ARNs and URIs.
            lines = st.text(max_size=10).filter(_is_text).map(lambda text: f"{text}\r\n{text}")
            strategies.append(st.tuples(lines, st.just("regular expression pattern")))
    if kind in ("integer", "long", "float"):
        if "max" in shape:
            above = st.integers(shape["max"] + 1, 2**31 - 1)
            strategies.append(st.tuples(above, st.just(f"value less than or equal to {shape['max']}")))
        if "min" in shape:
            below = st.integers(-(2**31), shape["min"] - 1)
            strategies.append(st.tuples(below, st.just(f"value greater than or equal to {shape['min']}")))
    if kind == "list" and shape.get("min"):
        strategies.append(st.tuples(st.just([]), st.just(f"length greater than or equal to {shape['min']}")))
    return st.one_of(strategies)


def _is_text(text: str) -> bool:
    """Not what is refused before any rule is checked."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _of_another_type(kind: str) -> st.SearchStrategy[Any]:
    forms: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(-(10**20), 10**20),
        str: st.text(max_size=10),
        list: st.lists(st.integers(), max_size=2),
        dict: st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    }
    own = {"string": str, "integer": int, "long": int, "float": int, "boolean": bool, "list": list, "timestamp": int}
    without = {own.get(kind, dict)} | ({str} if kind == "timestamp" else set())
    return st.one_of([form for json_type, form in forms.items() if json_type not in without])


LEAVES = {operation: leaves(operation) for operation in OPERATIONS}


@st.composite
def broken_requests(draw: st.DrawFn) -> tuple[str, dict[str, Any], list[tuple[Path, str]]]:
    """An operation, a request, and which of its members break which rules."""
    operation = draw(st.sampled_from(OPERATIONS))
    request = copy.deepcopy(good(operation))
    chosen = draw(st.lists(st.sampled_from(LEAVES[operation]), min_size=1, max_size=3, unique_by=lambda leaf: leaf[0]))
    paths = [path for path, _ in chosen]
    rules = []
    for path, shape in chosen:
        if any(other != path and path[: len(other)] == other for other in paths):
            continue  # it lies within another one that is broken
        value, expected_text = draw(breaking(shape))
        put(request, path, value)
        rules.append((path, expected_text))
    return operation, request, rules
