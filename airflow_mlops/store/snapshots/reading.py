"""Read a published snapshot: every byte is checked before it counts."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.names import check_name
from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.snapshots import (
    DataFile,
    DataVersion,
    Manifest,
    as_scalar,
)
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, SnapshotError
from airflow_mlops.store.publish import is_local
from airflow_mlops.store.tables import open_pinned

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.core.windows import Bounds

_DATA_VERSION = re.compile(r"[0-9a-f]{8,64}")
#: Rows of a Parquet row group.
ROW_GROUP = 131_072
#: Temporary folders begin with it, on whatever machine.
SPOOL = "mlops-snapshot-"


@dataclass(frozen=True)
class Snapshot:
    """A published snapshot: its folder and its manifest."""

    path: UPath
    manifest: Manifest

    @property
    def uri(self) -> str:
        return str(self.path)

    def to_json(self) -> dict[str, Any]:
        """What the next task needs to know."""
        facts = self.manifest
        return {
            "uri": self.uri,
            "name": facts.name,
            "data_version": facts.data_version,
            "rows": facts.rows,
            "as_of": facts.as_of,
            "windows": facts.windows,
        }

    def table(self, columns: list[str] | None = None, bounds: Bounds | None = None) -> pa.Table:
        """Rows as one Arrow table, in order: all, or those whose event time lies in ``bounds``."""
        import pyarrow.dataset as ds

        rows = ds.dataset(self.files, format="parquet")
        self._check_columns([*(columns or []), *([self.manifest.event_time or "<event_time>"] if bounds else [])])
        keep = None
        if bounds is not None:
            moments = ds.field(self.manifest.event_time)
            type_ = rows.schema.field(self.manifest.event_time).type
            keep = (moments >= as_scalar(bounds.start, type_)) & (moments < as_scalar(bounds.end, type_))
        return rows.to_table(columns=columns, filter=keep)

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in order, a row group at a time."""
        import pyarrow.parquet as pq

        self._check_columns(columns or [])
        for path in self.files:
            yield from pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=ROW_GROUP, columns=columns)

    def verify(self) -> None:
        """Hash every row again.

        :raises SnapshotError: the rows are not those of the data version
        """
        import pyarrow as pa

        recorded = {column["name"]: column["type"] for column in self.manifest.schema}
        version: DataVersion | None = None
        for batch in self.batches():
            types = [_as_hashed(field.type, recorded.get(field.name, "")) for field in batch.schema]
            batch = batch.cast(pa.schema(list(zip(batch.schema.names, types, strict=True))))
            version = version or DataVersion(batch.schema)
            version.update(batch)
        if version and version.hexdigest() != self.manifest.data_version:
            raise SnapshotError(
                f"The rows of snapshot {self.uri} are not those of its data version "
                f"{self.manifest.data_version[:12]}: they were changed after it was written."
            )

    def _check_columns(self, wanted: list[str]) -> None:
        known = [column["name"] for column in self.manifest.schema]
        missing = sorted(set(wanted) - set(known))
        if missing:
            raise SnapshotError(
                f"Snapshot {self.manifest.name} has no column {', '.join(missing)}; it has {', '.join(known)}."
            )

    @cached_property
    def files(self) -> list[str]:
        """Local paths of the Parquet files, in order, each checked once against its digest in the manifest."""
        if self.manifest.pinned:
            return [str(self._materialized())]
        return [self._checked(file) for file in self.manifest.files]

    def _materialized(self) -> Path:
        """The rows of a pinned version of a table as a local file, if they are still those of the data version."""
        import pyarrow.parquet as pq

        facts = self.manifest
        rows = Slice(
            instant(facts.as_of), facts.bounds.whole if facts.bounds else None, tuple(facts.source.get("key", ()))
        )
        table = open_pinned(facts.pinned or {}, self.path)
        batches = table.batches(facts.event_time, None if rows.key else rows.bounds)
        path, version = Path(self._spool.name, "rows.parquet"), DataVersion(table.schema)
        with pq.ParquetWriter(path, table.schema, compression="lz4") as writer:
            for batch in sliced(batches, rows, facts.event_time, facts.knowledge_time):
                version.update(batch)
                writer.write_batch(batch)
        if version.hexdigest() != facts.data_version:
            raise SnapshotError(
                f"The table of snapshot {self.uri} gives other rows for its version than those that were pinned: "
                "its files were replaced."
            )
        return path

    def _checked(self, file: DataFile) -> str:
        source = self.path / file.name
        try:
            local = Path(source.path) if is_local(source) else self._download(source)
            found = _sha256(local)
        except FileNotFoundError as error:
            raise SnapshotError(f"Snapshot {self.uri} lost its file {file.name}: make it again.") from error
        if found != file.sha256:
            raise SnapshotError(f"{file.name} of snapshot {self.uri} is not what its manifest says: make it again.")
        return str(local)

    @cached_property
    def _spool(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix=f"{SPOOL}read-")

    def _download(self, source: UPath) -> Path:
        local = Path(self._spool.name, source.name)
        with source.open("rb") as remote, local.open("wb") as copy:
            while chunk := remote.read(1 << 20):
                copy.write(chunk)
        return local


