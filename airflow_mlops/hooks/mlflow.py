"""Airflow connections of type ``mlflow``."""

from __future__ import annotations

import asyncio
from functools import cached_property

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from airflow_mlops.clients.databricks import DatabricksClient, DatabricksSettings, is_databricks
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.exceptions import ConfigurationError, MlopsError
from airflow_mlops.hooks.connections import afind_connection, find_connection, host_uri, verify_of


class MlflowHook(BaseHook):
    """Turn a connection into a client for MLflow's tracking server and model registry.

    Host is the tracking URI. A password without a login is a bearer token, with a login it is basic auth. Credentials
    stay in this object: nothing is written to the process environment, so that two connections never mix.

    Host ``databricks`` or ``databricks://profile`` is a Databricks workspace with Unity Catalog, through MLflow's own
    client: its credentials are those of the Databricks profile or environment, and so are timeout and retries.

    :param mlflow_conn_id: Airflow connection to use
    """

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = "mlflow_default"
    conn_type = "mlflow"
    hook_name = "MLflow"

    def __init__(self, mlflow_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mlflow_conn_id = mlflow_conn_id

    @cached_property
    def client(self) -> Mlflow:
        """The client, one pool of connections for the life of the hook."""
        return self._client_of(find_connection(self.mlflow_conn_id, "mlflow"))

    async def aclient(self) -> Mlflow:
        """A client for a trigger, which closes it; its requests belong in a thread, as does reading certificates."""
        connection = await afind_connection(self.mlflow_conn_id, "mlflow")
        return await asyncio.to_thread(self._client_of, connection)

    def _client_of(self, connection: Connection) -> Mlflow:
        host = (connection.host or "").strip()
        if not is_databricks(host):
            settings = self._settings_of(connection)
            # A password in the URI is none of the fields that Airflow masks by itself.
            for secret in (settings.token, *(settings.auth or ())[1:]):
                if secret:
                    mask_secret(secret)
            return MlflowClient(settings)
        if connection.login or connection.password:
            raise ConfigurationError(
                f"Connection {self.mlflow_conn_id}: login and password of {host} come from the Databricks profile: "
                "leave them empty here."
            )
        return DatabricksClient(DatabricksSettings(host, ui=connection.extra_dejson.get("ui_url") or ""))

    def get_conn(self) -> Mlflow:
        return self.client

    def settings(self) -> MlflowSettings:
        """Read the connection.

        :raises ConfigurationError: the connection's fields do not make a URI
        """
        return self._settings_of(find_connection(self.mlflow_conn_id, "mlflow"))

    def _settings_of(self, connection: Connection) -> MlflowSettings:
        extra = connection.extra_dejson
        password = connection.password or None
        try:
            return MlflowSettings(
                uri=host_uri(connection, "the tracking URI, such as http://mlflow:5000"),
                token=password if not connection.login else None,
                auth=(connection.login, password or "") if connection.login else None,
                verify=verify_of(extra),
                timeout=float(extra.get("timeout") or MlflowSettings.timeout),
                retries=MlflowSettings.retries if extra.get("retries") in (None, "") else int(extra["retries"]),
                ui=extra.get("ui_url") or "",
            )
        except ValueError as error:
            raise ConfigurationError(f"Connection {self.mlflow_conn_id}: {error}") from error

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its version, and the registry with the credentials."""
        try:
            version = self.client.server_version()
            if isinstance(self.client, MlflowClient):  # its version is told to anybody
                self.client.registry.model_tags("airflow-mlops-connection-test")
        except MlopsError as error:
            return False, str(error)
        return True, f"MLflow {version} answers and accepts the credentials."
