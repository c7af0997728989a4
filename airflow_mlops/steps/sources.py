"""Rows of a source as Arrow batches in a defined order: files, a SQL query, or a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlops.core.import_path import call_path, import_object
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.snapshots import as_scalar
from airflow_mlops.exceptions import ConfigurationError, DataError, ServiceUnavailable, SnapshotError
from airflow_mlops.steps.slices import Slice

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa
    from upath import UPath

#: Rows fetched from a database at a time.
FETCH = 50_000


class Source(Protocol):
    """Where rows come from."""

    def describe(self) -> dict[str, Any]:
        """What the manifest says of it, without secrets."""

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        """Schema and batches; a source may return more rows than the slice, the step filters them again."""


@dataclass(frozen=True)
class FileSource:
    """Parquet or CSV files below one path, read in the order of their names; hive folders become columns."""

    path: UPath
    event_time: str | None = None

    def describe(self) -> dict[str, Any]:
        return {"files": str(self.path)}

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        import pyarrow as pa
        import pyarrow.dataset as ds
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        files = self._files()
        kind = "csv" if files[0].split(".")[-1] in ("csv", "gz") else "parquet"
        try:
            dataset = ds.dataset(
                files, format=kind, partitioning="hive", filesystem=PyFileSystem(FSSpecHandler(self.path.fs))
            )
            keep = None
            if self.event_time and self.event_time not in dataset.schema.names:
                known = ", ".join(dataset.schema.names)
                raise SnapshotError(f"{self.path} has no column {self.event_time}; it has {known}.")
            # A correction may have moved a row out of the bounds: with a key, only all rows tell which one counts.
            if rows.bounds and self.event_time and not rows.key:
                moments, type_ = ds.field(self.event_time), dataset.schema.field(self.event_time).type
                keep = (moments >= as_scalar(rows.bounds.start, type_)) & (moments < as_scalar(rows.bounds.end, type_))
            return dataset.schema, self._named(dataset.scanner(filter=keep).to_batches())
        except pa.ArrowInvalid as error:
            raise SnapshotError(f"{self.path}: {redact(error)}.") from None

    def _files(self) -> list[str]:
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

    def _named(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A broken file shows only while it is read: say which source it was."""
        import pyarrow as pa

        try:
            yield from batches
        except (pa.ArrowInvalid, OSError) as error:
            raise SnapshotError(f"{self.path} cannot be read: {redact(error)}.") from None


