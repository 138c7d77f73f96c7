"""The scenario through SageMaker SDK v3: nothing here knows of Clary; all it gets is the environment."""

import os
import tempfile
from pathlib import Path

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode, StoppingCondition

SCRIPT = """
import argparse, json, os, pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
parser.add_argument("--layers", type=json.loads)
args = parser.parse_args()
train = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
rows = sum(len(path.read_text().splitlines()) for path in train.iterdir())
print(f"rows={rows}; alpha={args.alpha} layers={args.layers} job={os.environ['TRAINING_JOB_NAME']}")
assert args.layers == [1, 2]
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps({"rows": rows}))
"""

role, bucket = os.environ["SAGEMAKER_ROLE_ARN"], os.environ["SAGEMAKER_DEFAULT_BUCKET"]

import boto3  # noqa: E402

boto3.client("s3").put_object(Bucket=bucket, Key="v3/train/rows.csv", Body=b"1,2\n3,4\n5,6\n")

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "train.py").write_text(SCRIPT)
    trainer = ModelTrainer(
        training_image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        source_code=SourceCode(source_dir=folder, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={"alpha": 0.5, "layers": [1, 2]},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/v3/output"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=300),
        base_job_name="v3",
        role=role,
    )
    trainer.train(
        input_data_config=[InputData(channel_name="train", data_source=f"s3://{bucket}/v3/train/")], logs=True
    )

job = trainer._latest_training_job
job.refresh()
assert job.training_job_status == "Completed", job.failure_reason
boto3.client("s3").head_object(Bucket=bucket, Key=job.model_artifacts.s3_model_artifacts.split("/", 3)[3])
print("SCENARIO PASSED")
