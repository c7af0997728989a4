"""Which rows of a source a run may see: those of its window, known before its as-of, in their last known form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops.core.snapshots import as_scalar
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import DataError, SnapshotError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Slice:
    """Which rows a run may see: those in ``bounds`` of event time that were known before ``as_of``.

    :param key: of the rows that share these columns only the last known is one; none for every row
    """

    as_of: datetime
    bounds: Bounds | None = None
    key: tuple[str, ...] = ()


def sliced(
    batches: Iterable[pa.RecordBatch], rows: Slice, event_time: str | None, knowledge_time: str | None
) -> Iterator[pa.RecordBatch]:
    """Only what the run may see, whatever the source returned: the one place that holds it."""
    known = (_cut(batch, [(knowledge_time, None, rows.as_of)]) for batch in batches)
    counting = last_known(known, rows.key, knowledge_time) if rows.key and knowledge_time else known
    start, end = (rows.bounds.start, rows.bounds.end) if rows.bounds else (None, None)
    for batch in counting:
        yield _cut(batch, [(event_time, start, end), (event_time, None, rows.as_of)])


def _cut(
    batch: pa.RecordBatch, wanted: Iterable[tuple[str | None, datetime | None, datetime | None]]
) -> pa.RecordBatch:
    """The rows whose times lie in half-open ranges; a null time is in none."""
    import pyarrow.compute as pc

    keep = None
    for column, start, end in wanted:
        if batch.num_rows == 0 or column is None:  # of an answer without rows a database tells no types
            continue
        _check_columns([column], batch.schema)
        moments = batch.column(column)
        for bound, compare in ((start, pc.greater_equal), (end, pc.less)):
            if bound is not None:
                passed = compare(moments, as_scalar(bound, moments.type))
                keep = passed if keep is None else pc.and_(keep, passed)
    return batch if keep is None else batch.filter(keep)


def last_known(batches: Iterable[pa.RecordBatch], key: Sequence[str], knowledge_time: str) -> Iterator[pa.RecordBatch]:
    """The row of each key that became known last, in the order they came; all rows are held in memory for it.

    :raises DataError: a row lacks its key, or two rows of one key became known at the same instant
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    held = list(batches)
    if sum(batch.num_rows for batch in held) == 0:
        yield from held
        return
    table = pa.Table.from_batches(held)
    _check_columns(key, table.schema)
    names = ", ".join(key)
    if any(table[name].null_count for name in key):
        raise DataError(f"A row has no {names}, its key: leave such rows out, or name other columns.")
    places = [str(place) for place in range(len(key))]  # whatever the columns are called
    facts = pa.table(
        [*(table[name] for name in key), table[knowledge_time], pa.array(range(table.num_rows))],
        [*places, "known", "row"],
    )
    ties = table.num_rows - facts.group_by([*places, "known"], use_threads=False).aggregate([]).num_rows
    if ties:
        raise DataError(
            f"{ties} rows share {names} and {knowledge_time} with another row: which of them counts? Make the source "
            "return one of them."
        )
    last = facts.sort_by("known").group_by(places, use_threads=False).aggregate([("row", "last")])["row_last"]
    yield from table.take(last.take(pc.sort_indices(last))).to_batches()


def _check_columns(wanted: Iterable[str], schema: pa.Schema) -> None:
    if missing := [name for name in wanted if name not in schema.names]:
        raise SnapshotError(f"There is no column {', '.join(missing)}; the source has {', '.join(schema.names)}.")
