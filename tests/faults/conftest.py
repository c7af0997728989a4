"""Faults and races meet MLflow on both databases: PostgreSQL, and SQLite, which many people start with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext

import pytest

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.testing.servers import MlflowServer, PostgresServer

#: How many race.
CROWD = 20


@pytest.fixture(scope="session")
def mlflow_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("postgres")
    with (
        PostgresServer("mlflow", log=folder / "postgres.log") as database,
        MlflowServer(folder / "mlflow", database=database.url("mlflow")) as server,
    ):
        yield server.url


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def mlflow_uri(request: pytest.FixtureRequest) -> str:
    uri: str = request.getfixturevalue(f"mlflow_on_{request.param}")
    return uri


@pytest.fixture(scope="session")
def crowd(mlflow_uri: str) -> Iterator[list[MlflowClient]]:
    """Clients of their own for those who race."""
    with ExitStack() as stack:
        yield [stack.enter_context(MlflowClient(MlflowSettings(mlflow_uri))) for _ in range(CROWD)]


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Children of a process that has the slow imports behind it, and no threads as the tests' own has."""
    context = get_context("forkserver")
    slow = ["mlflow.sklearn", "mlflow.pyfunc", "skops.io", "sklearn.linear_model", "pyarrow.dataset", "scipy.stats"]
    context.set_forkserver_preload(["tests.faults.lifecycle", *slow])
    return context
