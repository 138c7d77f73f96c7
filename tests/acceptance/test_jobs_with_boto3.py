"""What a training job can do, through plain boto3 and shell scripts: the contract of /opt/ml as a user meets it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.acceptance.aws import BUCKET, XGBOOST, a_channel, aws, client, ended, keys, log, members, put, read, start
from tests.live import LiveServer, until


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[LiveServer]:
    with aws() as server:
        yield server


def test_a_stopped_job_keeps_what_it_has():
    start(
        "stopped",
        "trap 'echo saving; echo half > /opt/ml/model/half; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    )
    sagemaker = client("sagemaker")
    until(lambda: "ready" in _log_so_far("stopped") or None, 30, "the job to be ready")
    sagemaker.stop_training_job(TrainingJobName="stopped")
    job = ended("stopped")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert members(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"half": "half\n"}
    assert "saving" in log("stopped")


def _log_so_far(name: str) -> list[str]:
    logs = client("logs")
    try:
        return log(name)
    except logs.exceptions.ResourceNotFoundException:
        return []


def test_a_job_past_its_time_is_stopped_and_not_failed():
    start("late", "echo early > /opt/ml/model/early; exec sleep 60", MaxRuntimeInSeconds=1)
    job = ended("late")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert members(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"early": "early\n"}


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        (
            "failed-with-a-file",
            "echo 'no column: age' > /opt/ml/output/failure; exit 3",
            "AlgorithmError: no column: age",
        ),
        ("failed-without", "echo the last line; exit 3", "the last line"),
    ],
)
def test_a_failed_job_has_a_failure_reason(name, script, reason):
    sagemaker = client("sagemaker")
    start(name, script)
    with pytest.raises(WaiterError, match='we matched expected path: "Failed"'):
        ended(name)
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]
    assert job["FailureReason"].startswith("AlgorithmError: ")


def test_a_job_finds_what_its_request_contains():
    """Hyperparameters to the letter, its channels, its environment, its name."""
    hyperparameters = {"words": '"a b"', "layers": "[1, 2]", "ключ": "\u2603 \\", "empty": ""}
    put("few/a.csv", "1,2\n")
    start(
        "found",
        "cd /opt/ml/input; cp config/*.json /opt/ml/model; cp data/train/a.csv /opt/ml/model; env > /opt/ml/model/env",
        HyperParameters=hyperparameters,
        InputDataConfig=[a_channel("train", f"s3://{BUCKET}/few/")],
        Environment={"MINE": "yes"},
    )
    files = members(ended("found")["ModelArtifacts"]["S3ModelArtifacts"])
    assert json.loads(files["hyperparameters.json"]) == hyperparameters
    assert json.loads(files["inputdataconfig.json"])["train"]["S3DistributionType"] == "FullyReplicated"
    assert files["a.csv"] == "1,2\n"
    variables = files["env"].splitlines()
    assert {"MINE=yes", "TRAINING_JOB_NAME=found", "AWS_REGION=us-east-1"} <= set(variables)


def test_metrics_are_the_last_value_of_each_and_a_tab_may_read_as_in_aws_logs():
    start(
        "metrics",
        r"printf '[0]\tvalidation-auc:0.5\n[1]\tvalidation-auc:0.25\nloss=nan\nloss=oops\n'",
        AlgorithmSpecification={
            "MetricDefinitions": [
                {"Name": "auc", "Regex": r".*\[[0-9]+\].*#011validation-auc:(\S+)"},
                {"Name": "loss", "Regex": r"loss=(\S+)"},
            ]
        },
    )
    metrics = {metric["MetricName"]: metric["Value"] for metric in ended("metrics")["FinalMetricDataList"]}
    assert metrics == {"auc": 0.25}


def test_checkpoints_outlive_a_job_and_the_next_one_goes_on_from_them():
    checkpoints = {"S3Uri": f"s3://{BUCKET}/checkpoints/run"}
    script = "cd /opt/ml/checkpoints; cat epoch 2>/dev/null || true; echo one more >> epoch"
    for name in ("epoch-1", "epoch-2"):
        start(name, script, CheckpointConfig=checkpoints)
        assert ended(name)["TrainingJobStatus"] == "Completed"
    assert read(f"s3://{BUCKET}/checkpoints/run/epoch") == b"one more\none more\n"
    assert (log("epoch-1"), log("epoch-2")) == ([], ["one more"])


def test_a_manifest_names_the_objects_of_a_channel():
    for name in ("a", "b", "c"):
        put(f"many/{name}.csv", f"{name}\n")
    manifest = [{"prefix": f"s3://{BUCKET}/many/"}, "a.csv", "c.csv"]
    uri = put("list.manifest", json.dumps(manifest))
    start(
        "manifest",
        "cd /opt/ml/input/data/train; for file in *; do echo $file $(cat $file); done",
        InputDataConfig=[a_channel("train", uri, S3DataType="ManifestFile")],
    )
    ended("manifest")
    assert log("manifest") == ["a.csv a", "c.csv c"]


def test_a_prefix_is_a_string_and_not_a_folder():
    for key in ("set-1/x", "set-10/y", "other/z"):
        put(f"prefixes/{key}", key)
    start(
        "prefix",
        "cd /opt/ml/input/data/train; find . -type f | sort",
        InputDataConfig=[a_channel("train", f"s3://{BUCKET}/prefixes/set-1")],
    )
    ended("prefix")
    assert log("prefix") == ["./0/y", "./x"]


def test_two_hosts_know_each_other_share_the_data_and_merge_what_they_make():
    for number in range(4):
        put(f"shards/{number}.csv", f"{number}\n")
    start(
        "two-hosts",
        """
        config=/opt/ml/input/config/resourceconfig.json
        host=$(python3 -c "import json; print(json.load(open('$config'))['current_host'])")
        python3 -c 'import socket; [socket.gethostbyname(f"algo-{n}") for n in (1, 2)]'
        cat /opt/ml/input/data/train/* > /opt/ml/model/$host
        echo $host was here
        """,
        InstanceCount=2,
        InputDataConfig=[a_channel("train", f"s3://{BUCKET}/shards/", S3DataDistributionType="ShardedByS3Key")],
    )
    job = ended("two-hosts")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    files = members(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert set(files) == {"algo-1", "algo-2"}
    assert sorted("".join(files.values()).split()) == ["0", "1", "2", "3"]
    assert all(len(text.split()) == 2 for text in files.values())
    assert sorted(log("two-hosts")) == ["algo-1 was here", "algo-2 was here"]
    streams = client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="two-hosts/"
    )["logStreams"]
    assert [re.sub(r"-\d{13}$", "", stream["logStreamName"]) for stream in streams] == [
        f"two-hosts/algo-{host}" for host in (1, 2)
    ]


def test_output_can_be_left_as_files():
    start(
        "plain",
        "mkdir /opt/ml/model/sub; echo 1 > /opt/ml/model/sub/a; echo 2 > /opt/ml/output/data/b",
        OutputDataConfig={"CompressionType": "NONE"},
    )
    job = ended("plain")
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/plain/output/model/"
    assert sorted(keys("out/plain/output/")) == ["data/b", "model/sub/a"]


def test_a_job_in_isolation_gets_its_data_and_no_network(server):
    if not any(found["name"] == "bubblewrap" and found["present"] for found in doctor(server)):
        pytest.skip("without bubblewrap isolation is refused")
    put("few/a.csv", "1,2\n")
    script = f"""
        cat /opt/ml/input/data/train/a.csv
        reach='import socket; socket.create_connection(("127.0.0.1", {server.port}), 5)'
        python3 -c "$reach" && echo reached || echo alone
        """
    for name, isolated in (("alone", True), ("among-others", False)):
        start(
            name,
            script,
            EnableNetworkIsolation=isolated,
            InputDataConfig=[a_channel("train", f"s3://{BUCKET}/few/")],
        )
        assert ended(name)["EnableNetworkIsolation"] is isolated
        assert [line for line in log(name) if line in ("reached", "alone", "1,2")] == [
            "1,2",
            "alone" if isolated else "reached",
        ]


def doctor(server: LiveServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.clary("doctor", "--json").stdout)
    return found


def test_tags_go_along_with_a_resource():
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model(
        ModelName="tagged", PrimaryContainer={"Image": XGBOOST}, Tags=[{"Key": "team", "Value": "garden"}]
    )["ModelArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "0"}])
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    assert {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]} == {"team": "garden", "cost": "0"}
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "0"}]
    sagemaker.delete_model(ModelName="tagged")


def test_paginators_see_each_job_once():
    sagemaker = client("sagemaker")
    start("page-1", "true")
    start("page-2", "true")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 1})
    names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    assert len(names) == len(set(names))
    assert names[-2:] == ["page-1", "page-2"]
    for name in ("page-1", "page-2"):
        ended(name)
        sagemaker.delete_training_job(TrainingJobName=name)
    deleted = until(lambda: not _named(sagemaker, "page-") or None, 10, "the jobs to be deleted")
    assert deleted


def _named(sagemaker: Any, part: str) -> list[str]:
    return [job["TrainingJobName"] for job in sagemaker.list_training_jobs(NameContains=part)["TrainingJobSummaries"]]
