"""PostgreSQL, MLflow, Airflow and a scoring server together, as ``make demo`` and the integration tests use them."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlops.testing.servers.airflow import AirflowServer
from airflow_mlops.testing.servers.mlflow import MlflowServer
from airflow_mlops.testing.servers.postgres import PostgresServer
from airflow_mlops.testing.servers.scoring import ScoringServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from airflow_mlops.testing.servers.process import Server, ServerProcess


@dataclass(frozen=True)
class LocalStack:
    """What runs, and how long each part of the start took; a scoring server where one was asked for."""

    folder: Path
    postgres: PostgresServer
    mlflow: MlflowServer
    airflow: AirflowServer
    start_seconds: dict[str, float]
    serving: ScoringServer | None = None

    def dead(self) -> list[ServerProcess]:
        """The processes that should run and do not."""
        servers: list[Server] = [self.postgres, self.mlflow, self.airflow]
        servers += [self.serving] if self.serving else []
        return [process for server in servers for process in server.processes if process.exit_code is not None]


@contextmanager
def local_stack(
    folder: Path,
    dags: Path,
    *,
    env: Mapping[str, str] | None = None,
    serving: str | None = None,
    say: Callable[[str], None] = lambda what: None,
) -> Iterator[LocalStack]:
    """Start everything in ``folder``, which is emptied first; stop everything at the end.

    :param serving: a registered model: a scoring server waits for deployments of it, behind ``serving_default``
    """
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        say(f"starting {what}")
        begin = time.monotonic()
        yield
        seconds[what] = round(time.monotonic() - begin, 1)

    with ExitStack() as stack:
        with timed("PostgreSQL"):
            postgres = stack.enter_context(PostgresServer("airflow", "mlflow", log=folder / "postgres.log"))
        mlflow = MlflowServer(folder / "mlflow", database=postgres.url("mlflow"))
        connections = {"AIRFLOW_CONN_MLFLOW_DEFAULT": json.dumps({"conn_type": "mlflow", "host": mlflow.url})}
        scoring = None
        if serving:
            scoring = ScoringServer(folder / "serving", f"models:/{serving}@champion", mlflow.url, "--deployed-only")
            connection = {"conn_type": "mlops_serving", "host": scoring.url, "password": scoring.token}
            connections["AIRFLOW_CONN_SERVING_DEFAULT"] = json.dumps(connection)
        airflow = AirflowServer(
            folder / "airflow",
            database=postgres.url("airflow"),
            dags=dags,
            env={
                **connections,
                "AIRFLOW__MLOPS__STORE": str(folder / "store"),
                **(env or {}),
            },
        )
        stack.callback(mlflow.stop)
        mlflow.launch()  # is busy for as long as Airflow makes its tables
        with timed("Airflow"):
            stack.enter_context(airflow)
        with timed("MLflow"):
            mlflow.wait()
        if scoring:
            with timed("the scoring server"):
                stack.enter_context(scoring)
        yield LocalStack(folder, postgres, mlflow, airflow, seconds, scoring)
