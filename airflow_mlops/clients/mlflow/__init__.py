"""MLflow over REST: runs and logged models, artifacts, registry; one object per connection.

Plain requests instead of MLflow's own client: its import costs seconds per task, its retries repeat creates, and its
credentials are environment variables of the whole process.
"""

from __future__ import annotations

from types import TracebackType

from airflow_mlops.clients.mlflow.http import MlflowHttp, MlflowSettings
from airflow_mlops.clients.mlflow.registry import MlflowRegistry
from airflow_mlops.clients.mlflow.tracking import MlflowTracking

__all__ = ["MlflowClient", "MlflowSettings"]


class MlflowClient:
    """Both halves of a server on one connection pool.

    :param settings: where the server is and how to talk to it
    """

    def __init__(self, settings: MlflowSettings) -> None:
        self.settings = settings
        self.http = MlflowHttp(settings)
        self.tracking = MlflowTracking(self.http)
        self.registry = MlflowRegistry(self.http)

    def server_version(self) -> str:
        """Version of the server; the cheapest proof that URL and credentials are right."""
        return self.http.text("/version").strip()

    def run_url(self, experiment_id: str, run_id: str) -> str:
        return f"{self.settings.ui}/#/experiments/{experiment_id}/runs/{run_id}"

    def version_url(self, name: str, version: int) -> str:
        return f"{self.settings.ui}/#/models/{name}/versions/{version}"

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> MlflowClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
