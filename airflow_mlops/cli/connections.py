"""Where a command finds MLflow, files and databases: a tracking URI and the environment, or Airflow's connections."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from airflow_mlops.clients.databricks import DatabricksClient, DatabricksSettings, is_databricks
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    import sqlalchemy as sa
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow


class Connections(Protocol):
    """What the commands ask for."""

    #: How these commands are called, for hints.
    program: str

    @property
    def client(self) -> Mlflow:
        """The tracking server."""

    def address(self) -> tuple[str, bool]:
        """The tracking URI as it was given, and whether credentials are sent beside it."""

    def path(self, uri: str) -> UPath:
        """A path of a source or a snapshot."""

    def engine(self, conn_id: str) -> sa.Engine:
        """The database of a source."""

    def close(self) -> None:
        """Let the server go."""


class ShellConnections:
    """A tracking URI, with credentials as MLflow's own clients read them.

    :param uri: the tracking URI; None for ``MLFLOW_TRACKING_URI``
    :param environ: the environment
    """

    program = "airflow-mlops"

    def __init__(self, uri: str | None, environ: Mapping[str, str]) -> None:
        self._uri = uri or environ.get("MLFLOW_TRACKING_URI", "")
        self._environ = environ

    @cached_property
    def client(self) -> Mlflow:
        if not self._uri:
            raise ConfigurationError("No tracking server is named: give --tracking-uri, or set MLFLOW_TRACKING_URI.")
        if is_databricks(self._uri):
            return DatabricksClient(DatabricksSettings(self._uri))
        auth, token = self._credentials()
        insecure = self._environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
        verify = not insecure and (self._environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True)
        return MlflowClient(MlflowSettings(self._uri, token=token, auth=auth, verify=verify))

    def address(self) -> tuple[str, bool]:
        return self._uri, any(self._credentials())

    def path(self, uri: str) -> UPath:
        from upath import UPath

        if "://" not in uri:
            return UPath(os.path.abspath(uri))
        if "@" in uri.split("://")[1].split("/")[0]:
            raise ConfigurationError("files of an Airflow connection: use this command of `airflow mlops`")
        return UPath(uri)

    def engine(self, conn_id: str) -> sa.Engine:
        raise ConfigurationError("SQL source: use `airflow mlops backfill-plan`")

    def close(self) -> None:
        _close(self)

    def _credentials(self) -> tuple[tuple[str, str] | None, str | None]:
        """Login and password before a token; the environment before the file that MLflow keeps."""
        file = configparser.ConfigParser(interpolation=None)
        file.read(Path("~/.mlflow/credentials").expanduser())
        kept = file["mlflow"] if file.has_section("mlflow") else {}
        user, password = (
            self._environ.get(f"MLFLOW_TRACKING_{what}") or kept.get(f"mlflow_tracking_{what.lower()}")
            for what in ("USERNAME", "PASSWORD")
        )
        if user and password:
            return (user, password), None
        return None, self._environ.get("MLFLOW_TRACKING_TOKEN") or None


class AirflowConnections:
    """Airflow's connections, through the hooks that providers register for them.

    :param conn_id: the connection of MLflow
    """

    program = "airflow mlops"

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id
        # As Airflow's own commands on connections do: without it the database is not looked into.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"

    @cached_property
    def client(self) -> Mlflow:
        hook = self._hook(self._conn_id)
        if not hasattr(hook, "client"):
            raise ConfigurationError(f"Connection {self._conn_id} is not of type mlflow: name one with --conn-id.")
        return cast("Mlflow", hook.client)

    def address(self) -> tuple[str, bool]:
        connection = self._connection(self._conn_id)
        host, scheme = connection.host or "", connection.schema or "http"
        return host if "://" in host or is_databricks(host) else f"{scheme}://{host}", bool(connection.password)

    def path(self, uri: str) -> UPath:
        from airflow.sdk import ObjectStoragePath  # noqa: TID251

        return cast("UPath", ObjectStoragePath(uri if "://" in uri else os.path.abspath(uri)))

    def engine(self, conn_id: str) -> sa.Engine:
        hook = self._hook(conn_id)
        if not hasattr(hook, "get_sqlalchemy_engine"):
            raise ConfigurationError(f"Connection {conn_id} is not a SQL database.")
        return cast("sa.Engine", hook.get_sqlalchemy_engine())

    def close(self) -> None:
        _close(self)

    def _hook(self, conn_id: str) -> Any:
        return self._connection(conn_id).get_hook()

    def _connection(self, conn_id: str) -> Any:
        from airflow.sdk import BaseHook  # noqa: TID251
        from airflow.sdk.exceptions import AirflowNotFoundException  # noqa: TID251

        try:
            return BaseHook.get_connection(conn_id)
        except AirflowNotFoundException as error:
            raise ConfigurationError(
                f"There is no Airflow connection {conn_id}: create it under Admin, Connections, or name another."
            ) from error


def _close(connections: Connections) -> None:
    if "client" in vars(connections):
        connections.client.close()
