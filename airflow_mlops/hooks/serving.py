"""Airflow connections of type ``mlops_serving``: a scoring server of ours."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from airflow_mlops.clients.serving import ServingClient, ServingSettings
from airflow_mlops.exceptions import ConfigurationError, MlopsError
from airflow_mlops.hooks.connections import afind_connection, find_connection, host_uri, verify_of

KIND = "mlops_serving"


class ServingHook(BaseHook):
    """Turn a connection into a client of a scoring server.

    Host is its address, the password the token of those who may deploy; or extra ``token_file`` names a file with it.

    :param serving_conn_id: Airflow connection to use
    """

    conn_name_attr = "serving_conn_id"
    default_conn_name = "serving_default"
    conn_type = KIND
    hook_name = "MLOps scoring server"

    def __init__(self, serving_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.serving_conn_id = serving_conn_id

    @cached_property
    def client(self) -> ServingClient:
        """The client, one pool of connections for the life of the hook."""
        return self._client_of(find_connection(self.serving_conn_id, KIND))

    async def aclient(self) -> ServingClient:
        """A client for a trigger, which closes it; its requests belong in a thread, as does reading certificates."""
        connection = await afind_connection(self.serving_conn_id, KIND)
        return await asyncio.to_thread(self._client_of, connection)

    def get_conn(self) -> ServingClient:
        return self.client

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server what it serves."""
        try:
            champion = self.client.version().get("champion") or {}
        except MlopsError as error:
            return False, str(error)
        serves = f"version {champion['version']} of model {champion['name']}" if champion else "no model yet"
        return True, f"The scoring server answers, it serves {serves}."

    def _client_of(self, connection: Connection) -> ServingClient:
        extra = connection.extra_dejson
        default = ServingSettings
        try:
            return ServingClient(
                ServingSettings(
                    uri=host_uri(connection, "the address of the scoring server, such as http://serving:8000"),
                    token=connection.password or _token_in(extra.get("token_file")),
                    verify=verify_of(extra),
                    timeout=float(extra.get("timeout") or default.timeout),
                    deploy_timeout=float(extra.get("deploy_timeout") or default.deploy_timeout),
                )
            )
        except (ValueError, OSError) as error:
            raise ConfigurationError(f"Connection {self.serving_conn_id}: {error}") from error


def _token_in(file: str | None) -> str | None:
    if not file:
        return None
    token = Path(file).read_text().strip()
    mask_secret(token)
    return token
