"""The same job on servers set up otherwise: another S3, PostgreSQL, TLS, no sandbox."""

from __future__ import annotations

import ssl
import uuid
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.live import LiveServer, live_server
from tests.postgres import fresh_database
from tests.s3server import running_s3

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROWS = "\n".join(f"{row % 2},{row % 7},{row % 2 * 3 + row % 5}" for row in range(60)).encode()


def train_and_ask(server: LiveServer, bucket: str) -> None:
    """Upload, train, deploy, invoke: the usual steps."""
    server.s3.put_object(Bucket=bucket, Key="in/train.csv", Body=ROWS)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}
    server.sagemaker.create_training_job(
        TrainingJobName="j",
        AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        RoleArn=server.role,
        HyperParameters={"num_round": "5", "objective": "binary:logistic"},
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
    )
    job = server.job("j")
    assert job["TrainingJobStatus"] == "Completed", job
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{bucket}/out/j/output/model.tar.gz"
    assert server.s3.head_object(Bucket=bucket, Key="out/j/output/model.tar.gz")["ContentLength"] > 0
    container = {"Image": XGBOOST, "ModelDataUrl": model}
    server.sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=server.role)
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    server.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    server.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    endpoint = server.endpoint("e")
    assert endpoint["EndpointStatus"] == "InService", endpoint
    answer = server.runtime.invoke_endpoint(EndpointName="e", ContentType="text/csv", Body="1,4")
    assert 0 < float(answer["Body"].read()) < 1


def test_an_s3_of_ones_own(tmp_path):
    with running_s3(tmp_path) as s3:
        s3.client().create_bucket(Bucket="theirs")
        with live_server(
            f's3_endpoint_url = "{s3.service.url}"\n'
            f's3_access_key_id = "{s3.credentials.access_key_id}"\n'
            f's3_secret_access_key = "{s3.credentials.secret_access_key}"\n'
        ) as server:
            train_and_ask(server, "theirs")
            assert "s3" not in server.status()
            assert not (server.home / "s3").exists()


def test_records_in_postgresql():
    with live_server(f'database_url = "{fresh_database(f"live_{uuid.uuid4().hex[:8]}")}"') as server:
        train_and_ask(server, server.bucket)
        assert not (server.home / "clary.db").exists()


def test_without_a_sandbox():
    with live_server('sandbox = "none"') as server:
        train_and_ask(server, server.bucket)


def test_over_tls(tmp_path):
    certificate, key = self_signed(tmp_path)
    with live_server(f'tls_certificate = "{certificate}"\ntls_key = "{key}"') as server:
        environment = server.environment
        assert environment["AWS_ENDPOINT_URL"].startswith("https://127.0.0.1:")
        assert environment["AWS_CA_BUNDLE"] == str(certificate)
        server.verify = str(certificate)
        train_and_ask(server, server.bucket)
        assert all(server.status()[part]["healthy"] for part in ("server", "gateway", "s3"))
        with pytest.raises(ssl.SSLError):
            ssl.get_server_certificate(("127.0.0.1", server.port), ca_certs=_somebody_elses(tmp_path), timeout=10)


def _somebody_elses(folder: Path) -> str:
    return str(self_signed(folder / "other")[0])