def snapshots_of(store: UPath, name: str) -> list[Snapshot]:
    """All finished snapshots of a name, the newest as-of first."""
    root = store / "snapshots" / check_name(name, "snapshot")
    folders = (folder for folder in root.iterdir() if (folder / "manifest.json").exists()) if root.exists() else ()
    found = [open_snapshot(folder) for folder in folders]
    return sorted(found, key=lambda one: (instant(one.manifest.as_of), one.manifest.id), reverse=True)


def find_snapshot(store: UPath, name: str, data_version: str) -> Snapshot:
    """The snapshot of a data version, or of the beginning of one; of several as-ofs the newest.

    :raises SnapshotError: there is none
    :raises ConfigurationError: more than one data version begins so
    """
    if not _DATA_VERSION.fullmatch(data_version):
        raise ConfigurationError(f"{data_version!r} is not a data version: give 8 to 64 of its hexadecimal digits.")
    found = [one for one in snapshots_of(store, name) if one.manifest.data_version.startswith(data_version)]
    if not found:
        raise SnapshotError(f"No snapshot of {name} has data version {data_version}: look below {store}/snapshots.")
    if len({one.manifest.data_version for one in found}) > 1:
        raise ConfigurationError(f"More than one data version begins with {data_version}: give more of its digits.")
    return found[0]


def folder_of(store: UPath, name: str, id_: str) -> UPath:
    """Where a snapshot lies."""
    return store / "snapshots" / name / id_


def changed_at(path: UPath) -> float:
    """When a file was last written, as seconds since 1970."""
    info = path.fs.info(path.path)
    found = info.get("mtime", info.get("LastModified", info.get("created")))
    return float(found.timestamp() if hasattr(found, "timestamp") else found)


def open_snapshot(uri: UPath) -> Snapshot:
    """A published snapshot; one without a manifest was never finished and does not exist."""
    try:
        text = (uri / "manifest.json").read_bytes()
    except FileNotFoundError as error:
        raise SnapshotError(f"There is no snapshot at {uri}: it was never finished, or the store has moved.") from error
    try:
        return Snapshot(uri, Manifest.from_json(json.loads(text)))
    except SnapshotError:
        raise
    except ValueError as error:  # no JSON, or no text
        raise SnapshotError(f"The manifest of {uri} is not JSON: {error}.") from error


def _as_hashed(found: pa.DataType, recorded: str) -> pa.DataType:
    """The type that the data version saw: Parquet knows neither seconds nor date64, and gives finer ones back."""
    import pyarrow as pa

    coarser = (pa.date64(), pa.time32("s"), pa.timestamp("s", getattr(found, "tz", None)))
    return next((type_ for type_ in coarser if str(type_) == recorded), found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
