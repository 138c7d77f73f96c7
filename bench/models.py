"""A model of XGBoost's on the breast cancer table, made without Clary, and an endpoint for it."""

from __future__ import annotations

import io
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from bench.servers import XGBOOST, Server, soon

ROW = b",".join([b"0.5"] * 30)


@cache
def model_file() -> bytes:
    """As XGBoost saves it."""
    import xgboost

    from clary.demo.data import breast_cancer

    train = breast_cancer()["train"]
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(train.features, train.labels), 50)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ubj"
        booster.save_model(path)
        return path.read_bytes()


def upload_model(live: Server) -> str:
    """Its URI, as model.tar.gz."""
    archive, model = io.BytesIO(), model_file()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(model)
        tar.addfile(member, io.BytesIO(model))
    live.s3.put_object(Bucket=live.bucket, Key="model/model.tar.gz", Body=archive.getvalue())
    return f"s3://{live.bucket}/model/model.tar.gz"


def register(live: Server) -> None:
    """The model and the endpoint configuration `bench`."""
    container = {"Image": XGBOOST, "ModelDataUrl": upload_model(live)}
    live.sagemaker.create_model(ModelName="bench", PrimaryContainer=container, ExecutionRoleArn=live.role)
    variant: dict[str, Any] = {
        "VariantName": "main",
        "ModelName": "bench",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    live.sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])


def deploy(live: Server, name: str) -> None:
    """An endpoint of that configuration; it is in service when this returns."""
    live.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="bench")

    def in_service() -> bool | None:
        endpoint = live.sagemaker.describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] == "Failed":
            raise RuntimeError(f"endpoint {name}: {endpoint['FailureReason']}")
        return True if endpoint["EndpointStatus"] == "InService" else None

    soon(in_service, 60, f"endpoint {name} to be in service")


def invoke(live: Server, name: str) -> float:
    answer = live.runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=ROW)
    return float(answer["Body"].read())
