"""What every source can do, and what becomes of the tables that people return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlops.core.slices import Slice
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError, DataError

if TYPE_CHECKING:
    import pyarrow as pa


class Source(Protocol):
    """Where rows come from."""

    def describe(self) -> dict[str, Any]:
        """What the manifest says of it, without secrets."""

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        """Schema and batches; a source may return more rows than the slice, the step filters them again."""


@dataclass(frozen=True)
class Likely:
    """Which rows and columns will be asked for; a file may give more."""

    event_time: str | None = None
    bounds: Bounds | None = None
    columns: tuple[str, ...] = ()


class OpenFile(Protocol):
    """A file whose columns are known, and whose rows can be read once."""

    name: str
    schema: pa.Schema

    def batches(self, likely: Likely) -> Iterator[pa.RecordBatch]:
        """Its rows in order."""


def as_table(value: Any, what: str) -> pa.Table:
    """An Arrow table from what people return: a table, a reader, batches, or a DataFrame of pandas or Spark."""
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatchReader):
        return value.read_all()
    if hasattr(value, "toArrow"):
        return value.toArrow()
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
