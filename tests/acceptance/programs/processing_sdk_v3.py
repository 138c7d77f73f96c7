"""The processors of SageMaker SDK v3: nothing here knows of Clary; all it gets is the environment."""

import os
import tempfile
from pathlib import Path

import boto3
from sagemaker.core.processing import FrameworkProcessor, Processor, ScriptProcessor
from sagemaker.core.resources import ProcessingJob
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.utils.exceptions import FailedStatusError

COUNT = """
import pathlib, sys
base = pathlib.Path("/opt/ml/processing")
rows = sum(len(path.read_text().splitlines()) for path in (base / "input/rows").iterdir())
(base / "output/count").write_text(f"{sys.argv[1]}={rows}")
pathlib.Path("/opt/ml/output/message").write_text("counted")
"""
USES_A_MODULE = """
import sys
from helper import shout
open("/opt/ml/processing/output/shouted", "w").write(shout(sys.argv[1]))
"""

role, bucket = os.environ["SAGEMAKER_ROLE_ARN"], os.environ["SAGEMAKER_DEFAULT_BUCKET"]
s3 = boto3.client("s3")
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
kind = {"role": role, "image_uri": image, "instance_type": "ml.m5.large", "instance_count": 1}


def an_output(name):
    where = ProcessingS3Output(
        s3_uri=f"s3://{bucket}/v3p/{name}", local_path="/opt/ml/processing/output", s3_upload_mode="EndOfJob"
    )
    return ProcessingOutput(output_name=name, s3_output=where)


def output(name):
    return s3.get_object(Bucket=bucket, Key=f"v3p/{name}")["Body"].read().decode()


with tempfile.TemporaryDirectory() as folder:
    Path(folder, "rows.csv").write_text("1,2\n3,4\n5,6\n")
    Path(folder, "count.py").write_text(COUNT)
    script = ScriptProcessor(command=["python3"], base_job_name="v3-script", **kind)
    rows = ProcessingS3Input(
        s3_uri=f"{folder}/rows.csv",
        local_path="/opt/ml/processing/input/rows",
        s3_data_type="S3Prefix",
        s3_input_mode="File",
    )
    script.run(
        code=f"{folder}/count.py",
        inputs=[ProcessingInput(input_name="rows", s3_input=rows)],
        outputs=[an_output("count")],
        arguments=["rows"],
        logs=True,
    )
    assert output("count/count") == "rows=3"
    job = ProcessingJob.get(processing_job_name=script.latest_job.processing_job_name)
    assert (job.processing_job_status, job.exit_message) == ("Completed", "counted")
    assert job.processing_start_time <= job.processing_end_time

    Path(folder, "source").mkdir()
    Path(folder, "source", "helper.py").write_text("def shout(text):\n    return text.upper()\n")
    Path(folder, "source", "main.py").write_text(USES_A_MODULE)
    Path(folder, "source", "requirements.txt").write_text("joblib\n")
    framework = FrameworkProcessor(command=["python3"], base_job_name="v3-framework", **kind)
    framework.run(
        code="main.py", source_dir=f"{folder}/source", arguments=["heard"], outputs=[an_output("shouted")], logs=False
    )
    assert output("shouted/shouted") == "HEARD"

RECIPE = "{version: 1, target: y, steps: [{impute: {strategy: mean}}, {scale: {method: min_max}}]}"
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "recipe.yaml").write_text(RECIPE)
    Path(folder, "rows.csv").write_text("y,a,b\n1,0,3\n0,,3.5\n1,4,5\n")

    def an_input(name, file):
        where = ProcessingS3Input(
            s3_uri=f"{folder}/{file}",
            local_path=f"/opt/ml/processing/{name}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
        )
        return ProcessingInput(input_name=name, s3_input=where)

    features = Processor(base_job_name="v3-recipe", **{**kind, "image_uri": "clary/data:1"})
    features.run(
        inputs=[an_input("recipe", "recipe.yaml"), an_input("input", "rows.csv")],
        outputs=[an_output("recipe")],
        arguments=["--format", "csv", "--label", "y"],
        logs=True,
    )
    job = ProcessingJob.get(processing_job_name=features.latest_job.processing_job_name)
    assert job.exit_message == "3 of 3 rows in 2 columns, 2 steps."
    assert output("recipe/features/part.csv") == "1,0,0\n0,0.5,0.25\n1,1,1\n"

plain = Processor(entrypoint=["/bin/sh", "-c", "echo $GREETING; exit 3"], env={"GREETING": "farewell"}, **kind)
plain.run(wait=False, logs=False)
job = ProcessingJob.get(processing_job_name=plain.latest_job.processing_job_name)
message = ""
try:
    job.wait(poll=1)
except FailedStatusError as error:
    message = str(error)
assert "exit code: 3" in message, message
assert "farewell" in message, message

endless = Processor(entrypoint=["sleep", "600"], **kind)
endless.run(wait=False, logs=False)
job = ProcessingJob.get(processing_job_name=endless.latest_job.processing_job_name)
job.stop()
job.wait(poll=1)
assert job.processing_job_status == "Stopped"
job.delete()
assert job.processing_job_name not in [found.processing_job_name for found in ProcessingJob.get_all()]
print("SCENARIO PASSED")