@dataclass(frozen=True)
class SqlSource:
    """A query that may use ``:start``, ``:end`` and ``:as_of``; streamed with a server-side cursor."""

    engine: sa.Engine
    query: str
    order_by: list[str]
    name: str = "sql"

    def describe(self) -> dict[str, Any]:
        return {"sql": self.query, "connection": self.name, "order_by": list(self.order_by)}

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        chunks = self._named(self._chunks(rows))
        first = next(chunks)
        return first.schema, _prepend(first, chunks)

    def _named(self, chunks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Database errors by their meaning: away, or asked the wrong thing."""
        import sqlalchemy as sa

        try:
            yield from chunks
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            raise ServiceUnavailable(f"Connection {self.name}: {redact(error)}.") from None
        except sa.exc.SQLAlchemyError as error:
            raise ConfigurationError(f"The query on connection {self.name} failed: {redact(error)}.") from None

    def _chunks(self, rows: Slice) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import sqlalchemy as sa

        if not self.order_by:
            raise ConfigurationError("A SQL source needs order_by: a database returns rows in no order of its own.")
        order = ", ".join(sa.sql.quoted_name(c, None) for c in self.order_by)
        query = self.query.rstrip().rstrip(";")
        statement = sa.text(f"SELECT * FROM ({query}) AS source ORDER BY {order}")  # noqa: S608  # the DAG author's own
        bounds = rows.bounds
        known = {"start": bounds and bounds.start, "end": bounds and bounds.end, "as_of": rows.as_of}
        wanted = {key: known[key] for key in statement.compile().params if key in known}
        schema: pa.Schema | None = None
        with self.engine.connect().execution_options(stream_results=True, max_row_buffer=FETCH) as connection:
            result = connection.execute(statement, wanted)
            names = list(result.keys())
            last: tuple[Any, ...] | None = None
            for part in result.partitions(FETCH):
                last = _told_apart(last, part, [names.index(name) for name in self.order_by if name in names])
                try:
                    rows_of_part = [dict(zip(names, row, strict=True)) for row in part]
                    schema = schema or _roomy(pa.RecordBatch.from_pylist(rows_of_part).schema)
                    batch = pa.RecordBatch.from_pylist(rows_of_part, schema)
                except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                    raise SnapshotError(
                        f"A column changes its type on the way ({redact(error)}): cast it in the query."
                    ) from None
                yield batch
        if schema is None:
            yield pa.RecordBatch.from_pylist([], pa.schema([(name, pa.null()) for name in names]))


def _told_apart(last: tuple[Any, ...] | None, rows: Sequence[Any], keys: list[int]) -> tuple[Any, ...]:
    """The last key of some ordered rows, none of which may tie: a database returns ties in any order."""
    found = [tuple(row[key] for key in keys) for row in rows]
    if any(before == after for before, after in pairwise([last, *found])):
        raise DataError("Two rows share their order_by columns: add a column that tells them apart.")
    return found[-1]


def _roomy(schema: pa.Schema) -> pa.Schema:
    """The types of the first rows, with room for what later rows may hold: larger decimals."""
    import pyarrow as pa

    decimals = [(i, f) for i, f in enumerate(schema) if pa.types.is_decimal(f.type)]
    for index, column in decimals:
        schema = schema.set(index, column.with_type(pa.decimal128(38, column.type.scale)))
    return schema


@dataclass(frozen=True)
class CallableSource:
    """A function ``f(*, start, end, as_of, **kwargs)`` that returns an Arrow table, batches, or a DataFrame."""

    function: str | Callable[..., Any]
    order_by: list[str]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        path = self.function if isinstance(self.function, str) else call_path(self.function)
        return {"callable": path, "kwargs": dict(self.kwargs), "order_by": list(self.order_by)}

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        if not self.order_by:
            raise ConfigurationError("A callable source needs order_by: name the columns that put its rows in order.")
        function = import_object(self.function, "source") if isinstance(self.function, str) else self.function
        bounds = rows.bounds
        table = as_table(
            function(start=bounds and bounds.start, end=bounds and bounds.end, as_of=rows.as_of, **self.kwargs),
            self.describe()["callable"],
        )
        return table.schema, in_order(table, self.order_by).to_batches()


def build_source(
    spec: Mapping[str, Any],
    event_time: str | None = None,
    *,
    path_of: Callable[[str], UPath],
    engine_of: Callable[[str], sa.Engine],
) -> Source:
    """The source that a plain dict describes.

    :param path_of: what makes a path of the text of ``files``
    :param engine_of: what finds the database of a ``conn_id``
    :raises ConfigurationError: not exactly one of files, sql, callable, or an unknown key
    """
    known: dict[str, Callable[..., Source]] = {
        "files": lambda files: FileSource(path_of(files), event_time),
        "sql": lambda sql, conn_id, order_by: SqlSource(engine_of(conn_id), sql, list(order_by), conn_id),
        "callable": lambda callable, order_by=(), kwargs=None: CallableSource(callable, list(order_by), kwargs or {}),
    }
    kinds = [kind for kind in known if kind in spec]
    if len(kinds) != 1:
        raise ConfigurationError(f"A source names one of files, sql or callable; this one has {sorted(spec)}.")
    try:
        return known[kinds[0]](**spec)
    except TypeError as error:
        raise ConfigurationError(f"Source {sorted(spec)}: {str(error).split(') ')[-1]}.") from error


def as_table(value: Any, what: str) -> pa.Table:
    """An Arrow table from what people return: a table, a reader, batches, or a pandas DataFrame."""
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatchReader):
        return value.read_all()
    if hasattr(value, "__dataframe__") or hasattr(value, "iloc"):
        return pa.Table.from_pandas(value, preserve_index=False)
    if isinstance(value, Iterable):
        batches = list(value)
        if batches and all(isinstance(b, pa.RecordBatch) for b in batches):
            return pa.Table.from_batches(batches)
    raise DataError(f"{what} returned {type(value).__name__}: return a pyarrow Table, record batches or a DataFrame.")


def in_order(table: pa.Table, order_by: list[str]) -> pa.Table:
    """Rows by the named columns, which must tell every row from its neighbour."""
    missing = [name for name in order_by if name not in table.column_names]
    if missing:
        raise ConfigurationError(
            f"order_by names {', '.join(missing)}; the columns are {', '.join(table.column_names)}."
        )
    ties = table.num_rows - table.group_by(order_by, use_threads=False).aggregate([]).num_rows
    if ties:
        raise DataError(
            f"{ties} rows share their {', '.join(order_by)} with another row: add a column that tells them apart."
        )
    return table.sort_by([(name, "ascending") for name in order_by])


def _prepend(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
