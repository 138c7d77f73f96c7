"""What a processing job can do, through plain boto3 and shell scripts: its contract as a user meets it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.aws import BUCKET, ROLE, XGBOOST, aws, client, keys, put, read
from tests.live import LiveServer, until

GROUP = "/aws/sagemaker/ProcessingJobs"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[LiveServer]:
    with aws() as server:
        yield server


def an_input(name: str, uri: str, **source: str) -> dict[str, Any]:
    defaults = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3DataType": "S3Prefix"}
    return {"InputName": name, "S3Input": {**defaults, **source}}


def an_output(name: str, uri: str, **target: str) -> dict[str, Any]:
    defaults = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "S3Output": {**defaults, **target}}


def start(name: str, script: str, *data: dict[str, Any], count: int = 1, **request: Any) -> None:
    """A processing job of a shell script; `data` holds its inputs and outputs, by the member that names them."""
    inputs = [item for item in data if "InputName" in item]
    outputs = [item for item in data if "OutputName" in item]
    client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        AppSpecification={
            "ImageUri": XGBOOST,
            "ContainerEntrypoint": ["/bin/sh", "-eu", "-c"],
            # Of 256 characters at most.
            "ContainerArguments": [" ".join(script.split()), "script", *request.pop("arguments", ())],
        },
        RoleArn=ROLE,
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}
        },
        **({"ProcessingInputs": inputs} if inputs else {}),
        **({"ProcessingOutputConfig": {"Outputs": outputs}} if outputs else {}),
        **request,
    )


def ended(name: str) -> dict[str, Any]:
    """The job when it is over, as AWS's waiter finds it."""
    sagemaker = client("sagemaker")
    waiter = sagemaker.get_waiter("processing_job_completed_or_stopped")
    waiter.wait(ProcessingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return describe(name)


def describe(name: str) -> dict[str, Any]:
    job: dict[str, Any] = client("sagemaker").describe_processing_job(ProcessingJobName=name)
    return job


def in_final_status(name: str) -> dict[str, Any]:
    """The job once it is in any final status: the waiter raises for Failed."""

    def described_if_over() -> dict[str, Any] | None:
        return job if (job := describe(name))["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return until(described_if_over, 60, f"{name} to be over")


def log(name: str) -> list[str]:
    events = client("logs").filter_log_events(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["events"]
    return [event["message"] for event in events]


def test_data_goes_in_and_comes_out(server):
    put("raw/a.csv", "1\n")
    put("raw/sub/b.csv", "2\n")
    start(
        "sum",
        """
        test $# = 1; echo $1 $GREETING; cd /opt/ml/processing; ls out;
        mkdir out/by; cat raw/a.csv raw/sub/b.csv > out/by/rows.csv; ln -s by/rows.csv out/link;
        echo good > /opt/ml/output/message
        """,
        an_input("raw", f"s3://{BUCKET}/raw/"),
        an_output("out", f"s3://{BUCKET}/clean"),
        arguments=["an argument"],
        Environment={"GREETING": "hello"},
        ExperimentConfig={"TrialName": "t"},
        Tags=[{"Key": "team", "Value": "risk"}],
    )
    job = ended("sum")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "good\n")
    assert keys("clean/") == ["by/rows.csv"]
    assert read(f"s3://{BUCKET}/clean/by/rows.csv") == b"1\n2\n"
    assert log("sum") == ["an argument hello"]
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"] <= job["LastModifiedTime"]
    assert job["ExperimentConfig"] == {"TrialName": "t"}
    tags = client("sagemaker").list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "risk"}]
    assert "Completed" in server.status()["resources"]["processing-job"]
    assert "an argument hello" in server.clary("logs", "sum").stdout


def test_the_program_in_the_docs():
    put("rows/a.csv", "1\n2\n")
    text = (Path(__file__).parents[2] / "docs" / "processing.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(program, {})
    assert ended("count")["ProcessingJobStatus"] == "Completed"
    assert read(f"s3://{BUCKET}/counted/counted").split() == [b"2", b"/opt/ml/processing/rows/a.csv"]


def test_two_hosts_share_the_data_and_merge_what_they_make():
    for number in range(4):
        put(f"shards/{number}.csv", f"{number}\n")
    start(
        "two-hosts",
        """
        config=/opt/ml/config/resourceconfig.json;
        host=$(python3 -c "import json; print(json.load(open('$config'))['current_host'])");
        getent hosts algo-1 algo-2 > /dev/null; cd /opt/ml/processing;
        cat in/* > out/$host; echo $host > /opt/ml/output/message
        """,
        an_input("in", f"s3://{BUCKET}/shards/", S3DataDistributionType="ShardedByS3Key"),
        an_output("out", f"s3://{BUCKET}/two-hosts/"),
        count=2,
    )
    job = ended("two-hosts")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "algo-1\nalgo-2\n")
    assert keys("two-hosts/") == ["algo-1", "algo-2"]
    parts = [read(f"s3://{BUCKET}/two-hosts/{host}").split() for host in ("algo-1", "algo-2")]
    assert sorted(parts[0] + parts[1]) == [b"0", b"1", b"2", b"3"]
    assert [len(part) for part in parts] == [2, 2]
    streams = client("logs").describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="two-hosts/")["logStreams"]
    assert [re.sub(r"-\d{13}$", "", stream["logStreamName"]) for stream in streams] == [
        f"two-hosts/algo-{host}" for host in (1, 2)
    ]


