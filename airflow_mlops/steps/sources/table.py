"""A Delta or Iceberg table, which keeps its own versions: a snapshot of it is a name for one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.slices import Slice
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.tables import open_pinned, pin_delta, pin_iceberg

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath


@dataclass(frozen=True)
class PinnedSource:
    """One version of a table."""

    pinned: Mapping[str, Any]
    near: UPath
    event_time: str | None = None

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        table = open_pinned(self.pinned, self.near)
        if self.event_time and self.event_time not in table.schema.names:
            known = ", ".join(table.schema.names)
            raise SnapshotError(f"{self.pinned['table']} has no column {self.event_time}; it has {known}.")
        return table.schema, table.batches(self.event_time, None if rows.key else rows.bounds)


@dataclass(frozen=True)
class DeltaSource:
    """The version of a Delta table that was in force at the as-of."""

    path: UPath
    event_time: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"delta": str(self.path)}

    def at(self, as_of: datetime) -> PinnedSource:
        """The newest version committed at or before the as-of."""
        return PinnedSource(pin_delta(self.path, as_of), self.path, self.event_time)

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        return self.at(rows.as_of).read(rows)


@dataclass(frozen=True)
class IcebergSource:
    """The snapshot of an Iceberg table that was in force at the as-of.

    :param catalog: a name in PyIceberg's own configuration; None where ``table`` is a path of a ``.metadata.json``
    """

    table: str
    catalog: str | None = None
    event_time: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"iceberg": self.table, **({"catalog": self.catalog} if self.catalog else {})}

    def at(self, as_of: datetime) -> PinnedSource:
        """The newest snapshot committed at or before the as-of."""
        from upath import UPath

        return PinnedSource(pin_iceberg(self.table, self.catalog, as_of), UPath(self.table), self.event_time)

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        return self.at(rows.as_of).read(rows)
