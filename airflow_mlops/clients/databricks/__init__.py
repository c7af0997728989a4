"""MLflow on Databricks: the protocols of the REST client on MLflow's own client, for ``databricks`` URIs only.

There the address, the login and the files of a workspace are a matter of Databricks' own SDK, which MLflow's client
speaks. It costs seconds to import (so it is imported by the first request), and timeouts and repeats are settings of
the whole process (``MLFLOW_HTTP_REQUEST_TIMEOUT``, ``MLFLOW_HTTP_REQUEST_MAX_RETRIES``,
``MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT``).

Proved against an open-source MLflow server only, never against Databricks. By its documents Unity Catalog takes at
most 50 tags on an object and 1,000 characters in a tag: that bounds the ledger of a model to about 50 champions, and a
specification to 1,000 characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType

from airflow_mlops.clients.databricks.calls import MlflowCalls
from airflow_mlops.clients.databricks.registry import DatabricksRegistry
from airflow_mlops.clients.databricks.tracking import DatabricksTracking

__all__ = ["DatabricksClient", "DatabricksSettings", "is_databricks"]


def is_databricks(uri: str) -> bool:
    """Whether a tracking URI is ``databricks`` or ``databricks://profile``."""
    return re.fullmatch(r"databricks(://[^/@\s]+)?", uri) is not None


@dataclass(frozen=True)
class DatabricksSettings:
    """Which workspace; its address and credentials are those of the Databricks profile or of the environment.

    :param uri: ``databricks`` or ``databricks://profile``
    :param ui: address of the workspace in a browser, empty if unknown
    """

    uri: str = "databricks"
    ui: str = ""

    @property
    def registry_uri(self) -> str:
        """Models are registered in Unity Catalog, as ``catalog.schema.model``."""
        return self.uri.replace("databricks", "databricks-uc", 1) if is_databricks(self.uri) else self.uri


class DatabricksClient:
    """Both halves of a workspace; implements :class:`airflow_mlops.core.tracking.Mlflow`."""

    def __init__(self, settings: DatabricksSettings) -> None:
        self.settings = settings
        self._mlflow = MlflowCalls(settings.uri, settings.registry_uri)
        self.tracking = DatabricksTracking(self._mlflow)
        self.registry = DatabricksRegistry(self._mlflow)

    def server_version(self) -> str:
        """Version of the client, as Databricks tells none; the request proves address and credentials."""
        self._mlflow("search_experiments", max_results=1)
        return self._mlflow.version()

    def run_url(self, experiment_id: str, run_id: str) -> str:
        return self._page(f"ml/experiments/{experiment_id}/runs/{run_id}")

    def version_url(self, name: str, version: int) -> str:
        return self._page(f"explore/data/models/{name.replace('.', '/')}/version/{version}")

    def close(self) -> None:
        """Nothing to close: MLflow keeps its connections for the whole process."""

    def _page(self, path: str) -> str:
        return f"{self.settings.ui.rstrip('/')}/{path}" if self.settings.ui else ""

    def __enter__(self) -> DatabricksClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
