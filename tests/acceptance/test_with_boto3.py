"""The main scenario through plain boto3: train on real data, deploy two variants, invoke, move the traffic, clean up.

Nothing here knows of Clary but the server's start; clients get only the environment. The README's program is run as it
stands there.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from tests.acceptance.aws import BUCKET, ROLE, XGBOOST, a_channel, aws, client, ended, log, put, read, start
from tests.live import LiveServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[LiveServer]:
    with aws() as server:
        yield server


class Cancer:
    """Real data: the breast-cancer table, in three parts."""

    features, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(labels))
    train, validation, test = np.split(order, [350, 450])

    @classmethod
    def csv(cls, rows: Any) -> str:
        table = np.column_stack([cls.labels[rows], cls.features[rows]])
        return "\n".join(",".join(f"{value:g}" for value in row) for row in table)

    @classmethod
    def row(cls, index: int) -> str:
        return ",".join(f"{value:g}" for value in cls.features[index])


@pytest.fixture(scope="module")
def models(server) -> list[str]:
    """Two models, trained one after the other."""
    put("cancer/train/train.csv", Cancer.csv(Cancer.train))
    put("cancer/validation/validation.csv", Cancer.csv(Cancer.validation))
    for name, depth in (("shallow", "2"), ("deep", "6")):
        start(
            name,
            HyperParameters={
                "num_round": "30",
                "max_depth": depth,
                "objective": "binary:logistic",
                "eval_metric": "auc",
            },
            InputDataConfig=[
                a_channel("train", f"s3://{BUCKET}/cancer/train/"),
                a_channel("validation", f"s3://{BUCKET}/cancer/validation/"),
            ],
        )
    for name in ("shallow", "deep"):
        job = ended(name)
        assert job["TrainingJobStatus"] == "Completed", job
        container = {"Image": XGBOOST, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
        client("sagemaker").create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    return ["shallow", "deep"]


def test_a_trained_job_has_metrics_a_log_and_a_model(models):
    job = ended("shallow")
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert metrics["validation:auc"] > 0.95
    statuses = [entry["Status"] for entry in job["SecondaryStatusTransitions"] if entry["Status"] != "Pending"]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    last_round = [line for line in log("shallow") if "validation-auc" in line][-1]
    assert float(re.search(r"validation-auc:(\S+)", last_round)[1]) == pytest.approx(metrics["validation:auc"])
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/shallow/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(read(job["ModelArtifacts"]["S3ModelArtifacts"]))) as archive:
        assert "xgboost-model" in [name.removeprefix("./") for name in archive.getnames()]


def test_two_variants_share_the_traffic_until_all_of_it_moves(models):
    sagemaker, runtime = client("sagemaker"), client("sagemaker-runtime")
    weights = {"shallow": 0.7, "deep": 0.3}
    sagemaker.create_endpoint_config(
        EndpointConfigName="both",
        ProductionVariants=[
            {
                "VariantName": model,
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": weight,
            }
            for model, weight in weights.items()
        ],
    )
    sagemaker.create_endpoint(EndpointName="cancer", EndpointConfigName="both")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="cancer", WaiterConfig={"Delay": 1})

    def invoke(row: int, **members: str) -> tuple[float, str]:
        answer = runtime.invoke_endpoint(EndpointName="cancer", ContentType="text/csv", Body=Cancer.row(row), **members)
        return float(answer["Body"].read()), answer["InvokedProductionVariant"]

    answers = [invoke(row) for _ in range(3) for row in Cancer.test]
    scores = [score for score, _ in answers[: len(Cancer.test)]]
    assert roc_auc_score(Cancer.labels[Cancer.test], scores) > 0.95
    share = Counter(variant for _, variant in answers)["shallow"] / len(answers)
    # Some 360 answers: five standard deviations to either side.
    assert share == pytest.approx(0.7, abs=5 * (0.7 * 0.3 / len(answers)) ** 0.5)
    assert {invoke(0, TargetVariant="deep")[1] for _ in range(10)} == {"deep"}
    batch = runtime.invoke_endpoint(
        EndpointName="cancer", ContentType="text/csv", Body="\n".join(map(Cancer.row, range(5))), Accept="text/csv"
    )
    assert len(re.split(r"[,\n]", batch["Body"].read().decode().strip())) == 5

    # All the traffic to one, by weight; then the other's fleet goes.
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="cancer",
        DesiredWeightsAndCapacities=[
            {"VariantName": "shallow", "DesiredWeight": 0},
            {"VariantName": "deep", "DesiredWeight": 1, "DesiredInstanceCount": 2},
        ],
    )
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="cancer", WaiterConfig={"Delay": 1})
    assert {invoke(row)[1] for row in Cancer.test[:20]} == {"deep"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="one",
        ProductionVariants=[
            {"VariantName": "deep", "ModelName": "deep", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    sagemaker.update_endpoint(EndpointName="cancer", EndpointConfigName="one")
    invocations = 0
    while sagemaker.describe_endpoint(EndpointName="cancer")["EndpointStatus"] == "Updating":
        assert invoke(0)[1] == "deep", "it serves all the while"
        invocations += 1
    endpoint = sagemaker.describe_endpoint(EndpointName="cancer")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "one")
    assert [variant["VariantName"] for variant in endpoint["ProductionVariants"]] == ["deep"]

    sagemaker.delete_endpoint(EndpointName="cancer")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="cancer", WaiterConfig={"Delay": 1})
    with pytest.raises(runtime.exceptions.ClientError, match="not found"):
        invoke(0)


def test_the_readmes_program_runs_as_it_stands_there(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "iris.py").write_text(program)
    done = subprocess.run([sys.executable, "iris.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Completed [")
    answer = done.stdout.strip().splitlines()[-1]
    probabilities = [float(number) for number in re.findall(r"[0-9.e-]+", answer)]
    assert (len(probabilities), int(np.argmax(probabilities))) == (3, 0)
