"""The steps of the demo: everything through boto3, as it would be done at AWS."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import numpy as np
from botocore.config import Config
from numpy.typing import NDArray

from clary.demo.data import Split

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ROUNDS = 120

# What differs between the two models that share the traffic.
MODELS: Mapping[str, Mapping[str, str]] = {
    "deep": {"max_depth": "6", "eta": "0.1", "subsample": "0.8", "colsample_bytree": "0.6"},
    "shallow": {"max_depth": "2", "eta": "0.2"},
}
WEIGHTS = {"deep": 70.0, "shallow": 30.0}
ENDPOINT = "breast-cancer"

_EVALUATION = re.compile(r"\[(\d+)\].*?train-logloss:(\S+).*?validation-logloss:(\S+).*?validation-auc:(\S+)")


@dataclass(frozen=True, slots=True)
class Round:
    """The metrics of a boosting round."""

    number: int
    train_logloss: float
    validation_logloss: float
    validation_auc: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's answer."""

    variant: str
    score: float
    seconds: float


class Tour:
    """The clients, and what can be done with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )
        config = Config(s3={"addressing_style": "path"})
        endpoint = environment["AWS_ENDPOINT_URL"]
        self.s3 = session.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL_S3"], config=config)
        self.sagemaker = session.client("sagemaker", endpoint_url=endpoint)
        self.logs = session.client("logs", endpoint_url=endpoint)
        self.runtime = session.client(
            "sagemaker-runtime", endpoint_url=environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"]
        )
        self.bucket = environment["SAGEMAKER_DEFAULT_BUCKET"]
        self.role = environment["SAGEMAKER_ROLE_ARN"]

    def upload(self, data: Mapping[str, Split]) -> int:
        """Put the training tables into S3. Returns their size in bytes."""
        size = 0
        for channel in ("train", "validation"):
            body = data[channel].csv()
            size += len(body)
            self.s3.put_object(Bucket=self.bucket, Key=f"demo/{channel}/data.csv", Body=body)
        return size

    def start_training(self, name: str) -> None:
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=self.role,
            HyperParameters={
                "num_round": str(ROUNDS),
                "objective": "binary:logistic",
                "eval_metric": "logloss,auc",
                **MODELS[name],
            },
            InputDataConfig=[self._channel("train"), self._channel("validation")],
            OutputDataConfig={"S3OutputPath": f"s3://{self.bucket}/demo/output"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )

    def _channel(self, name: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/demo/{name}/"}
        return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}

    def rounds(self, name: str) -> Iterator[Round]:
        """The rounds of a training job as they are logged, until it has ended. Raises RuntimeError if it failed."""
        token: dict[str, str] = {}
        while True:
            # Describe would hold its first answer back until the job is done (describe_wait_s); List never waits.
            (job,) = self.sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
            for line in self._new_lines(name, token):
                if found := _EVALUATION.search(line):
                    yield Round(int(found[1]), float(found[2]), float(found[3]), float(found[4]))
            if job["TrainingJobStatus"] == "Completed":
                return
            if job["TrainingJobStatus"] in ("Failed", "Stopped"):
                described = self.sagemaker.describe_training_job(TrainingJobName=name)
                raise RuntimeError(f"the training job {name} ended: {described.get('FailureReason', 'stopped')}")
            time.sleep(0.2)

    def _new_lines(self, name: str, token: dict[str, str]) -> Iterator[str]:
        try:
            streams = self.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
        except self.logs.exceptions.ResourceNotFoundException:
            return
        for stream in streams["logStreams"]:
            page = self.logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True, **token
            )
            token["nextToken"] = page["nextForwardToken"]
            yield from (event["message"] for event in page["events"])

    def deploy(self) -> None:
        """One endpoint, a variant for each model, the traffic shared by WEIGHTS. Returns when it serves."""
        variants = []
        for name, weight in WEIGHTS.items():
            job = self.sagemaker.describe_training_job(TrainingJobName=name)
            container = {"Image": IMAGE, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
            self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.role)
            variants.append(
                {
                    "VariantName": name,
                    "ModelName": name,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": weight,
                }
            )
        self.sagemaker.create_endpoint_config(EndpointConfigName=ENDPOINT, ProductionVariants=variants)
        self.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
        while (status := self.sagemaker.describe_endpoint(EndpointName=ENDPOINT))["EndpointStatus"] != "InService":
            if status["EndpointStatus"] == "Failed":
                raise RuntimeError(f"the endpoint failed: {status['FailureReason']}")
            time.sleep(0.1)

    def invoke(self, row: bytes) -> Answer:
        """The score of one row."""
        started = time.perf_counter()
        response = self.runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="text/csv", Body=row)
        score = float(response["Body"].read())
        return Answer(response["InvokedProductionVariant"], score, time.perf_counter() - started)

    def clean_up(self) -> None:
        """Delete everything that was created; returns when the endpoint no longer exists."""
        self.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
        self.sagemaker.delete_endpoint_config(EndpointConfigName=ENDPOINT)
        for name in MODELS:
            self.sagemaker.delete_model(ModelName=name)
        waiter = self.sagemaker.get_waiter("endpoint_deleted")
        waiter.wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the answers are: share of right ones at a score of 0.5, area under the ROC curve."""

    accuracy: float
    auc: float


def quality(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> Quality:
    from sklearn.metrics import accuracy_score, roc_auc_score

    return Quality(float(accuracy_score(labels, scores > 0.5)), float(roc_auc_score(labels, scores)))
