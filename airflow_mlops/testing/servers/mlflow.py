"""An MLflow server: one worker, no jobs, no telemetry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import httpx

from airflow_mlops.testing.servers.process import (
    LOOPBACK,
    Server,
    ServerProcess,
    clean_environment,
    free_port,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path


class MlflowServer(Server):
    """``mlflow server`` on a free loopback port.

    :param folder: artifacts, the log and, without ``database``, an SQLite file
    :param database: SQLAlchemy URL of the backend store
    """

    def __init__(self, folder: Path, *, database: str | None = None) -> None:
        self.folder = folder.absolute()
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        process = ServerProcess(
            "MLflow",
            [
                *(sys.executable, "-P", "-m", "mlflow", "server"),
                *("--host", LOOPBACK, "--port", str(port), "--workers", "1"),
                *("--backend-store-uri", database or f"sqlite:///{self.folder}/mlflow.db"),
                *("--artifacts-destination", str(self.folder / "artifacts")),
                *("--allowed-hosts", "localhost:*,127.0.0.1:*"),
            ],
            log=self.folder / "mlflow.log",
            env={
                **clean_environment(),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
        )
        self.processes = [process]

    def start(self) -> None:
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Begin to start: it takes a while, and something else can be done meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for process in self.processes:
            process.start()

    def wait(self, seconds: float = 180) -> None:
        wait_until(self.healthy, self.processes, seconds)

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
