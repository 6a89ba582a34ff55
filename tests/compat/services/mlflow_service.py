"""MLflow's tracking server: a FastAPI app with a Flask app inside."""

import os

os.environ["_MLFLOW_SERVER_FILE_STORE"] = "sqlite:///mlflow.db"  # as the command `mlflow server` does
os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "artifacts"

from mlflow.server.fastapi_app import app

import instrumentation

instrumentation.instrument(app)
