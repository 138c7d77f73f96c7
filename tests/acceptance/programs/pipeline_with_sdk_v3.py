"""An inference pipeline through SageMaker SDK v3's resources: raw rows in, predictions out."""

import os

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, InferenceExecutionConfig, ProductionVariant

image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
model = Model.create(
    model_name="sdk-v3",
    containers=[
        ContainerDefinition(image="clary/data", model_data_url=os.environ["RECIPE_URL"], container_hostname="prepare"),
        ContainerDefinition(image=image, model_data_url=os.environ["MODEL_URL"], container_hostname="predict"),
    ],
    inference_execution_config=InferenceExecutionConfig(mode="Serial"),
    execution_role_arn=os.environ["SAGEMAKER_ROLE_ARN"],
)
variant = ProductionVariant(
    variant_name="main", model_name="sdk-v3", initial_instance_count=1, instance_type="ml.m5.large"
)
config = EndpointConfig.create(endpoint_config_name="sdk-v3", production_variants=[variant])
endpoint = Endpoint.create(endpoint_name="sdk-v3", endpoint_config_name="sdk-v3")
endpoint.wait_for_status("InService")
answer = endpoint.invoke(body=os.environ["ROWS"], content_type="text/csv").body.read().decode()
assert [float(value) for value in answer.split()] == [float(value) for value in os.environ["EXPECTED"].split()], answer
endpoint.delete()
config.delete()
model.delete()
print("SCENARIO PASSED")
