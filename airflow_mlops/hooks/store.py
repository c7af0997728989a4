"""Where snapshots and reports live."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import ObjectStoragePath, conf

from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.hooks.connections import find_connection

if TYPE_CHECKING:
    import sqlalchemy as sa
    from upath import UPath


def object_path(uri: str) -> UPath:
    """A path at any URI that Airflow reaches, such as ``s3://aws_default@bucket/mlops`` or a local folder."""
    try:
        path = ObjectStoragePath(os.path.abspath(uri) if "://" not in uri else uri)
    except ValueError as error:
        raise ConfigurationError(f"{uri!r} is not a path that this Airflow reaches: {error}.") from error
    # It wraps a UPath and has all its methods, without being one for a type checker.
    return cast("UPath", path)


def store_path(uri: str | None = None) -> UPath:
    """The store: the one named, else ``[mlops] store`` of Airflow's configuration, else a folder in AIRFLOW_HOME."""
    home = os.environ.get("AIRFLOW_HOME", os.path.expanduser("~/airflow"))
    return object_path(uri or conf.get("mlops", "store", fallback="") or os.path.join(home, "mlops"))


def sql_engine(conn_id: str) -> sa.Engine:
    """The SQLAlchemy engine of a SQL connection's own hook."""
    connection: Any = find_connection(conn_id, "postgres, or another SQL database")
    hook = connection.get_hook()
    if not hasattr(hook, "get_sqlalchemy_engine"):
        raise ConfigurationError(f"Connection {conn_id} is not a SQL database: name one, or use files or a callable.")
    engine: sa.Engine = hook.get_sqlalchemy_engine()
    return engine
