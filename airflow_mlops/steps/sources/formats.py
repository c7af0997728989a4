"""One file of each format as Arrow batches. Others wrote it: whatever is wrong with it is said, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.redaction import redact
from airflow_mlops.core.snapshots import as_scalar, read_type
from airflow_mlops.exceptions import MlopsError, SnapshotError
from airflow_mlops.steps.sources.base import Likely, OpenFile
from airflow_mlops.steps.sources.text import CsvFile, JsonLinesFile
from airflow_mlops.store.publish import is_local

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

#: Rows of a batch: memory stays the same however large the file is.
ROWS = 131_072

_SUFFIXES = {"csv": "csv", "tsv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}


def format_of(name: str) -> str:
    """What a file's name says of its format.

    >>> format_of("a/b.csv.gz"), format_of("b.jsonl"), format_of("part-0")
    ('csv', 'jsonl', 'parquet')
    """
    *_, suffix = name.removesuffix(".gz").lower().rpartition(".")
    return _SUFFIXES.get(suffix, "parquet")


class ParquetFile:
    """A Parquet file; checksums of its pages are checked where its writer made any.

    :param types: Arrow's names of types for columns that are to be cast, without loss
    """

    def __init__(
        self,
        root: UPath,
        name: str,
        *,
        types: Mapping[str, str],
        expected: pa.Schema | None = None,
        loose: bool = False,
    ) -> None:
        import pyarrow.parquet as pq

        self.name = name
        self._files = _filesystem(root)
        with _told(name):
            # Not read ahead by the library: it would keep the whole file.
            self._file = pq.ParquetFile(name, filesystem=self._files, pre_buffer=False, page_checksum_verification=True)
            self._stored = self._file.schema_arrow.remove_metadata()
            self.schema = _typed(self._stored, types)

    def batches(self, likely: Likely) -> Iterator[pa.RecordBatch]:
        with _told(self.name):
            own = [name for name in likely.columns if name in self.schema.names] or None
            found = self._file.iter_batches(batch_size=ROWS, row_groups=self._row_groups(likely), columns=own)
            for batch in _ahead(found):
                batch.validate(full=True)  # text that is no UTF-8 would only show in somebody's training
                yield self._cast(batch)

    def _row_groups(self, likely: Likely) -> list[int]:
        """Those that may hold rows of the bounds, by their statistics."""
        import pyarrow.dataset as ds

        name, bounds = likely.event_time, likely.bounds
        if name is None or bounds is None or name not in self._stored.names:
            return list(range(self._file.num_row_groups))
        type_ = self._stored.field(name).type
        if type_ != self.schema.field(name).type:
            return list(range(self._file.num_row_groups))
        keep = (ds.field(name) >= as_scalar(bounds.start, type_)) & (ds.field(name) < as_scalar(bounds.end, type_))
        whole = ds.ParquetFileFormat().make_fragment(self.name, filesystem=self._files)
        return [group.id for group in whole.subset(keep, schema=self._stored).row_groups]

    def _cast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow as pa

        wanted = pa.schema([self.schema.field(name) for name in batch.schema.names])
        return batch.replace_schema_metadata(None) if batch.schema.equals(wanted) else batch.cast(wanted)


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The next batch is decoded while this one is worked on."""
    with ThreadPoolExecutor(1, "decode") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


#: Makes an open file of each format: path of the source, name, types, the columns that the first file had, and whether
#: it may have others.
FORMATS: dict[str, Callable[..., OpenFile]] = {"parquet": ParquetFile, "csv": CsvFile, "jsonl": JsonLinesFile}


@contextmanager
def _told(name: str) -> Iterator[None]:
    """A broken file is wrong data, named without its values; a store that is away is not."""
    import pyarrow as pa

    try:
        yield
    except MlopsError:
        raise
    except FileNotFoundError as error:
        raise SnapshotError(f"{name} was there and is gone: does somebody replace the files of this source?") from error
    except (ConnectionError, TimeoutError):
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SnapshotError(f"{name} cannot be read: {redact(error)}.") from None


def _filesystem(root: UPath) -> Any:
    from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

    return LocalFileSystem() if is_local(root) else PyFileSystem(FSSpecHandler(root.fs))


def _typed(schema: pa.Schema, types: Mapping[str, str]) -> pa.Schema:
    for index, field in enumerate(schema):
        if field.name in types:
            schema = schema.set(index, field.with_type(read_type(types[field.name])))
    return schema
