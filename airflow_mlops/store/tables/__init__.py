"""Tables that keep their own versions: which one was in force at an instant, and its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import SnapshotError

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath


class PinnedTable(Protocol):
    """One version of a table; its rows in the order of its files by name."""

    schema: pa.Schema

    def batches(self, event_time: str | None = None, bounds: Bounds | None = None) -> Iterator[pa.RecordBatch]:
        """All rows, or those that may lie in the bounds."""


def pin_delta(table: UPath, as_of: datetime) -> dict[str, Any]:
    """The newest version of a Delta table that was committed at or before an instant."""
    from airflow_mlops.store.tables.delta import pin

    return pin(table, as_of)


def pin_iceberg(table: str, catalog: str | None, as_of: datetime) -> dict[str, Any]:
    """The newest snapshot of an Iceberg table that was committed at or before an instant.

    :param table: its name in the catalog; without a catalog the path of its ``.metadata.json``
    """
    from airflow_mlops.store.tables.iceberg import pin

    return pin(table, catalog, as_of)


def open_pinned(pinned: Mapping[str, Any], near: UPath) -> PinnedTable:
    """The version of a table that a manifest names.

    :param near: a path whose kind the table's is, such as that of the manifest
    :raises SnapshotError: the table no longer has that version
    """
    if pinned.get("format") == "delta":
        from airflow_mlops.store.tables.delta import DeltaVersion

        return DeltaVersion(pinned, near)
    if pinned.get("format") == "iceberg":
        from airflow_mlops.store.tables.iceberg import IcebergSnapshot

        return IcebergSnapshot(pinned)
    raise SnapshotError(f"A table of format {pinned.get('format')!r} cannot be read.")
