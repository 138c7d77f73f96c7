"""The scenario through SageMaker SDK v2: nothing here knows of Clary; all it gets is the environment."""

import os
import tarfile
import tempfile
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearn
from sklearn.datasets import load_breast_cancer

SCRIPT = """
import argparse, glob, os
import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--name")
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    args = parser.parse_args()
    assert args.name == "a name", args.name
    table = np.vstack([np.loadtxt(path, delimiter=",") for path in glob.glob(f"{args.train}/*.csv")])
    model = LogisticRegression(C=args.alpha, max_iter=5000).fit(table[:, 1:], table[:, 0])
    print(f"train-accuracy={model.score(table[:, 1:], table[:, 0]):.4f};")
    joblib.dump(model, os.path.join(args.model_dir, "model.joblib"))

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""

role = os.environ["SAGEMAKER_ROLE_ARN"]
session = sagemaker.Session()
bucket = session.default_bucket()
features, labels = load_breast_cancer(return_X_y=True)
table = np.column_stack([labels, features])

with tempfile.TemporaryDirectory() as folder:
    np.savetxt(f"{folder}/train.csv", table[:400], delimiter=",")
    train = session.upload_data(f"{folder}/train.csv", bucket=bucket, key_prefix="v2/train")
    np.savetxt(f"{folder}/validation.csv", table[400:], delimiter=",")
    validation = session.upload_data(f"{folder}/validation.csv", bucket=bucket, key_prefix="v2/validation")

# ---- the built-in algorithm ----
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
estimator = Estimator(
    image,
    role,
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"s3://{bucket}/v2/output",
    hyperparameters={"num_round": 30, "objective": "binary:logistic", "eval_metric": "auc"},
    base_job_name="v2-xgboost",
)
estimator.fit(
    {
        "train": TrainingInput(train, content_type="text/csv"),
        "validation": TrainingInput(validation, content_type="text/csv"),
    },
    logs=True,
)
predictor = estimator.deploy(
    1, "ml.m5.large", serializer=CSVSerializer(), deserializer=CSVDeserializer(), endpoint_name="v2-xgboost"
)
scores = np.array([float(predictor.predict(row)[0][0]) for row in features[400:440]])
accuracy = float(np.mean((scores > 0.5) == labels[400:440]))
print(f"xgboost accuracy {accuracy:.3f}")
assert accuracy > 0.9, accuracy
predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")
assert float(predictor.predict(features[0])[0][0]) < 0.5
predictor.delete_model()
predictor.delete_endpoint()

again = Estimator.attach(estimator.latest_training_job.name)
assert again.model_data == estimator.model_data
with tempfile.TemporaryDirectory() as folder:
    sagemaker.s3.S3Downloader.download(estimator.model_data, folder)
    with tarfile.open(Path(folder) / "model.tar.gz") as archive:
        assert "xgboost-model" in archive.getnames(), archive.getnames()

# ---- a script of one's own ----
with tempfile.TemporaryDirectory() as folder:
    script = Path(folder) / "train.py"
    script.write_text(SCRIPT)
    sklearn = SKLearn(
        entry_point="train.py",
        source_dir=folder,
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        role=role,
        hyperparameters={"alpha": 0.5, "name": "a name"},
        metric_definitions=[{"Name": "train:accuracy", "Regex": "train-accuracy=(.*?);"}],
        base_job_name="v2-sklearn",
    )
    sklearn.fit({"train": train})
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=sklearn.latest_training_job.name)
    assert job["FinalMetricDataList"][0]["Value"] > 0.9, job["FinalMetricDataList"]
    predictor = sklearn.deploy(1, "ml.m5.large", endpoint_name="v2-sklearn")
    answers = predictor.predict(features[400:440])
    assert float(np.mean(answers == labels[400:440])) > 0.9
    predictor.delete_model()
    predictor.delete_endpoint()

client = boto3.client("sagemaker")
waiter = client.get_waiter("endpoint_deleted")
for name in ("v2-xgboost", "v2-sklearn"):
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
assert isinstance(predictor, Predictor)
print("SCENARIO PASSED")
