"""One file of each format as Arrow batches. Others wrote it: whatever is wrong with it is said, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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

#: Rows of a batch, and how many batches are read ahead: memory stays the same however large the file is.
ROWS, AHEAD = 65_536, 4

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
        import pyarrow.dataset as ds

        self.name = name
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        with _told(name):
            self._rows = ds.dataset(
                name, format=ds.ParquetFileFormat(default_fragment_scan_options=options), filesystem=_filesystem(root)
            )
            self.schema = _typed(self._rows.schema.remove_metadata(), types)

    def batches(self, likely: Likely) -> Iterator[pa.RecordBatch]:
        with _told(self.name):
            own = [name for name in likely.columns if name in self.schema.names] or None
            scanner = self._rows.scanner(
                columns=own, filter=self._filter(likely), batch_size=ROWS, batch_readahead=AHEAD
            )
            for batch in scanner.to_batches():
                batch.validate(full=True)  # text that is no UTF-8 would only show in somebody's training
                yield self._cast(batch)

    def _filter(self, likely: Likely) -> Any:
        import pyarrow.dataset as ds

        name, bounds = likely.event_time, likely.bounds
        if name is None or bounds is None or name not in self.schema.names:
            return None
        type_ = self._rows.schema.field(name).type
        if type_ != self.schema.field(name).type:
            return None
        return (ds.field(name) >= as_scalar(bounds.start, type_)) & (ds.field(name) < as_scalar(bounds.end, type_))

    def _cast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow as pa

        wanted = pa.schema([self.schema.field(name) for name in batch.schema.names])
        return batch.replace_schema_metadata(None) if batch.schema.equals(wanted) else batch.cast(wanted)


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
