#!/bin/sh
# The scenario through the AWS CLI: nothing here knows of Clary; all it gets is the environment.
# Usage: with_aws_cli.sh FOLDER, where train.csv, validation.csv (label first) and rows.csv (no label) are.
set -eu
cd "$1"
aws=${AWS_CLI:-aws}
image=683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
bucket=$SAGEMAKER_DEFAULT_BUCKET
role=$SAGEMAKER_ROLE_ARN

$aws sts get-caller-identity --query Arn --output text
$aws s3 cp train.csv "s3://$bucket/cli/train/train.csv"
$aws s3 cp validation.csv "s3://$bucket/cli/validation/validation.csv"

channel() {
    echo "{\"ChannelName\": \"$1\", \"ContentType\": \"text/csv\", \"DataSource\": {\"S3DataSource\": \
{\"S3DataType\": \"S3Prefix\", \"S3Uri\": \"s3://$bucket/cli/$1/\"}}}"
}
$aws sagemaker create-training-job --training-job-name cli \
    --algorithm-specification "TrainingImage=$image,TrainingInputMode=File" \
    --role-arn "$role" \
    --hyper-parameters num_round=30,objective=binary:logistic,eval_metric=auc \
    --input-data-config "[$(channel train), $(channel validation)]" \
    --output-data-config "S3OutputPath=s3://$bucket/cli/output" \
    --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1 \
    --stopping-condition MaxRuntimeInSeconds=300 \
    --tags Key=team,Value=risk
$aws sagemaker wait training-job-completed-or-stopped --training-job-name cli
test "$($aws sagemaker describe-training-job --training-job-name cli --query TrainingJobStatus --output text)" = Completed
$aws sagemaker list-training-jobs --name-contains CLI --status-equals Completed --output table
model=$($aws sagemaker describe-training-job --training-job-name cli --query ModelArtifacts.S3ModelArtifacts --output text)
$aws logs get-log-events --log-group-name /aws/sagemaker/TrainingJobs --start-from-head \
    --log-stream-name "$($aws logs describe-log-streams --log-group-name /aws/sagemaker/TrainingJobs \
        --log-stream-name-prefix cli/ --query 'logStreams[0].logStreamName' --output text)" \
    --query 'events[].message' --output text | grep -q validation-auc

# A processing job: half of the rows, as they are.
$aws s3 cp rows.csv "s3://$bucket/cli/rows/rows.csv"
$aws sagemaker create-processing-job --processing-job-name cli \
    --app-specification "ImageUri=$image,ContainerEntrypoint=/bin/sh,ContainerArguments=-c,\
head -n 5 /opt/ml/processing/rows/rows.csv > /opt/ml/processing/half/rows.csv" \
    --role-arn "$role" \
    --processing-inputs "[{\"InputName\": \"rows\", \"S3Input\": {\"S3Uri\": \"s3://$bucket/cli/rows/\", \
\"LocalPath\": \"/opt/ml/processing/rows\", \"S3DataType\": \"S3Prefix\", \"S3InputMode\": \"File\"}}]" \
    --processing-output-config "{\"Outputs\": [{\"OutputName\": \"half\", \"S3Output\": {\
\"S3Uri\": \"s3://$bucket/cli/half\", \"LocalPath\": \"/opt/ml/processing/half\", \"S3UploadMode\": \"EndOfJob\"}}]}" \
    --processing-resources "ClusterConfig={InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1}" \
    --stopping-condition MaxRuntimeInSeconds=300 \
    --tags Key=team,Value=risk
$aws sagemaker wait processing-job-completed-or-stopped --processing-job-name cli
test "$($aws sagemaker describe-processing-job --processing-job-name cli --query ProcessingJobStatus --output text)" = Completed
$aws sagemaker list-processing-jobs --name-contains CLI --status-equals Completed --output table
$aws s3 cp "s3://$bucket/cli/half/rows.csv" half.csv
head -n 5 rows.csv | cmp - half.csv

$aws sagemaker create-model --model-name cli --execution-role-arn "$role" \
    --primary-container "Image=$image,ModelDataUrl=$model"
$aws sagemaker create-endpoint-config --endpoint-config-name cli \
    --production-variants VariantName=main,ModelName=cli,InitialInstanceCount=1,InstanceType=ml.m5.large
$aws sagemaker create-endpoint --endpoint-name cli --endpoint-config-name cli
$aws sagemaker wait endpoint-in-service --endpoint-name cli
$aws sagemaker-runtime invoke-endpoint --endpoint-name cli --content-type text/csv --body fileb://rows.csv answers.csv
test "$(tr ',' '\n' <answers.csv | grep -c .)" = "$(grep -c . rows.csv)"

$aws sagemaker delete-endpoint --endpoint-name cli
$aws sagemaker wait endpoint-deleted --endpoint-name cli
$aws sagemaker delete-endpoint-config --endpoint-config-name cli
$aws sagemaker delete-model --model-name cli
echo SCENARIO PASSED
