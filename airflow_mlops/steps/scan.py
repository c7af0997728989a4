"""Read Parquet files column by column, in a memory that does not grow with the rows, and count or plan them."""

from __future__ import annotations

import os
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.profiles import Plan, Profile
from airflow_mlops.core.profiles.binning import Workspace
from airflow_mlops.core.profiles.fitting import ColumnFitter, fitters_of, plan_of
from airflow_mlops.core.profiles.plan import ColumnPlan
from airflow_mlops.core.profiles.profiler import assembled, check_columns
from airflow_mlops.core.profiles.sources import SourceCounter, by_source, instant_of
from airflow_mlops.core.profiles.values import family_of, logical_type
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: Rows that are decoded at once.
BATCH: Final = 1 << 16
#: Rows of the reference that edges are made of, from this many places at most, chosen by a fixed seed.
SAMPLE: Final = 1 << 18
_PLACES: Final = 32
#: Files that are open at a time.
_OPEN: Final = 256
#: Rows of a table that are taken in one go.
_RUN: Final = 1 << 10
_SEED: Final = 2013


class Scan(ABC):
    """Rows that can be read column by column, some columns at a time.

    :param threads: columns that are read at a time
    """

    threads: int = 1
    rows: int
    schema: pa.Schema

    def profile(self, plan: Plan, as_of: datetime | str | None = None) -> Profile:
        """Count all rows as a plan says.

        :raises ProfileError: a file is broken, or lacks a column
        """
        self._check(plan)
        moment = instant_of(as_of) if plan.needs_as_of else None

        def count(plans: Any, space: Workspace) -> Any:
            counter = SourceCounter(plans, moment, space)
            for array in self._column(plans[0].name):
                counter.update(array)
            return counter.profiles()

        return assembled(plan, self.rows, self._each(by_source(plan).values(), count), moment)

    def fit(
        self,
        columns: Sequence[str] | None = None,
        sensitive: Iterable[str] = (),
        as_of: datetime | str | None = None,
    ) -> Plan:
        """The plan of these rows as a reference: edges from a sample, keys from all of them."""

        def fit(fitter: ColumnFitter, _: Workspace) -> list[ColumnPlan]:
            if not fitter.wants_none:
                for array in self._column(fitter.name) if fitter.wants_all else self._sample(fitter.name):
                    fitter.update(array)
            return fitter.plans()

        return plan_of(self._each(fitters_of(self.schema, columns, sensitive, as_of), fit))

    def _check(self, plan: Plan) -> None:
        check_columns(plan, self.schema.names)

    @abstractmethod
    def _column(self, name: str) -> Iterator[pa.Array]:
        """All rows of a column, piece by piece."""

    @abstractmethod
    def _sample(self, name: str) -> Iterator[pa.Array]:
        """About :data:`SAMPLE` of them, spread over all by a fixed seed."""

    def _each(self, works: Iterable[Any], do: Callable[[Any, Workspace], Any]) -> list[Any]:
        """Do all works, some at a time; what comes out stands in their order."""
        results: dict[int, Any] = {}
        errors: list[BaseException] = []
        left = enumerate(works)
        lock = threading.Lock()

        def worker() -> None:
            space = Workspace()
            while not errors:
                with lock:
                    number, work = next(left, (None, None))
                if number is None:
                    return
                try:
                    results[number] = do(work, space)
                except BaseException as error:
                    errors.append(error)

        others = [threading.Thread(target=worker, daemon=True) for _ in range(self.threads - 1)]
        for thread in others:
            thread.start()
        worker()
        for thread in others:
            thread.join()
        if errors:
            raise errors[0]
        return [results[number] for number in sorted(results)]


class TableScan(Scan):
    """A table in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.rows, self.schema = table, table.num_rows, table.schema

    def _column(self, name: str) -> Iterator[pa.Array]:
        yield from self.table.column(name).chunks

    def _sample(self, name: str) -> Iterator[pa.Array]:
        column = self.table.column(name)
        if self.rows <= SAMPLE:
            yield from column.chunks
            return
        starts = range(0, self.rows, _RUN)
        for start in sorted(random.Random(_SEED).sample(starts, SAMPLE // _RUN)):  # noqa: S311
            yield from column.slice(start, _RUN).chunks


class ParquetScan(Scan):
    """Some Parquet files of one schema, as the rows of one table.

    :param threads: columns that are read at a time; None for the cores, up to two
    :param span: which of the rows; a row group counts whole, where its first row lies
    """

    def __init__(
        self, paths: Iterable[str | os.PathLike[str]], threads: int | None = None, span: range | None = None
    ) -> None:
        import pyarrow.parquet as pq

        self.paths = [os.fspath(path) for path in paths]
        self.threads = threads or min(2, os.cpu_count() or 1)
        if not self.paths:
            raise ProfileError("There is no Parquet file to profile.")
        self._metadata: list[pq.FileMetaData] = []
        self._groups: list[list[int]]
        self._schemas: list[pa.Schema] = []
        for path in self.paths:
            with _named(path):
                self._metadata.append(pq.read_metadata(path))
                self._schemas.append(self._metadata[-1].schema.to_arrow_schema())
        self.schema = self._schemas[0]
        self._open = threading.local()
        self._groups, self.rows, first = [], 0, 0
        for metadata in self._metadata:
            self._groups.append([])
            for group in range(metadata.num_row_groups):
                if span is None or first in span:
                    self._groups[-1].append(group)
                    self.rows += metadata.row_group(group).num_rows
                first += metadata.row_group(group).num_rows

    def _check(self, plan: Plan) -> None:
        for schema in self._schemas:
            check_columns(plan, schema.names)

    def _column(self, name: str) -> Iterator[pa.Array]:
        for number, groups in enumerate(self._groups):
            if groups:
                yield from self._read(number, name, groups)

    def _sample(self, name: str) -> Iterator[pa.Array]:
        """The first rows of some row groups."""
        places = [(number, group) for number, groups in enumerate(self._groups) for group in groups]
        if self.rows > SAMPLE:
            places = sorted(random.Random(_SEED).sample(places, min(_PLACES, len(places))))  # noqa: S311
        left = SAMPLE
        for i, (number, group) in enumerate(places):
            share = left if self.rows <= SAMPLE else -(-left // (len(places) - i))
            for array in self._read(number, name, [group]):
                part = array.slice(0, share)
                yield part
                share, left = share - len(part), left - len(part)
                if share <= 0:
                    break

    def _read(self, number: int, name: str, groups: list[int]) -> Iterator[pa.Array]:
        with _named(self.paths[number]):
            batches = self._file(number).iter_batches(BATCH, row_groups=groups, columns=[name], use_threads=False)
            for batch in batches:
                yield batch.column(0)

    def _file(self, number: int) -> pq.ParquetFile:
        """A file as this thread has it open: of a wide table, opening it for each column costs more than reading."""
        import pyarrow.parquet as pq

        files: dict[int, pq.ParquetFile] = self._open.__dict__.setdefault("files", {})
        if number not in files:
            if len(files) >= max(1, _OPEN // self.threads):
                files.pop(next(iter(files))).close()
            schema = self._schemas[number]
            # Text comes as a dictionary: to count codes is cheaper than to read the text.
            text = [name for name in schema.names if family_of(logical_type(schema.field(name).type)) == "text"]
            files[number] = pq.ParquetFile(
                self.paths[number], metadata=self._metadata[number], read_dictionary=text, pre_buffer=False
            )
        return files[number]


@contextmanager
def _named(path: str) -> Iterator[None]:
    """What Arrow says of a broken file, with the file's name."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ProfileError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}.") from error
