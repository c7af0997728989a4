"""Our own scoring server, as ``airflow-mlops serve`` runs it."""

from __future__ import annotations

import secrets
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


class ScoringServer(Server):
    """``airflow-mlops serve`` on a free loopback port; started when it answers, ready when a model serves.

    :param folder: the last good copy, the token and the log
    :param model: such as ``models:/flight_delays@champion``
    :param tracking_uri: of the MLflow server
    :param options: further options of the command
    """

    def __init__(self, folder: Path, model: str, tracking_uri: str, *options: str) -> None:
        self.folder = folder.absolute()
        self.token = secrets.token_hex(16)
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        process = ServerProcess(
            "The scoring server",
            [
                *(sys.executable, "-P", "-m", "airflow_mlops.cli", "serve", model),
                *("--host", LOOPBACK, "--port", str(port), "--tracking-uri", tracking_uri),
                *("--keep", str(self.folder / "kept"), "--token-file", str(self.folder / "token")),
                *options,
            ],
            log=self.folder / "serving.log",
            env=clean_environment(),
        )
        self.processes = [process]

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "token").write_text(self.token)
        (self.folder / "token").chmod(0o600)
        for process in self.processes:
            process.start()
        wait_until(lambda: self._answers("/health"), self.processes, 60)

    def ready(self, seconds: float = 120) -> None:
        """Wait until a model serves."""
        wait_until(lambda: self._answers("/ready"), self.processes, seconds)

    def stop(self) -> None:
        for process in self.processes:
            process.stop(30)

    def _answers(self, path: str) -> bool:
        try:
            return httpx.get(self.url + path, timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False
