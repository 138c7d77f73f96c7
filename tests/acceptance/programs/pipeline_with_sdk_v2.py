"""An inference pipeline through SageMaker SDK v2's PipelineModel: raw rows in, predictions out."""

import os

import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.model import Model
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

role = os.environ["SAGEMAKER_ROLE_ARN"]
session = sagemaker.Session()
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
recipe = Model("clary/data", os.environ["RECIPE_URL"], role, sagemaker_session=session, name="recipe")
model = Model(image, os.environ["MODEL_URL"], role, sagemaker_session=session, name="model")
pipeline = PipelineModel([recipe, model], role, Predictor, name="sdk-v2", sagemaker_session=session)
predictor = pipeline.deploy(1, "ml.m5.large", CSVSerializer(), CSVDeserializer(), endpoint_name="sdk-v2")
answer = [float(row[0]) for row in predictor.predict(os.environ["ROWS"])]
assert answer == [float(value) for value in os.environ["EXPECTED"].split()], answer
predictor.delete_endpoint()
pipeline.delete_model()
print("SCENARIO PASSED")
