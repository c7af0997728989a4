"""Rows through a model, a chunk at a time: some chunks are predicted while others are read and written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_mlops.core.packages import Package
from airflow_mlops.core.predictions import LogFormat, keyed_hash
from airflow_mlops.core.scoring import Batch, Scored, chunk_rows, frame_of
from airflow_mlops.core.windows import instant
from airflow_mlops.steps.packages import LoadedModel
from airflow_mlops.steps.scoring.rows import Rows
from airflow_mlops.store.snapshots.writing import whole_groups

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Keep:
    """What a result holds beside the predictions.

    :param keys: columns to pass through, such as those that name what a row is about; with the names that they get, or
        without
    :param inputs: whether the model's inputs are logged
    :param hidden: inputs to leave out, beside those that were declared sensitive at training
    :param hashed: inputs and key columns of which a keyed hash is kept
    :param key: of the hashes
    """

    keys: Mapping[str, str] | tuple[str, ...] = ()
    inputs: bool = True
    hidden: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    key: bytes = b""

    @property
    def form(self) -> list[Any]:
        """What makes a result another one."""
        return [self.names, self.inputs, list(self.hidden), list(self.hashed)]

    @property
    def names(self) -> dict[str, str]:
        """What each key column is called in the result."""
        return dict(self.keys) if isinstance(self.keys, Mapping) else {name: name for name in self.keys}

    def format(self, package: Package) -> LogFormat:
        """The log's columns for a version."""
        if not self.inputs:
            return LogFormat.of(package, package.column_names)
        return LogFormat.of(package, self.hidden, [name for name in self.hashed if name not in self.keys])


@dataclass(frozen=True)
class Scoring:
    """A loaded model and the rows that it is asked for."""

    model: LoadedModel
    batch: Batch
    rows: Rows
    keep: Keep

    @property
    def format(self) -> LogFormat:
        return self.keep.format(self.model.package)

    @property
    def schema(self) -> pa.Schema:
        """The log's columns, then the keys."""
        import pyarrow as pa

        text, hashed = pa.string(), self.keep.hashed
        types = {key: text if key in hashed else self.rows.schema.field(key).type for key in self.keep.names}
        return pa.schema([*self.format.schema, *((name, types[key]) for key, name in self.keep.names.items())])

    def manifest(self, rows: int, now: datetime) -> Scored:
        package, batch = self.model.package, self.batch
        return Scored(
            model=package.name,
            version=package.version,
            digest=package.digest,
            ref=batch.ref,
            rows=rows,
            data_version=self.rows.data_version,
            source=self.rows.where,
            as_of=batch.as_of,
            interval=batch.interval,
            at=batch.at,
            mode=batch.mode,
            message_id=batch.message_id,
            keys=tuple(self.keep.names.values()),
            scored_at=now.isoformat(),
        )

    def run(self, threads: int) -> Iterator[pa.RecordBatch]:
        """The result in the order of the rows."""
        from threadpoolctl import threadpool_limits

        def single() -> None:  # OpenMP counts by thread, BLAS by process
            threadpool_limits(limits=1)

        with threadpool_limits(limits=1):
            yield from in_order(self._chunk, self._chunks(), threads, single)

    def _chunks(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Rows with the number of the first one."""
        import pyarrow as pa

        names = [*dict.fromkeys([*self.model.package.column_names, *self.keep.names])]
        schema = pa.schema([self.rows.schema.field(name) for name in names])
        size, first = chunk_rows(len(names)), 0
        for group in whole_groups((batch.select(names) for batch in self.rows.batches(names)), schema):
            for start in range(0, group.num_rows, size):
                part = group.slice(start, size)
                yield first, part
                first += part.num_rows

    def _chunk(self, numbered: tuple[int, pa.RecordBatch]) -> pa.RecordBatch:
        import pyarrow as pa

        first, rows = numbered
        found = self.model.predict(frame_of(self.model.package, rows, first))
        entries = self.format.entries(
            rows,
            found.values,
            found.scores,
            ids=row_ids(self.batch.slot, first, rows.num_rows),
            time=instant(self.batch.as_of),
            mode=self.batch.mode,
            key=self.keep.key,
        )
        hashed, key = self.keep.hashed, self.keep.key
        keys = [keyed_hash(rows.column(k), key) if k in hashed else rows.column(k) for k in self.keep.names]
        return pa.RecordBatch.from_arrays([*entries.columns, *keys], schema=self.schema)


def row_ids(slot: str, first: int, count: int) -> pa.Array:
    """Names of rows: the same row of the same batch always has the same.

    >>> row_ids("0f", 8, 2).to_pylist()
    ['0f-8', '0f-9']
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pa.array(np.arange(first, first + count)).cast(pa.string())
    return pc.binary_join_element_wise(pa.scalar(slot), numbers, "-")


def in_order(
    work: Callable[[T], U], items: Iterable[T], threads: int, prepare: Callable[[], None] | None = None
) -> Iterator[U]:
    """Results in the order of the items; while the caller takes one, the next are worked on.

    >>> list(in_order(lambda n: n * n, range(5), 2))
    [0, 1, 4, 9, 16]
    """
    waiting: deque[Future[U]] = deque()
    with ThreadPoolExecutor(threads, "predict", initializer=prepare) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def encoding(schema: pa.Schema) -> dict[str, Any]:
    """How Parquet is to write the log: ids share their beginnings, the model's numbers differ, all else may repeat."""
    import pyarrow as pa

    computed = [name for name in ("score", "prediction") if pa.types.is_floating(schema.field(name).type)]
    repeated = [name for name in schema.names if name not in ("id", "inputs", *computed)]
    if "inputs" in schema.names:
        repeated += [f"inputs.{field.name}" for field in schema.field("inputs").type]
    return {"use_dictionary": repeated, "column_encoding": {"id": "DELTA_BYTE_ARRAY"}}
