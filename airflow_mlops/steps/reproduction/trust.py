"""What a record may make a process import or read: only what the author of the DAG named too.

Whoever writes to MLflow or to the store writes records; that alone must not run code or use a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from airflow_mlops.core.import_path import import_object
from airflow_mlops.core.snapshots import canonical_json
from airflow_mlops.exceptions import UntrustedRecord
from airflow_mlops.steps.sources import Source

#: A source from its plain description, as an ingest takes it, and the name of its time column.
SourceOf = Callable[[Mapping[str, Any], str | None], Source]


def check_estimator(path: str, functions: Collection[str]) -> None:
    """Let through what was named, and scikit-learn's own estimators."""
    if path in functions:
        return
    if path.startswith("sklearn."):
        from sklearn.base import BaseEstimator

        found = import_object(path, "estimator")
        if isinstance(found, type) and issubclass(found, BaseEstimator):  # its modules hold other people's functions
            return
    raise UntrustedRecord(f"The record names the estimator {path}, which was not imported: {_remedy('functions')}")


def check_function(path: str, functions: Collection[str]) -> None:
    """Let through what was named."""
    if path not in functions:
        raise UntrustedRecord(f"The record names the function {path}, which was not imported: {_remedy('functions')}")


def declared_source(
    recorded: Mapping[str, Any], event_time: str | None, sources: Iterable[Mapping[str, Any]], source_of: SourceOf
) -> Source:
    """The one of the declared sources that a manifest describes; it is built of the declaration."""
    for declared in sources:
        source = source_of(declared, event_time)
        if canonical_json(source.describe()) == canonical_json(dict(recorded)):
            return source
    kind = next((kind for kind in ("files", "delta", "iceberg", "sql", "callable") if kind in recorded), "unknown")
    what = f"a query on connection {recorded.get('connection')}" if kind == "sql" else f"{kind} {recorded.get(kind)}"
    raise UntrustedRecord(f"The record names a source, {what}, which was not read: {_remedy('sources')}")


def _remedy(argument: str) -> str:
    return f"a record alone is not trusted. Is it yours, perhaps as it was then? Name it in {argument}."
