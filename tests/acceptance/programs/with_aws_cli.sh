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
