"""Versions of a Delta table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.redaction import redact
from airflow_mlops.core.snapshots import as_scalar
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError, NotEnoughData, SnapshotError
from airflow_mlops.store.publish import is_local
from airflow_mlops.store.tables.buckets import s3_options

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

#: Rows of a batch.
ROWS = 131_072


def pin(table: UPath, as_of: datetime) -> dict[str, Any]:
    """The newest version committed at or before an instant, by the times in the table's log.

    :raises NotEnoughData: the table began after it
    :raises SnapshotError: there is no such table, or its log no longer reaches back so far
    """
    commits = sorted((int(c["version"]), int(c["timestamp"])) for c in _open(table).history())
    latest, chosen = 0, None
    for version, timestamp in commits:
        latest = max(latest, timestamp)  # clocks of writers differ; a version is never older than the one before
        if latest <= as_of.timestamp() * 1000:
            chosen = version, latest
    if chosen is None:
        if commits and commits[0][0] == 0:
            raise NotEnoughData(f"Delta table {table} began after {as_of.isoformat()}: nothing was known then.")
        raise SnapshotError(
            f"The log of Delta table {table} no longer reaches back to {as_of.isoformat()}: keep it longer "
            "(delta.logRetentionDuration)."
        )
    committed = datetime.fromtimestamp(chosen[1] / 1000, UTC).isoformat()
    return {"format": "delta", "table": str(table), "version": chosen[0], "committed": committed}


class DeltaVersion:
    """One version of a Delta table."""

    def __init__(self, pinned: Mapping[str, Any], near: UPath) -> None:
        self._what = f"Version {pinned['version']} of Delta table {pinned['table']}"
        table = _path(pinned["table"], near)
        found = _open(table, int(pinned["version"]))
        try:
            self._rows = found.to_pyarrow_dataset(filesystem=_filesystem(table))
        except Exception as error:  # its own error type: a feature of the table that its reader does not know
            raise SnapshotError(f"{self._what} cannot be read: {redact(error)}. Use files or SQL instead.") from None
        self.schema: pa.Schema = self._rows.schema.remove_metadata()

    def batches(self, event_time: str | None = None, bounds: Bounds | None = None) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.dataset as ds

        keep = None
        if event_time in self.schema.names and bounds:
            type_ = self.schema.field(event_time).type
            keep = (ds.field(event_time) >= as_scalar(bounds.start, type_)) & (
                ds.field(event_time) < as_scalar(bounds.end, type_)
            )
        try:
            for part in sorted(self._rows.get_fragments(keep), key=lambda part: part.path):
                scanned = part.to_batches(schema=self._rows.schema, filter=keep, batch_size=ROWS, batch_readahead=2)
                yield from (batch.replace_schema_metadata(None) for batch in scanned)
        except FileNotFoundError as error:
            raise vacuumed(self._what) from error
        except (pa.ArrowInvalid, UnicodeError) as error:
            raise SnapshotError(f"A file of {self._what} is broken: {redact(error)}.") from None


def vacuumed(what: str) -> SnapshotError:
    """A version that a record names, and the table dropped."""
    return SnapshotError(
        f"{what} is gone, its files were vacuumed or expired: keep versions as long as models name them, or copy the "
        "rows into a snapshot with a source of files."
    )


def _open(table: UPath, version: int | None = None) -> Any:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError
    except ImportError as error:
        raise ConfigurationError("Delta tables need the extra delta: pip install 'airflow-mlops[delta]'.") from error
    options = None if is_local(table) else s3_options(table)
    try:
        return DeltaTable(table.path if is_local(table) else f"s3://{table.path.strip('/')}", version, options)
    except TableNotFoundError:
        raise SnapshotError(f"There is no Delta table at {table}.") from None
    except DeltaError as error:
        if version is None:
            raise
        raise vacuumed(f"Version {version} of Delta table {table}") from error


def _path(uri: str, near: UPath) -> UPath:
    from upath import UPath

    kind: Any = type(near)
    # Airflow's path knows connections by their name in the URI; others are chosen by the URI.
    found: UPath = kind(uri) if kind.__name__ == "ObjectStoragePath" else UPath(uri, **_same_bucket(uri, near))
    return found


def _same_bucket(uri: str, near: UPath) -> dict[str, Any]:
    return dict(near.storage_options) if uri.split("://")[0] == near.protocol and "://" in uri else {}


def _filesystem(table: UPath) -> Any:
    from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem, SubTreeFileSystem

    files = LocalFileSystem() if is_local(table) else PyFileSystem(FSSpecHandler(table.fs))
    return SubTreeFileSystem(table.path, files)
