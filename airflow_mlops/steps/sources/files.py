"""Parquet, CSV and JSON lines below a path, in the order of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.hive import Partitions
from airflow_mlops.core.slices import Slice
from airflow_mlops.core.snapshots import check_schema, difference, read_type
from airflow_mlops.exceptions import ConfigurationError, SnapshotError
from airflow_mlops.steps.sources.base import Likely, OpenFile
from airflow_mlops.steps.sources.formats import FORMATS, format_of

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath


@dataclass(frozen=True)
class FileSource:
    """Files of one format below one path, read in the order of their names; hive folders become columns.

    All files have the columns and types of the first. The types of CSV and JSON lines are those of the first megabyte
    of the first file, never of a later part: what does not fit them is an error that names the file and the line.

    :param path: a file, a folder or a glob
    :param event_time: column with the time of each row, to skip what lies outside the window
    :param format: ``parquet``, ``csv`` or ``jsonl``; None to go by the names of the files
    :param types: Arrow's names of types, for columns that are to have one; folders too
    :param columns: the columns to take, in this order; none for all of them. Files may have others then
    :param prune: the folders that hold the day of ``event_time`` (or year, month and day): others are not opened
    """

    path: UPath
    event_time: str | None = None
    format: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    prune: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        how = {"format": self.format, "types": dict(self.types), "columns": list(self.columns), "prune": [*self.prune]}
        return {"files": str(self.path), **{key: value for key, value in how.items() if value}}

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        names = self.files()
        open_file = partial(FORMATS[self._format(names)], self.path, types=self.types, loose=bool(self.columns))
        partitions = Partitions.of(names, self.types)
        first = open_file(names[0])
        schema = self._schema(first, partitions)
        self._check_columns(schema)
        others = partial(open_file, expected=first.schema)
        return schema, self._batches(others, partitions, self._within(rows, partitions), schema, rows)

    def _batches(
        self,
        open_file: Callable[[str], OpenFile],
        partitions: Partitions,
        names: list[str],
        schema: pa.Schema,
        rows: Slice,
    ) -> Iterator[pa.RecordBatch]:
        # A correction may have moved a row out of the bounds: with a key, only all rows tell which one counts.
        bounds = rows.bounds if self.event_time and not rows.key else None
        likely = Likely(self.event_time, bounds, self.columns) if bounds else Likely(columns=self.columns)
        for name in names:
            file = open_file(name)
            if what := difference(schema, self._schema(file, partitions)):
                raise SnapshotError(
                    f"{name} differs from the first file: {what}. Name the columns to take under columns, their types "
                    "under types, or keep the files apart."
                )
            for batch in file.batches(likely):
                yield _with_folders(batch, partitions, name, schema)

    def _schema(self, file: OpenFile, partitions: Partitions) -> pa.Schema:
        check_schema(file.schema, file.name)
        schema = _partitioned(file.schema, partitions)
        return _chosen(schema, self.columns, file.name) if self.columns else schema

    def _check_columns(self, schema: pa.Schema) -> None:
        asked = [self.event_time] if self.event_time else []
        if missing := [
            name for name in (*asked, *(self.types if not self.columns else ())) if name not in schema.names
        ]:
            raise SnapshotError(f"{self.path} has no column {', '.join(missing)}; it has {', '.join(schema.names)}.")

    def _within(self, rows: Slice, partitions: Partitions) -> list[str]:
        if not self.prune or rows.bounds is None or rows.key:
            return list(partitions.values)
        return partitions.within(rows.bounds, self.prune)

    def _format(self, names: list[str]) -> str:
        if self.format:
            if self.format not in FORMATS:
                raise ConfigurationError(f"Format {self.format!r} is not known: use {', '.join(FORMATS)}.")
            return self.format
        formats = {format_of(name): name for name in reversed(names)}
        if len(formats) > 1:
            raise SnapshotError(
                f"{self.path} holds files of more than one format, such as {' and '.join(sorted(formats.values()))}: "
                "name them by a glob."
            )
        return next(iter(formats))

    def files(self) -> list[str]:
        """Names of the files, in the order in which they are read."""
        pattern = self.path.path
        if any(character in pattern for character in "*?["):
            found = self.path.fs.glob(pattern)
        elif self.path.is_dir():
            found = [f for f in self.path.fs.find(pattern) if not f.rsplit("/", 1)[-1].startswith((".", "_"))]
        else:
            found = [pattern] if self.path.exists() else []
        if not found:
            raise SnapshotError(f"No file matches {self.path}: check the path and the connection.")
        return sorted(found)


def _partitioned(schema: pa.Schema, partitions: Partitions) -> pa.Schema:
    """A file's own columns, then those that its folders make and it does not have itself."""
    import pyarrow as pa

    made = [pa.field(name, read_type(type_)) for name, type_ in partitions.types.items() if name not in schema.names]
    return pa.schema([*schema, *made])


def _chosen(schema: pa.Schema, columns: tuple[str, ...], name: str) -> pa.Schema:
    import pyarrow as pa

    if missing := [column for column in columns if column not in schema.names]:
        raise SnapshotError(f"{name} has no column {', '.join(missing)}; it has {', '.join(schema.names)}.")
    return pa.schema([schema.field(column) for column in columns])


def _with_folders(batch: pa.RecordBatch, partitions: Partitions, name: str, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else partitions.column(name, field.name, batch.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
