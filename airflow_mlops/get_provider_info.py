"""What Airflow discovers about this package; imported by every component, so it imports nothing."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Provider metadata, see Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-mlops",
        "name": "MLOps",
        "description": "Continuous training: snapshot, validate, train, evaluate, gate, register and promote models.",
        "connection-types": [
            {
                "connection-type": "mlflow",
                "hook-class-name": "airflow_mlops.hooks.mlflow.MlflowHook",
                "hook-name": "MLflow",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "Tracking URI", "password": "Password or token"},
                    "placeholders": {
                        "host": "http://mlflow:5000",
                        "login": "empty for a bearer token",
                        "password": "a token, or the password of the login",
                    },
                },
                "conn-fields": {
                    "ui_url": {
                        "label": "Public URL",
                        "description": "Where people open MLflow, if that is not the tracking URI",
                        "schema": {"type": ["string", "null"]},
                    },
                    "verify_tls": {
                        "label": "Verify TLS",
                        "description": "Check the server's certificate",
                        "schema": {"type": "boolean", "default": True},
                    },
                    "ca_bundle": {
                        "label": "CA bundle",
                        "description": "File with the certificates to trust",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout (seconds)",
                        "description": "For one request",
                        "schema": {"type": ["number", "null"], "default": 7},
                    },
                    "retries": {
                        "label": "Retries",
                        "description": "Of requests that may be repeated; creates never are",
                        "schema": {"type": ["integer", "null"], "default": 2},
                    },
                },
            },
            {
                "connection-type": "mlops_serving",
                "hook-class-name": "airflow_mlops.hooks.serving.ServingHook",
                "hook-name": "MLOps scoring server",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login"],
                    "relabeling": {"host": "Address", "password": "Token"},
                    "placeholders": {"host": "http://serving:8000", "password": "of those who may deploy"},
                },
                "conn-fields": {
                    "verify_tls": {
                        "label": "Verify TLS",
                        "description": "Check the server's certificate",
                        "schema": {"type": "boolean", "default": True},
                    },
                    "ca_bundle": {
                        "label": "CA bundle",
                        "description": "File with the certificates to trust",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout (seconds)",
                        "description": "For one request",
                        "schema": {"type": ["number", "null"], "default": 7},
                    },
                    "token_file": {
                        "label": "Token file",
                        "description": "File with the token, instead of the token here",
                        "schema": {"type": ["string", "null"]},
                    },
                    "deploy_timeout": {
                        "label": "Timeout of a deployment (seconds)",
                        "description": "The server loads and warms the model before it answers",
                        "schema": {"type": ["number", "null"], "default": 300},
                    },
                },
            },
        ],
        "extra-links": [
            f"airflow_mlops.links.{name}"
            for name in (
                "MlflowRunLink",
                "MlflowModelVersionLink",
                "BacktestReportLink",
                "DriftReportLink",
                "EndpointLink",
            )
        ],
        "cli": ["airflow_mlops.cli.provider.get_commands"],
        "task-decorators": [
            {"name": "prepare_data", "class-name": "airflow_mlops.decorators.snapshots.prepare_data_task"},
            {"name": "train_model", "class-name": "airflow_mlops.decorators.training.train_model_task"},
        ],
        "config": {
            "mlops": {
                "description": "Settings of airflow-mlops",
                "options": {
                    "store": {
                        "description": "Where snapshots and reports live: a folder, or a URI such as "
                        "s3://aws_default@bucket/mlops. Empty for the folder mlops in AIRFLOW_HOME.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://aws_default@bucket/mlops",
                        "default": "",
                    }
                },
            }
        },
        "operators": [
            {
                "integration-name": "MLOps",
                "python-modules": [
                    f"airflow_mlops.operators.{word}"
                    for word in (
                        "snapshots",
                        "garbage",
                        "validation",
                        "schema",
                        "training",
                        "evaluation",
                        "gate",
                        "registry",
                        "promotion",
                        "reproduction",
                        "backtest",
                        "profiles",
                        "drift",
                        "smoke",
                        "scoring",
                        "deployment",
                        "rollout",
                    )
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "MLOps",
                "python-modules": [
                    f"airflow_mlops.sensors.{word}"
                    for word in ("training", "snapshots", "validation", "drift", "deployment", "registry")
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "MLOps",
                "python-modules": [
                    f"airflow_mlops.triggers.{word}"
                    for word in ("training", "snapshots", "validation", "drift", "deployment", "registry")
                ],
            }
        ],
        "hooks": [
            {"integration-name": "MLflow", "python-modules": ["airflow_mlops.hooks.mlflow"]},
            {
                "integration-name": "MLOps",
                "python-modules": ["airflow_mlops.hooks.deployment", "airflow_mlops.hooks.serving"],
            },
        ],
    }
