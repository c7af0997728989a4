"""Immutable, content-addressed snapshots: ``<store>/snapshots/<name>/<id>/``, Parquet first, ``manifest.json`` last."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops._failpoints import around
from airflow_mlops.core.names import check_name
from airflow_mlops.core.snapshots import (
    DataFile,
    DataVersion,
    Manifest,
    as_scalar,
    check_schema,
    describe_schema,
    difference,
)
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.publish import is_local, publish_bytes, publish_file

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.core.windows import Bounds

#: Rows of a Parquet row group and of a file: bounded memory on both sides, whatever the chunks of the source.
ROW_GROUP = 131_072
FILE_ROWS = 64 * ROW_GROUP


@dataclass(frozen=True)
class Snapshot:
    """A published snapshot: its folder and its manifest."""

    path: UPath
    manifest: Manifest

    @property
    def uri(self) -> str:
        return str(self.path)

    @property
    def files(self) -> list[str]:
        """Local paths of the Parquet files, in order, checked against their digests."""
        return self._files

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

        rows = ds.dataset(self._files, format="parquet")
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
        for path in self._files:
            yield from pq.ParquetFile(path).iter_batches(batch_size=ROW_GROUP, columns=columns)

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
    def _files(self) -> list[str]:
        """Local paths of the Parquet files, each checked once against its digest in the manifest."""
        return [self._checked(file) for file in self.manifest.files]

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
        return tempfile.TemporaryDirectory(prefix="mlops-snapshot-")

    def _download(self, source: UPath) -> Path:
        local = Path(self._spool.name, source.name)
        with source.open("rb") as remote, local.open("wb") as copy:
            while chunk := remote.read(1 << 20):
                copy.write(chunk)
        return local


def open_snapshot(uri: UPath) -> Snapshot:
    """A published snapshot; one without a manifest was never finished and does not exist."""
    try:
        text = (uri / "manifest.json").read_text()
    except FileNotFoundError as error:
        raise SnapshotError(f"There is no snapshot at {uri}: it was never finished, or the store has moved.") from error
    try:
        return Snapshot(uri, Manifest.from_json(json.loads(text)))
    except json.JSONDecodeError as error:
        raise SnapshotError(f"The manifest of {uri} is not JSON: {error}.") from error


def write_snapshot(store: UPath, batches: Iterable[pa.RecordBatch], schema: pa.Schema, draft: Manifest) -> Snapshot:
    """Stream rows to a local spool, hash them on the way, then publish in one step.

    :param draft: the manifest without what only the rows can tell
    """
    check_name(draft.name, "snapshot")
    check_schema(schema, f"Snapshot {draft.name}")
    with tempfile.TemporaryDirectory(prefix="mlops-spool-") as spool:
        version = DataVersion(schema)
        files = list(_write_files(Path(spool), _whole_groups(batches, schema), schema, version))
        manifest = replace(
            draft,
            data_version=version.hexdigest(),
            rows=version.rows,
            schema=describe_schema(schema),
            files=files,
        ).sealed()
        folder = store / "snapshots" / manifest.name / manifest.id
        if _whole(folder):
            return open_snapshot(folder)
        for file in files:
            with around("file"):
                publish_file(Path(spool, file.name), folder / file.name)
        with around("manifest"):
            publish_bytes(folder / "manifest.json", json.dumps(manifest.to_json(), indent=1).encode())
    return Snapshot(folder, manifest)


def _whole(folder: UPath) -> bool:
    """Whether a snapshot is there with all its files; what was lost or damaged since is published again."""
    if not (folder / "manifest.json").exists():
        return False
    try:
        files = open_snapshot(folder).manifest.files
        return all((folder / file.name).stat().st_size == file.bytes for file in files)
    except (SnapshotError, FileNotFoundError):
        return False


def _whole_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of a row group each, so that the files do not depend on the source's chunks."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        if not batch.schema.equals(schema):
            raise SnapshotError(f"The columns changed on the way: {difference(schema, batch.schema)}.")
        waiting.append(batch)
        held += batch.num_rows
        while held >= ROW_GROUP:
            table = pa.Table.from_batches(waiting, schema)
            yield from table.slice(0, ROW_GROUP).combine_chunks().to_batches()
            waiting, held = table.slice(ROW_GROUP).to_batches(), held - ROW_GROUP
    yield from pa.Table.from_batches(waiting, schema).combine_chunks().to_batches()


def _as_hashed(found: pa.DataType, recorded: str) -> pa.DataType:
    """The type that the data version saw: Parquet knows neither seconds nor date64, and gives finer ones back."""
    import pyarrow as pa

    coarser = (pa.date64(), pa.time32("s"), pa.timestamp("s", getattr(found, "tz", None)))
    return next((type_ for type_ in coarser if str(type_) == recorded), found)


def _write_files(
    spool: Path, groups: Iterator[pa.RecordBatch], schema: pa.Schema, version: DataVersion
) -> Iterator[DataFile]:
    import pyarrow.parquet as pq

    # Metadata such as pandas' index notes is not data, and would make equal rows differ in their bytes.
    schema = schema.remove_metadata()
    number, group = 0, next(groups, None)
    while group is not None or number == 0:
        path = spool / f"part-{number:05d}"
        rows = 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            while group is not None and rows < FILE_ROWS:
                version.update(group)
                writer.write_batch(group.replace_schema_metadata(None))
                rows += group.num_rows
                group = next(groups, None)
        number += 1
        # The digest is part of the name: two writers, with two Parquet libraries, never overwrite each other's bytes.
        found = _sha256(path)
        path = path.rename(path.with_name(f"{path.name}-{found[:12]}.parquet"))
        yield DataFile(path.name, rows, path.stat().st_size, found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
