"""From a plain dict to a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.sources.base import Source
from airflow_mlops.steps.sources.files import FileSource
from airflow_mlops.steps.sources.function import CallableSource
from airflow_mlops.steps.sources.sql import SqlSource

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

    :param path_of: what makes a path of the text of ``files``
    :param engine_of: what finds the database of a ``conn_id``
    :raises ConfigurationError: not exactly one of files, sql, callable, or an unknown key
    """

    def files(
        *, files: str, format: str | None = None, types: Any = None, columns: Any = (), prune: Any = ()
    ) -> FileSource:
        return FileSource(path_of(files), event_time, format, dict(types or {}), tuple(columns), tuple(prune))

    def sql(*, sql: str, conn_id: str, order_by: Any) -> SqlSource:
        return SqlSource(engine_of(conn_id), sql, list(order_by), conn_id)

    def function(*, callable: str, order_by: Any = (), kwargs: Any = None) -> CallableSource:
        return CallableSource(callable, list(order_by), kwargs or {})

    known: dict[str, Callable[..., Source]] = {"files": files, "sql": sql, "callable": function}
    kinds = [kind for kind in known if kind in spec]
    if len(kinds) != 1:
        raise ConfigurationError(f"A source names one of files, sql or callable; this one has {sorted(spec)}.")
    try:
        return known[kinds[0]](**spec)
    except TypeError as error:
        raise ConfigurationError(f"Source {sorted(spec)}: {str(error).split(') ')[-1]}.") from error
