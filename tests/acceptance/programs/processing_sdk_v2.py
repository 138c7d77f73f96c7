"""The processors of SageMaker SDK v2: nothing here knows of Clary; all it gets is the environment."""

import os
import tempfile
from pathlib import Path

import boto3
import sagemaker
from sagemaker.processing import (
    FrameworkProcessor,
    ProcessingInput,
    ProcessingJob,
    ProcessingOutput,
    Processor,
    ScriptProcessor,
)
from sagemaker.sklearn import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor

SPLIT = """
import argparse, json, pathlib, sys
import sklearn

parser = argparse.ArgumentParser()
parser.add_argument("--share", type=float)
args = parser.parse_args()
base = pathlib.Path("/opt/ml/processing")
lines = [line for path in sorted((base / "input").glob("*.csv")) for line in path.read_text().splitlines()]
cut = int(len(lines) * args.share)
for name, part in (("train", lines[:cut]), ("test", lines[cut:])):
    (base / name / "part").mkdir()
    (base / name / "part" / "rows.csv").write_text("".join(f"{line}\\n" for line in part))
config = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
pathlib.Path("/opt/ml/output/message").write_text(f"{cut} of {len(lines)} in {config['ProcessingJobName']}")
print("split", len(lines), "lines with", sklearn.__version__)
"""
USES_A_MODULE = """
import sys
from helper import shout
open("/opt/ml/processing/output/shouted", "w").write(shout(sys.argv[1]))
"""

role = os.environ["SAGEMAKER_ROLE_ARN"]
session = sagemaker.Session()
bucket = session.default_bucket()
s3 = boto3.client("s3")
kind = {"role": role, "instance_type": "ml.m5.large", "instance_count": 1, "sagemaker_session": session}
image = sagemaker.image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large")


def output(uri, name):
    return s3.get_object(Bucket=bucket, Key=f"{uri.split('/', 3)[3]}/{name}")["Body"].read().decode()


with tempfile.TemporaryDirectory() as folder:
    Path(folder, "rows.csv").write_text("".join(f"{n},{n * n}\n" for n in range(10)))
    Path(folder, "split.py").write_text(SPLIT)
    tags = [{"Key": "team", "Value": "risk"}]
    processor = SKLearnProcessor("1.2-1", base_job_name="v2-sklearn", max_runtime_in_seconds=300, tags=tags, **kind)
    processor.run(
        code=f"{folder}/split.py",
        inputs=[ProcessingInput(source=f"{folder}/rows.csv", destination="/opt/ml/processing/input")],
        outputs=[
            ProcessingOutput(output_name="train", source="/opt/ml/processing/train"),
            ProcessingOutput(
                output_name="test",
                source="/opt/ml/processing/test",
                destination=f"s3://{bucket}/v2/test",
                s3_upload_mode="Continuous",
            ),
        ],
        arguments=["--share", "0.8"],
        logs=True,
    )
    job = processor.latest_job
    description = job.describe()
    assert description["ProcessingJobStatus"] == "Completed", description
    assert description["ExitMessage"] == f"8 of 10 in {job.job_name}", description["ExitMessage"]
    assert output(job.outputs[0].destination, "part/rows.csv").count("\n") == 8
    assert output(f"s3://{bucket}/v2/test", "part/rows.csv") == "8,64\n9,81\n"
    again = ProcessingJob.from_processing_name(session, job.job_name)
    assert [item.destination for item in again.inputs] == [item.destination for item in job.inputs]

    Path(folder, "fails.py").write_text("raise SystemExit('no such column')")
    script = ScriptProcessor(image_uri=image, command=["python3"], base_job_name="v2-script", **kind)
    message = ""
    try:
        script.run(code=f"{folder}/fails.py", logs=False)
    except sagemaker.exceptions.UnexpectedStatusException as error:
        message = str(error)
    assert "no such column" in message, message

    Path(folder, "source").mkdir()
    Path(folder, "source", "helper.py").write_text("def shout(text):\n    return text.upper()\n")
    Path(folder, "source", "main.py").write_text(USES_A_MODULE)
    Path(folder, "source", "requirements.txt").write_text("joblib\n")
    framework = FrameworkProcessor(SKLearn, "1.2-1", base_job_name="v2-framework", **kind)
    framework.run(
        code="main.py",
        source_dir=f"{folder}/source",
        arguments=["heard"],
        outputs=[ProcessingOutput(source="/opt/ml/processing/output", destination=f"s3://{bucket}/v2/shouted")],
        logs=False,
    )
    assert output(f"s3://{bucket}/v2/shouted", "shouted") == "HEARD"

RECIPE = "{version: 1, target: y, steps: [{impute: {strategy: mean}}, {scale: {method: min_max}}]}"
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "recipe.yaml").write_text(RECIPE)
    Path(folder, "rows.csv").write_text("y,a,b\n1,0,3\n0,,3.5\n1,4,5\n")
    features = Processor(image_uri="clary/data:1", base_job_name="v2-recipe", **kind)
    given = {"recipe": "recipe.yaml", "input": "rows.csv"}
    features.run(
        inputs=[ProcessingInput(f"{folder}/{file}", f"/opt/ml/processing/{name}") for name, file in given.items()],
        outputs=[ProcessingOutput("/opt/ml/processing/output", f"s3://{bucket}/v2/recipe")],
        arguments=["--format", "csv", "--label", "y"],
        logs=True,
    )
    assert features.latest_job.describe()["ExitMessage"] == "3 of 3 rows in 2 columns, 2 steps."
    assert output(f"s3://{bucket}/v2/recipe", "features/part.csv") == "1,0,0\n0,0.5,0.25\n1,1,1\n"

greet = ["/bin/sh", "-c", "echo $GREETING > /opt/ml/processing/out/greeting"]
plain = Processor(image_uri=image, entrypoint=greet, env={"GREETING": "hello"}, **kind)
plain.run(
    outputs=[ProcessingOutput(source="/opt/ml/processing/out", destination=f"s3://{bucket}/v2/plain")],
    wait=False,
    logs=False,
)
plain.latest_job.wait(logs=False)
assert output(f"s3://{bucket}/v2/plain", "greeting") == "hello\n"

endless = Processor(image_uri=image, entrypoint=["sleep", "600"], **kind)
endless.run(wait=False, logs=False)
endless.latest_job.stop()
boto3.client("sagemaker").get_waiter("processing_job_completed_or_stopped").wait(
    ProcessingJobName=endless.latest_job.job_name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
)
assert endless.latest_job.describe()["ProcessingJobStatus"] == "Stopped"
print("SCENARIO PASSED")
