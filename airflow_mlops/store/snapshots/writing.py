"""Write a snapshot: hashed on the way, published in one step."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops._failpoints import around
from airflow_mlops.core.names import check_name
from airflow_mlops.core.snapshots import DataFile, DataVersion, Manifest, check_schema, describe_schema, difference
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.publish import publish_bytes, publish_file
from airflow_mlops.store.snapshots.reading import ROW_GROUP, SPOOL, Snapshot, changed_at, folder_of, open_snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

#: Rows of a file: bounded memory on both sides, whatever the chunks of the source.
FILE_ROWS = 64 * ROW_GROUP
#: Seconds after which a snapshot that is made again is marked as in use, for the garbage collection.
_FRESH = 3600.0


def write_snapshot(store: UPath, batches: Iterable[pa.RecordBatch], schema: pa.Schema, draft: Manifest) -> Snapshot:
    """Stream rows to a local spool, hash them on the way, then publish in one step.

    :param draft: the manifest without what only the rows can tell
    """
    check_name(draft.name, "snapshot")
    check_schema(schema, f"Snapshot {draft.name}")
    with tempfile.TemporaryDirectory(prefix=f"{SPOOL}write-") as spool:
        version = DataVersion(schema)
        files = _write_files(Path(spool), whole_groups(batches, schema), schema, version)
        manifest = replace(
            draft,
            data_version=version.hexdigest(),
            rows=version.rows,
            schema=describe_schema(schema),
            files=files,
        ).sealed()
        return publish_snapshot(store, manifest, Path(spool))


def pin_snapshot(store: UPath, batches: Iterable[pa.RecordBatch], schema: pa.Schema, draft: Manifest) -> Snapshot:
    """Hash the rows of a pinned version of a table, and publish a manifest that names it: nothing is copied."""
    check_name(draft.name, "snapshot")
    check_schema(schema, f"Snapshot {draft.name}")
    version = DataVersion(schema)
    for batch in batches:
        version.update(batch)
    manifest = replace(
        draft, data_version=version.hexdigest(), rows=version.rows, schema=describe_schema(schema)
    ).sealed()
    return publish_snapshot(store, manifest, Path())


def publish_snapshot(store: UPath, manifest: Manifest, spool: Path) -> Snapshot:
    """Files first, the manifest last; nothing where the same snapshot is there already."""
    folder = folder_of(store, manifest.name, manifest.id)
    if _whole(folder):
        _mark_used(folder)
        return open_snapshot(folder)
    for file in manifest.files:
        with around("file"):
            publish_file(spool / file.name, folder / file.name)
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


def _mark_used(folder: UPath) -> None:
    """Give an old manifest a new time: whoever made it again may train on it in a minute."""
    path = folder / "manifest.json"
    if time.time() - changed_at(path) > _FRESH:
        publish_bytes(path, path.read_bytes())


def whole_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
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


def _write_files(
    spool: Path, groups: Iterator[pa.RecordBatch], schema: pa.Schema, version: DataVersion
) -> list[DataFile]:
    """Parquet encodes in this thread while another hashes the rows before they are encoded and the bytes after."""
    # Metadata such as pandas' index notes is not data, and would make equal rows differ in their bytes.
    schema = schema.remove_metadata()
    files: list[DataFile] = []
    with ThreadPoolExecutor(1, "hash") as thread:
        group = next(groups, None)
        while group is not None or not files:
            sink = _HashedFile(spool / f"part-{len(files):05d}", thread)
            rows, group = _write_file(sink, group, groups, schema, version)
            # The digest is part of the name: two writers, with two Parquet libraries, never overwrite each other's
            # bytes.
            found = sink.hexdigest()
            path = sink.path.rename(sink.path.with_name(f"{sink.path.name}-{found[:12]}.parquet"))
            files.append(DataFile(path.name, rows, path.stat().st_size, found))
    return files


def _write_file(
    sink: _HashedFile,
    group: pa.RecordBatch | None,
    groups: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    version: DataVersion,
) -> tuple[int, pa.RecordBatch | None]:
    """Groups to one file until it is full; its rows, and the group that did not fit."""
    import pyarrow.parquet as pq

    rows = 0
    with sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        while group is not None and rows < FILE_ROWS:
            hashed = sink.thread.submit(version.update, group)
            writer.write_batch(group.replace_schema_metadata(None))
            rows += group.num_rows
            group = next(groups, None)
            hashed.result()
    return rows, group


class _HashedFile:
    """A file that is hashed in another thread while it is written."""

    def __init__(self, path: Path, thread: ThreadPoolExecutor) -> None:
        self.path, self.thread = path, thread
        self._hash = hashlib.sha256()
        self._last: Future[Any] | None = None

    def __enter__(self) -> _HashedFile:
        self._file = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        self._last = self.thread.submit(self._hash.update, data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """The writer closes what it did not open, too."""

    def hexdigest(self) -> str:
        if self._last is not None:  # the thread works in turn
            self._last.result()
        return self._hash.hexdigest()
