"""Every test session has an Airflow home, a store and servers of its own."""

from __future__ import annotations

import os
import tempfile

# Before the first import of Airflow and of numpy: they read these once.
_HOME = tempfile.mkdtemp(prefix="airflow-mlops-tests-")
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=os.path.join(_HOME, "dags"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
    # Unit-test mode turns Airflow 2's intervals on, which production has off.
    AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS="False",
    AIRFLOW__MLOPS__STORE=os.path.join(_HOME, "store"),
    MLFLOW_DISABLE_TELEMETRY="true",
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
)
os.makedirs(os.path.join(_HOME, "dags"), exist_ok=True)

import shutil  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from upath import UPath  # noqa: E402

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings  # noqa: E402


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def store(tmp_path: Path) -> UPath:
    return UPath(tmp_path) / "store"


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server on SQLite, one for the session."""
    from airflow_mlops.testing.servers import MlflowServer

    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server.url


@pytest.fixture
def client(mlflow_uri: str) -> Iterator[MlflowClient]:
    with MlflowClient(MlflowSettings(mlflow_uri)) as client:
        yield client


@pytest.fixture
def model_name() -> str:
    """A model name of the test's own, so that tests share a server and nothing else."""
    return f"m-{uuid.uuid4().hex[:12]}"
