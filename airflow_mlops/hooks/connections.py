"""Airflow's connections, and what to do about one that is not there."""

from __future__ import annotations

import os
from typing import Any

import httpx
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_mlops.exceptions import ConfigurationError, NoConnection


def find_connection(conn_id: str, kind: str) -> Connection:
    """The connection of a name.

    :param kind: what it should be, for the message
    :raises NoConnection: there is none
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise _absent(conn_id, kind) from error


async def afind_connection(conn_id: str, kind: str) -> Connection:
    """The same for a trigger, whose event loop must not wait for Airflow's answer."""
    try:
        return await BaseHook.aget_connection(conn_id)
    except AirflowNotFoundException as error:
        raise _absent(conn_id, kind) from error


def _absent(conn_id: str, kind: str) -> NoConnection:
    return NoConnection(
        f"There is no Airflow connection {conn_id}: create one of type {kind} under Admin, Connections, "
        f"or set AIRFLOW_CONN_{conn_id.upper()}."
    )


def host_uri(connection: Any, what: str) -> str:
    """Host and port as people fill them in: with or without a scheme, with the port in either field."""
    host = (connection.host or "").strip()
    if not host:
        raise ConfigurationError(f"Host is empty: write {what}.")
    if "://" not in host:
        host = f"{connection.schema or 'http'}://{host}"
    try:
        url = httpx.URL(host)
        return str(url if url.port else url.copy_with(port=connection.port))
    except httpx.InvalidURL as error:  # its message may quote a password
        raise ConfigurationError(f"Host is not a URL: write {what}.") from error


def verify_of(extra: dict[str, Any]) -> bool | str:
    """Whether certificates are checked, or by which bundle."""
    bundle = extra.get("ca_bundle")
    if bundle and not os.path.isfile(bundle):
        raise ConfigurationError(f"CA bundle {bundle} is not a file on this worker.")
    return bundle or _flag(extra.get("verify_tls", True))


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() not in ("false", "0", "no", "off")
