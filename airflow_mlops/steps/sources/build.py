"""From a plain dict to a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.sources.base import Source
from airflow_mlops.steps.sources.files import FileSource
from airflow_mlops.steps.sources.function import CallableSource
from airflow_mlops.steps.sources.sql import SqlSource
from airflow_mlops.steps.sources.table import DeltaSource, IcebergSource

if TYPE_CHECKING:
    import sqlalchemy as sa
    from upath import UPath


def build_source(
    spec: Mapping[str, Any],
    event_time: str | None = None,
    *,
    path_of: Callable[[str], UPath],
    engine_of: Callable[[str], sa.Engine],
) -> Source:
    """The source that a plain dict describes.

    :param path_of: what makes a path of the text of ``files`` or ``delta``
    :param engine_of: what finds the database of a ``conn_id``
    :raises ConfigurationError: not exactly one of files, delta, iceberg, sql, callable, or an unknown key
    """

    def files(
        *, files: str, format: str | None = None, types: Any = None, columns: Any = (), prune: Any = ()
    ) -> FileSource:
        return FileSource(path_of(files), event_time, format, dict(types or {}), tuple(columns), tuple(prune))

    def sql(*, sql: str, conn_id: str, order_by: Any) -> SqlSource:
        return SqlSource(engine_of(conn_id), sql, list(order_by), conn_id)

    def function(*, callable: str, order_by: Any = (), kwargs: Any = None) -> CallableSource:
        return CallableSource(callable, list(order_by), kwargs or {})

    def delta(*, delta: str) -> DeltaSource:
        return DeltaSource(path_of(delta), event_time)

    def iceberg(*, iceberg: str, catalog: str | None = None) -> IcebergSource:
        return IcebergSource(iceberg, catalog, event_time)

    known: dict[str, Callable[..., Source]] = {
        "files": files, "delta": delta, "iceberg": iceberg, "sql": sql, "callable": function,
    }  # fmt: skip
    kinds = [kind for kind in known if kind in spec]
    if len(kinds) != 1:
        raise ConfigurationError(f"A source names one of {', '.join(known)}; this one has {sorted(spec)}.")
    try:
        return known[kinds[0]](**spec)
    except TypeError as error:
        raise ConfigurationError(f"Source {sorted(spec)}: {str(error).split(') ')[-1]}.") from error