def test_a_manifest_names_its_files():
    for name in ("a", "b", "c"):
        put(f"many/{name}.csv", f"{name}\n")
    uri = put("many.manifest", json.dumps([{"prefix": f"s3://{BUCKET}/many/"}, "a.csv", "c.csv"]))
    start("manifest", "cd /opt/ml/processing/in; cat *", an_input("in", uri, S3DataType="ManifestFile"))
    ended("manifest")
    assert log("manifest") == ["a", "c"]


def test_files_are_uploaded_while_the_job_runs():
    start(
        "continuous",
        "echo 1 > /opt/ml/processing/out/first; exec sleep 600",
        an_output("out", f"s3://{BUCKET}/continuous", S3UploadMode="Continuous"),
    )
    until(lambda: keys("continuous/") == ["first"] or None, 30, "the first file")
    (job,) = client("sagemaker").list_processing_jobs(NameContains="continuous")["ProcessingJobSummaries"]
    assert job["ProcessingJobStatus"] == "InProgress"
    client("sagemaker").stop_processing_job(ProcessingJobName="continuous")
    assert in_final_status("continuous")["ProcessingJobStatus"] == "Stopped"
    assert keys("continuous/") == ["first"]


def test_a_stopped_job_keeps_what_it_has():
    start(
        "stopped",
        """
        trap 'echo half > /opt/ml/processing/out/half; echo bye > /opt/ml/output/message; exit 0' TERM;
        echo ready; while :; do sleep 0.05; done
        """,
        an_output("out", f"s3://{BUCKET}/stopped"),
    )
    until(lambda: _is_ready("stopped"), 30, "the job to be ready")
    client("sagemaker").stop_processing_job(ProcessingJobName="stopped")
    job = in_final_status("stopped")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Stopped", "bye\n")
    assert keys("stopped/") == ["half"]
    with pytest.raises(ClientError, match="processing job is in status Stopped"):
        client("sagemaker").stop_processing_job(ProcessingJobName="stopped")


def _is_ready(name: str) -> bool | None:
    logs = client("logs")
    try:
        return "ready" in log(name) or None
    except logs.exceptions.ResourceNotFoundException:
        return None


def test_a_job_past_its_time_is_stopped_with_a_reason():
    start(
        "late",
        "echo early > /opt/ml/processing/out/early; exec sleep 60",
        an_output("out", f"s3://{BUCKET}/late"),
        StoppingCondition={"MaxRuntimeInSeconds": 1},
    )
    job = in_final_status("late")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["FailureReason"].startswith("MaxRuntimeExceeded: ")
    assert keys("late/") == ["early"]


FAILURES = {
    "exits": ("echo on; exit 3", "AlgorithmError: , exit code: 3. Last lines of the log:\non", None),
    "reports": ("echo a reason > /opt/ml/output/failure; exit 1", "AlgorithmError: a reason", None),
    "message": ("echo row 7 > /opt/ml/output/message; exit 1", "AlgorithmError: , exit code: 1", "row 7\n"),
    "no-utf8": (
        "printf '\\377' > /opt/ml/output/message",
        "ClientError: /opt/ml/output/message is not valid UTF-8: invalid start byte",
        None,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_job_has_a_failure_reason(name):
    script, reason, message = FAILURES[name]
    script = f"echo kept > /opt/ml/processing/out/kept; {script}"
    start(f"fails-{name}", script, an_output("out", f"s3://{BUCKET}/{name}"))
    job = in_final_status(f"fails-{name}")
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert job.get("ExitMessage") == message
    assert keys(f"{name}/") == ["kept"], "what it made is uploaded all the same"


def test_one_host_that_fails_fails_the_job():
    start(
        "one-fails",
        """
        host=$(python3 -c "import json; print(json.load(open('/opt/ml/config/resourceconfig.json'))['current_host'])");
        test $host = algo-2 && exit 4; exec sleep 600
        """,
        count=2,
    )
    job = in_final_status("one-fails")
    assert job["ProcessingJobStatus"] == "Failed"
    assert "exit code: 4 (algo-2)" in job["FailureReason"]


def test_a_deleted_job_is_gone_and_its_name_free():
    sagemaker = client("sagemaker")
    for _ in range(2):
        start("again", "true")
        ended("again")
        sagemaker.delete_processing_job(ProcessingJobName="again")
        with pytest.raises(ClientError, match="Could not find requested job with name: again"):
            describe("again")


def test_the_list_is_filtered_sorted_and_paged():
    for name in ("listed-b", "listed-a", "listed-c"):
        start(name, "true")
        ended(name)
    pages = client("sagemaker").get_paginator("list_processing_jobs").paginate(
        NameContains="listed-", StatusEquals="Completed", SortBy="Name", SortOrder="Descending", MaxResults=2
    )  # fmt: skip
    assert [[job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] for page in pages] == [
        ["listed-c", "listed-b"],
        ["listed-a"],
    ]


@pytest.mark.parametrize("image", ["clary/data:1", "000000000000.dkr.ecr.us-east-1.amazonaws.com/clary/data:latest"])
def test_the_data_image_is_a_program_of_the_servers_own(image):
    name = f"data-{len(image)}"
    client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        AppSpecification={"ImageUri": image, "ContainerArguments": ["--help"]},
        RoleArn=ROLE,
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    )
    assert ended(name)["ProcessingJobStatus"] == "Completed"
    log_text = "\n".join(log(name))
    assert "usage: python -m clary.tasks.recipe_job" in log_text
    assert "[/opt/ml/processing/output]" in log_text
