"""CSV and JSON lines: types are settled once, and what does not fit them is an error with its file and line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_mlops.core.snapshots import read_type
from airflow_mlops.exceptions import MlopsError, SnapshotError
from airflow_mlops.steps.sources.base import Likely

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

#: Bytes that the types are taken from, and that are read at a time. A line may be at most as long.
SAMPLE, BLOCK = 1 << 20, 1 << 23

_REMEDY = "mend it, or name the column's type under types"
_ROW = re.compile(r"Row #(\d+)")
_COLUMN = re.compile(r"column #(\d+)")


class _TextFile:
    """What both formats share."""

    def __init__(
        self,
        root: UPath,
        name: str,
        *,
        types: Mapping[str, str],
        expected: pa.Schema | None = None,
        loose: bool = False,
    ) -> None:
        self.name = name
        self._root = root
        self._types = {column: read_type(type_) for column, type_ in types.items()}
        self._expected = expected
        self._loose = loose
        try:
            self.schema = self._settled()
        except (OSError, EOFError, zlib.error, UnicodeError) as error:
            raise self._broken(error) from None

    def _settled(self) -> pa.Schema:
        raise NotImplementedError

    def _open(self) -> IO[bytes]:
        file: IO[bytes] = self._root.fs.open(self.name, "rb")
        return cast("IO[bytes]", gzip.open(file)) if self.name.endswith(".gz") else file

    def _broken(self, error: BaseException) -> BaseException:
        """A file that ends too early or is no gzip is wrong data; a store that is away is not."""
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile) and error.errno is not None:
            return error
        if isinstance(error, ConnectionError | TimeoutError):
            return error
        return SnapshotError(f"{self.name} cannot be read: it is cut off, or not what its name says.")

    def _type(self, name: str, found: pa.DataType) -> pa.DataType:
        """A declared type, the first file's, or what its first megabyte looks like; without any value it is text."""
        import pyarrow as pa

        if name in self._types:
            return self._types[name]
        if self._expected is not None and name in self._expected.names:
            return self._expected.field(name).type
        if pa.types.is_binary(found):
            raise SnapshotError(f"{self.name}: column {name} holds text that is no UTF-8: convert the file.")
        return pa.string() if pa.types.is_null(found) else found


class CsvFile(_TextFile):
    """A CSV file with a header line; ``.tsv`` is separated by tabs."""

    def _settled(self) -> pa.Schema:
        import pyarrow as pa

        with self._reader() as reader:
            return pa.schema([(field.name, self._type(field.name, field.type)) for field in reader.schema])

    def batches(self, likely: Likely) -> Iterator[pa.RecordBatch]:
        try:
            with self._reader(dict(zip(self.schema.names, self.schema.types, strict=True))) as reader:
                yield from reader
        except (OSError, EOFError, zlib.error) as error:
            raise self._broken(error) from None
        except ValueError as error:
            raise self._complaint(error) from None

    def _reader(self, types: Mapping[str, pa.DataType] | None = None) -> Any:
        from pyarrow import csv

        delimiter = "\t" if self.name.removesuffix(".gz").endswith(".tsv") else ","
        try:
            return csv.open_csv(
                _Text(self._open(), self.name),
                # One thread: else the library does not tell the line.
                read_options=csv.ReadOptions(block_size=SAMPLE, use_threads=False),
                parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=csv.ConvertOptions(column_types=types),
            )
        except ValueError as error:
            raise self._complaint(error) from None

    def _complaint(self, error: ValueError) -> SnapshotError | ValueError:
        """What the library says, without the row that it quotes."""
        if isinstance(error, MlopsError):
            return error
        text, row = str(error), _ROW.search(str(error))
        where = f"{self.name}, line {row[1]}" if row else self.name
        if cells := re.search(r"Expected (\d+) columns, got (\d+)", text):
            return SnapshotError(f"{where}: {cells[2]} cells where the header has {cells[1]}: is a quote missing?")
        if (column := _COLUMN.search(text)) and (type_ := re.search(r"conversion error to ([^:]+):", text)):
            names = self.schema.names if hasattr(self, "schema") else []
            name = names[int(column[1])] if int(column[1]) < len(names) else f"number {int(column[1]) + 1}"
            return SnapshotError(f"{where}: column {name} holds what is no {type_[1]}: {_REMEDY}.")
        if "Empty CSV" in text:
            return SnapshotError(f"{self.name} is empty: not even a header line.")
        return SnapshotError(f"{where} cannot be read as CSV: is it another format, or cut off?")


