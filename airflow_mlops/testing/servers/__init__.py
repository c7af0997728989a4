"""Real servers on this machine, for tests, the demo and a first look: PostgreSQL, MLflow, Airflow and our own.

All of them listen on loopback or a private socket only, log to files, and leave no process behind::

    with local_stack(Path("build/try"), dags=Path("dags")) as stack:
        print(stack.airflow.url, stack.mlflow.url)
"""

from airflow_mlops.testing.servers.airflow import AirflowServer
from airflow_mlops.testing.servers.airflow_api import AirflowApi
from airflow_mlops.testing.servers.mlflow import MlflowServer
from airflow_mlops.testing.servers.postgres import PostgresServer
from airflow_mlops.testing.servers.scoring import ScoringServer
from airflow_mlops.testing.servers.stack import LocalStack, local_stack

__all__ = [
    "AirflowApi",
    "AirflowServer",
    "LocalStack",
    "MlflowServer",
    "PostgresServer",
    "ScoringServer",
    "local_stack",
]
