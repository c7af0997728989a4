"""Rows to score: of a snapshot or of files, with a data version that is known before they are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlops.clients.arrivals import list_files, written
from airflow_mlops.core.packages import Package
from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError, PredictionError, SnapshotError
from airflow_mlops.steps.sources.files import FileSource
from airflow_mlops.store.publish import is_local
from airflow_mlops.store.snapshots import Snapshot, open_snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from upath import UPath

#: No row of a file is left out.
_ALL = Slice(datetime.max.replace(tzinfo=UTC))


class Rows(Protocol):
    """Rows whose content has a name."""

    @property
    def where(self) -> str:
        """What they are, for people."""

    @property
    def schema(self) -> pa.Schema:
        """All columns."""

    @property
    def data_version(self) -> str:
        """Another one for other rows."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in order."""

    def footers(self) -> Iterator[tuple[str, pq.FileMetaData]]:
        """What the Parquet files say of themselves, by their names."""


@dataclass(frozen=True)
class SnapshotRows:
    """The rows of a snapshot, every file checked against its digest.

    :param since: rows before are there for the preparation, and are not scored
    """

    snapshot: Snapshot
    since: datetime | None = None

    @property
    def where(self) -> str:
        return f"Snapshot {self.snapshot.manifest.name}"

    @property
    def data_version(self) -> str:
        facts = self.snapshot.manifest
        return digest([facts.data_version, self.since.isoformat()]) if self.since else facts.data_version

    @cached_property
    def schema(self) -> pa.Schema:
        import pyarrow.parquet as pq

        return pq.read_schema(self.snapshot.files[0])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        time = self.snapshot.manifest.event_time
        if self.since is None:
            yield from self.snapshot.batches(list(columns))
            return
        if time is None:
            raise ConfigurationError(f"{self.where} has no time of its rows: leave since out.")
        kept = Slice(_ALL.as_of, Bounds(self.since, _ALL.as_of))
        for batch in sliced(self.snapshot.batches([*dict.fromkeys([*columns, time])]), kept, time, None):
            yield batch.select(list(columns))

    def footers(self) -> Iterator[tuple[str, pq.FileMetaData]]:
        import pyarrow.parquet as pq

        for file in self.snapshot.files if self.since is None else ():
            yield file, pq.read_metadata(file)


@dataclass(frozen=True)
class FileRows:
    """The rows of files, of any format that a source reads; one that changes while it is read is refused.

    :param how: further arguments of :class:`~airflow_mlops.steps.sources.FileSource`
    """

    path: UPath
    how: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return str(self.path)

    @cached_property
    def schema(self) -> pa.Schema:
        return self._source(self.how.get("columns", ())).read(_ALL)[0]

    @cached_property
    def data_version(self) -> str:
        """A hash over the names and bytes of the files; on an object store over what it says of their bytes."""
        names = self._source().files()
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "hash") as threads:
            return digest([list(pair) for pair in zip(names, threads.map(self._content, names), strict=True)])

    def _content(self, name: str) -> str:
        if is_local(self.path):
            with Path(name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        info = self.path.fs.info(name)
        changed, tag = written(info)
        return f"{info.get('size')} {tag or changed}"

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        before = list_files(self.path)
        yield from self._source(columns).read(_ALL)[1]
        if list_files(self.path) != before:
            raise SnapshotError(f"{self.where} changed while it was read: score it again when it is complete.")

    def footers(self) -> Iterator[tuple[str, pq.FileMetaData]]:
        import pyarrow.parquet as pq

        for name in self._source().files():
            if name.endswith(".parquet"):
                with self.path.fs.open(name, "rb") as file:
                    yield name, pq.read_metadata(file)

    def _source(self, columns: Sequence[str] = ()) -> FileSource:
        how = {key: value for key, value in self.how.items() if key != "columns"}
        return FileSource(self.path, **how, columns=tuple(columns))


def find_rows(given: Any, path_of: Callable[[str], UPath], since: datetime | None = None) -> Rows:
    """The rows that a text or an earlier task's output names.

    :param given: output of a snapshot task, URI of a snapshot, a file, folder or glob, or ``{"files": path}`` with the
        ``format``, ``types`` and ``columns`` of such a source
    :param since: rows of a snapshot before this instant are not scored
    """
    if isinstance(given, Mapping) and set(given) <= {"files", "format", "types", "columns"} and "files" in given:
        return FileRows(path_of(str(given["files"])), {k: v for k, v in given.items() if k != "files" and v})
    uri = given.get("uri") if isinstance(given, Mapping) else given
    if not isinstance(uri, str) or not uri:
        raise ConfigurationError(
            f"{str(given)[:80]!r} names no rows to score: give the output of a snapshot task, its URI, files such as "
            '/data/*.parquet, or {"files": path}.'
        )
    path = path_of(uri)
    if isinstance(given, Mapping) or (not any(one in uri for one in "*?[") and (path / "manifest.json").exists()):
        return SnapshotRows(open_snapshot(path), since)
    if since is not None:
        raise ConfigurationError(f"{uri} has no time of its rows: leave since out.")
    return FileRows(path)


def check_footers(rows: Rows, package: Package) -> None:
    """Refuse, by what the files say of themselves, a column that lacks values which the model needs.

    :raises PredictionError: naming it and the file
    """
    required = {column.name for column in package.columns if column.required}
    for name, footer in rows.footers():
        for column, missing in _nulls(footer).items():
            if missing and column in required:
                raise PredictionError(
                    f"{name}: {missing:,} rows have no value in column {column}, which {package} needs: it never was "
                    "missing in training. Fill it where the rows are prepared."
                )


def _nulls(footer: pq.FileMetaData) -> dict[str, int]:
    """Nulls of each column, as far as the file tells."""
    found: dict[str, int] = {}
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            facts = chunk.statistics if chunk.is_stats_set else None
            if facts is not None and facts.has_null_count:
                found[chunk.path_in_schema] = found.get(chunk.path_in_schema, 0) + facts.null_count
    return found
