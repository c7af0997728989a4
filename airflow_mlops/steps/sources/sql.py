"""A query on a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.redaction import redact
from airflow_mlops.core.slices import Slice
from airflow_mlops.exceptions import ConfigurationError, DataError, ServiceUnavailable, SnapshotError

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

#: Rows fetched from a database at a time.
FETCH = 50_000


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


def _prepend(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
