"""Snapshots of an Iceberg table, by a catalog of PyIceberg's own configuration or by a metadata file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.redaction import redact
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError, NotEnoughData, SnapshotError
from airflow_mlops.store.tables.delta import vacuumed

if TYPE_CHECKING:
    import pyarrow as pa


def pin(table: str, catalog: str | None, as_of: datetime) -> dict[str, Any]:
    """The newest snapshot committed at or before an instant, by the table's own log.

    :raises NotEnoughData: the table began after it
    :raises SnapshotError: there is no such table, or its log no longer reaches back so far
    """
    found = _open(table, catalog)
    log = sorted((entry.timestamp_ms, at, entry.snapshot_id) for at, entry in enumerate(found.history()))
    known = [entry for entry in log if entry[0] <= as_of.timestamp() * 1000]
    if not known:
        first = found.snapshot_by_id(log[0][2]) if log else None
        if first is None or first.parent_snapshot_id is None:
            raise NotEnoughData(f"Iceberg table {table} began after {as_of.isoformat()}: nothing was known then.")
        raise SnapshotError(
            f"The log of Iceberg table {table} no longer reaches back to {as_of.isoformat()}: expire snapshots later."
        )
    return {
        "format": "iceberg",
        "table": table,
        "catalog": catalog,
        "snapshot_id": known[-1][2],
        "committed": datetime.fromtimestamp(known[-1][0] / 1000, UTC).isoformat(),
    }


class IcebergSnapshot:
    """One snapshot of an Iceberg table."""

    def __init__(self, pinned: Mapping[str, Any]) -> None:
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        self._what = f"Snapshot {pinned['snapshot_id']} of Iceberg table {pinned['table']}"
        self._table = _open(pinned["table"], pinned.get("catalog"))
        self._id = int(pinned["snapshot_id"])
        if self._table.snapshot_by_id(self._id) is None:
            raise vacuumed(self._what)
        columns = self._table.scan(snapshot_id=self._id).projection()
        self.schema: pa.Schema = schema_to_pyarrow(columns, include_field_ids=False).remove_metadata()

    def batches(self, event_time: str | None = None, bounds: Bounds | None = None) -> Iterator[pa.RecordBatch]:
        """A file at a time: the library would read all of them at once."""
        import pyarrow as pa
        from pyiceberg.io.pyarrow import ArrowScan

        keep = self._filter(event_time, bounds)
        scan = self._table.scan(row_filter=keep, snapshot_id=self._id)
        try:
            tasks = sorted(scan.plan_files(), key=lambda task: str(task.file.file_path))
            reader = ArrowScan(self._table.metadata, self._table.io, scan.projection(), scan.row_filter)
            for task in tasks:
                for batch in reader.to_record_batches([task]):
                    yield batch.cast(self.schema)
        except FileNotFoundError as error:
            raise vacuumed(self._what) from error
        except (pa.ArrowInvalid, UnicodeError) as error:
            raise SnapshotError(f"A file of {self._what} is broken: {redact(error)}.") from None

    def _filter(self, event_time: str | None, bounds: Bounds | None) -> Any:
        import pyarrow as pa
        from pyiceberg import expressions

        if event_time not in self.schema.names or bounds is None:
            return expressions.AlwaysTrue()
        type_ = self.schema.field(event_time).type
        if not pa.types.is_timestamp(type_):
            return expressions.AlwaysTrue()
        start, end = (
            (moment if type_.tz else moment.astimezone(UTC).replace(tzinfo=None)).isoformat()
            for moment in (bounds.start, bounds.end)
        )
        made: Any = expressions  # their constructors are not what their signatures say
        return made.And(made.GreaterThanOrEqual(event_time, start), made.LessThan(event_time, end))


def _open(table: str, catalog: str | None) -> Any:
    try:
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
        from pyiceberg.table import StaticTable
    except ImportError as error:
        raise ConfigurationError(
            "Iceberg tables need the extra iceberg: pip install 'airflow-mlops[iceberg]'."
        ) from error
    try:
        if catalog is None:
            return StaticTable.from_metadata(table)
        return load_catalog(catalog).load_table(table)
    except (NoSuchTableError, NoSuchNamespaceError, FileNotFoundError):
        where = f"in catalog {catalog}" if catalog else "there: name its .metadata.json, or a catalog"
        raise SnapshotError(f"There is no Iceberg table {table} {where}.") from None
    except ValueError as error:
        raise ConfigurationError(
            f"Iceberg catalog {catalog} cannot be opened ({redact(error)}): describe it in PyIceberg's configuration."
        ) from None
