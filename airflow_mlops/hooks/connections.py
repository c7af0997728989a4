"""Airflow's connections, and what to do about one that is not there."""

from __future__ import annotations

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_mlops.exceptions import ConfigurationError


def find_connection(conn_id: str, kind: str) -> Connection:
    """The connection of a name.

    :param kind: what it should be, for the message
    :raises ConfigurationError: there is none
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


def _absent(conn_id: str, kind: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no Airflow connection {conn_id}: create one of type {kind} under Admin, Connections, "
        f"or set AIRFLOW_CONN_{conn_id.upper()}."
    )