class JsonLinesFile(_TextFile):
    """One JSON object a line; a key that a line does not have is null."""

    def _settled(self) -> pa.Schema:
        import pyarrow as pa

        if self._expected is not None:
            return self._expected
        first = next(self._blocks(SAMPLE), (1, b""))
        if not first[1].strip():
            raise SnapshotError(f"{self.name} is empty: there is no line in it.")
        found = self._parsed(*first, pa.schema(list(self._types.items())), "infer").schema
        return pa.schema([(field.name, self._type(field.name, field.type)) for field in found])

    def batches(self, likely: Likely) -> Iterator[pa.RecordBatch]:
        try:
            for line, block in self._blocks(BLOCK):
                if block.strip():
                    yield from self._parsed(line, block, self.schema, "ignore" if self._loose else "error").to_batches()
        except (OSError, EOFError, zlib.error) as error:
            raise self._broken(error) from None

    def _parsed(self, line: int, block: bytes, schema: pa.Schema, others: str) -> pa.Table:
        """Lines from the given one on, as a table.

        :param others: what becomes of keys that the schema has not: error, ignore or infer
        """
        try:
            return _read_json(block, schema, others)
        except ValueError:
            lines = block.split(b"\n")
            for number, one in enumerate(lines, line):
                if not one.strip():
                    continue
                try:
                    _read_json(one, schema, others)
                except ValueError as error:
                    raise SnapshotError(f"{self.name}, line {number}: {_json_complaint(error)}: {_REMEDY}.") from None
            raise SnapshotError(
                f"{self.name}, lines {line} to {line + len(lines)}: a column is of one type here and of another there: "
                f"{_REMEDY}."
            ) from None

    def _blocks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Whole lines, with the number of the first."""
        with self._open() as file:
            text, line, rest = _Text(file, self.name), 1, b""
            while chunk := text.read(size):
                rest += chunk
                end = rest.rfind(b"\n") + 1
                if end:
                    yield line, rest[:end]
                    line, rest = line + rest.count(b"\n", 0, end), rest[end:]
                elif len(rest) > BLOCK:
                    raise SnapshotError(f"{self.name}, line {line} is longer than {BLOCK >> 20} MB: is it JSON lines?")
            if rest:
                yield line, rest


def _read_json(block: bytes, schema: pa.Schema, others: str) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json

    found = json.read_json(
        pa.BufferReader(block),
        read_options=json.ReadOptions(block_size=len(block) + 1, use_threads=False),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )
    return found if others == "infer" else found.select(schema.names)


def _json_complaint(error: ValueError) -> str:
    """What is wrong with one line, without its values."""
    text = str(error)
    if "unexpected field" in text:
        return "it has a key that the first lines have not"
    if "twice" in text:
        return "it has a key twice"
    if "changed from object" in text or "Column()" in text:
        return "it is no JSON object"
    if type_ := re.search(r"convert JSON to ([^,]+),", text):
        return f"it holds what is no {type_[1]}"
    if "changed from" in text:
        return "a value is of another type than in the first lines"
    return "it is no JSON"


class _Text:
    """Bytes on their way to a parser; one that no text holds is an error with its line."""

    closed = False

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self._line = 1

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if (at := data.find(b"\0")) >= 0:
            line = self._line + data.count(b"\n", 0, at)
            raise SnapshotError(f"{self._name}, line {line}: a NUL byte: is this UTF-8 text?")
        self._line += data.count(b"\n")
        return data

    def close(self) -> None:
        self._file.close()
        self.closed = True

    def readable(self) -> bool:
        return True
