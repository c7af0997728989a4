"""Airflow as four processes with the LocalExecutor, each with its own log."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.testing.servers.airflow_api import AirflowApi
from airflow_mlops.testing.servers.process import (
    LOOPBACK,
    Server,
    ServerProcess,
    clean_environment,
    free_port,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: ``-P``: the working directory stays off the import path.
_AIRFLOW = (sys.executable, "-P", "-m", "airflow")
#: The libraries are loaded once, before the workers are forked, and not by every task.
_LOCAL_SETTINGS = "from airflow_mlops.preload import preload\n\npreload()\n"
_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


class AirflowServer(Server):
    """A complete Airflow on free loopback ports.

    :param home: AIRFLOW_HOME: logs, configuration and passwords
    :param database: SQLAlchemy URL of the metadata database; PostgreSQL, the API server dead-locks on SQLite
    :param dags: the DAG folder
    :param env: more settings, connections (``AIRFLOW_CONN_…``) and variables
    """

    def __init__(self, home: Path, *, database: str, dags: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self.logs = self.home / "logs"
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        self.username, self.password = "admin", secrets.token_urlsafe(12)
        self.api = AirflowApi(self.url, self.username, self.password)
        self.env = {
            **clean_environment(),
            **_settings(self.home, port, self.url, database, dags.absolute()),
            **(env or {}),
        }
        self.processes = [
            ServerProcess(f"airflow {name}", [*_AIRFLOW, name], log=self.home / f"{name}.log", env=self.env)
            for name in _COMPONENTS
        ]

    @property
    def scheduler(self) -> ServerProcess:
        """The scheduler with the workers and tasks that it started."""
        return self.processes[_COMPONENTS.index("scheduler")]

    def start(self) -> None:
        self.cli("db", "migrate")
        passwords = Path(self.env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({self.username: self.password}))
        (self.home / "config").mkdir(exist_ok=True)
        (self.home / "config" / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS)
        for process in self.processes:
            process.start()
        wait_until(self.api.healthy, self.processes, seconds=180)

    def stop(self) -> None:
        api_server, *others = self.processes  # last: a task that ends reports to it, and would try for a minute
        for process in others:
            process.terminate()
        for process in (*others, api_server):
            process.stop()

    def cli(self, *arguments: str, seconds: float = 300) -> str:
        """Run an ``airflow`` command against this instance and return what it printed."""
        self.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [*_AIRFLOW, *arguments],
            env=self.env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise ServiceUnavailable(f"airflow {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def _settings(home: Path, port: int, url: str, database: str, dags: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # every worker pays some seconds for its first task, and fits share the cores
        "AIRFLOW__CORE__PARALLELISM": str(max(2, min(4, os.cpu_count() or 2))),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # A worker that misses the end of its task holds the slot for as long as this; the default is five seconds.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
