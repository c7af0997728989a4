"""Files of every format, and what is told of those that are broken."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from upath import UPath

from airflow_mlops.core.slices import Slice
from airflow_mlops.core.windows import Bounds, instant
from airflow_mlops.exceptions import ConfigurationError, DataError, SnapshotError
from airflow_mlops.steps.sources import FileSource, build_source

AS_OF = instant("2026-03-01")
ALL = Slice(AS_OF)
TABLE = pa.table(
    {
        "id": pa.array(range(500), pa.int64()),
        "x": [i / 7 for i in range(500)],
        "name": [f"n{i}" for i in range(500)],
        "at": pa.array([dt.datetime(2026, 1, 1) + dt.timedelta(hours=i) for i in range(500)], pa.timestamp("s")),
        "flag": [i % 3 == 0 for i in range(500)],
    }
)


def json_lines(table: pa.Table) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()).encode()


def csv_text(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, coerce_timestamps="us")
    return sink.getvalue().to_pybytes()


FORMATS: dict[str, Callable[[pa.Table], bytes]] = {
    "a.csv": csv_text,
    "a.csv.gz": lambda table: gzip.compress(csv_text(table)),
    "a.jsonl": json_lines,
    "a.ndjson.gz": lambda table: gzip.compress(json_lines(table)),
    "a.parquet": parquet_bytes,
}


def read(source: FileSource, rows: Slice = ALL) -> pa.Table:
    schema, batches = source.read(rows)
    return pa.Table.from_batches(batches, schema)


def files(folder: Path, contents: dict[str, bytes | str]) -> UPath:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return UPath(folder)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_rows_in_order(tmp_path: Path, name: str) -> None:
    parts = {f"part{i}/{name}": FORMATS[name](TABLE.slice(i * 250, 250)) for i in range(2)}
    found = read(FileSource(files(tmp_path, parts)))
    assert found.cast(TABLE.schema).equals(TABLE)


def test_names_that_tell_no_format_need_it_named(tmp_path: Path) -> None:
    path = files(tmp_path, {"rows.txt": csv_text(TABLE)})
    assert read(FileSource(path, format="csv")).num_rows == 500
    with pytest.raises(ConfigurationError, match="Format 'excel' is not known: use parquet, csv, jsonl"):
        read(FileSource(path, format="excel"))
    with pytest.raises(SnapshotError, match=r"more than one format, such as .*b\.csv and .*rows\.txt"):
        read(FileSource(files(tmp_path, {"b.csv": b"id\n1\n"})))


def test_types_that_are_named_are_taken_whatever_the_values_look_like(tmp_path: Path) -> None:
    types = {"zip": "string", "price": "decimal128(9, 2)", "at": "timestamp[us, tz=UTC]"}
    path = files(tmp_path, {"a.csv": "zip,price,at\n01234,1.50,2026-01-01T00:00:00Z\n"})
    found = read(FileSource(path, types=types))
    assert found.schema.field("at").type == pa.timestamp("us", "UTC")
    assert found.column("zip").to_pylist() == ["01234"]
    with pytest.raises(SnapshotError, match="has no column zap; it has zip, price, at"):
        read(FileSource(path, types={"zap": "string"}))
    with pytest.raises(ConfigurationError, match="'text' is not a type"):
        read(FileSource(path, types={"zip": "text"}))


def test_a_parquet_column_is_cast_to_its_named_type_without_loss(tmp_path: Path) -> None:
    path = files(tmp_path, {"a.parquet": parquet_bytes(TABLE)})
    assert read(FileSource(path, types={"id": "int16"})).schema.field("id").type == pa.int16()
    with pytest.raises(SnapshotError, match=r"a\.parquet cannot be read"):
        read(FileSource(path, types={"id": "int8"}))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_columns_that_are_named_are_taken_in_their_order(tmp_path: Path, name: str) -> None:
    more = TABLE.append_column("new", pa.array(["z"] * 500))
    path = files(tmp_path, {f"0/{name}": FORMATS[name](TABLE), f"1/{name}": FORMATS[name](more)})
    with pytest.raises(SnapshotError, match=r"1/a\.(csv|parquet) differs .*new|1/a\.jsonl, line 1: it has a key"):
        read(FileSource(path))
    found = read(FileSource(path, columns=("name", "id")))
    assert found.column_names == ["name", "id"]
    assert found["id"].to_pylist() == [*range(500), *range(500)]
    with pytest.raises(SnapshotError, match="no column new"):
        read(FileSource(path, columns=("id", "new")))


@pytest.mark.parametrize(
    ("name", "other", "complaint"),
    [
        ("a.csv", "id,y\n1,2\n", "x was int64, is missing, y was missing, is int64"),
        ("a.csv", "x,id\n1,2\n", "their order"),
        ("a.csv", "id,x,y\n1,2,3\n", "y was missing"),
        ("a.csv", "id\n1\n", "x was int64, is missing"),
        ("a.csv", "id,x\n1,2\n3,4.5\n", r"1/a\.csv, line 3: column x holds what is no int64"),
        ("a.csv", "id,x\n1,2\n3\n", r"1/a\.csv, line 3: 1 cells where the header has 2"),
        ("a.csv", "id,x\n1,2\n3,4,5\n", r"1/a\.csv, line 3: 3 cells where the header has 2"),
        ("a.csv", "id,x\n1,2\n3,\0\n", r"1/a\.csv, line 3: a NUL byte"),
        ("a.csv", "", r"1/a\.csv is empty"),
        ("a.jsonl", '{"id": 1, "x": 2}\n{"id": 1, "x": "secret"}\n', r"1/a\.jsonl, line 2: "),
        ("a.jsonl", '{"id": 1, "x": 2}\n\n{"id": 1, "x": 2.5}\n', r"1/a\.jsonl, line 3: it holds what is no int64"),
        ("a.jsonl", '{"id": 1, "x": 2}\n{"id": 1, "x":\n', r"1/a\.jsonl, line 2: it is no JSON"),
        ("a.jsonl", '{"id": 1, "x": 2}\n[1, 2]\n', r"1/a\.jsonl, line 2: it is no JSON object"),
        ("a.jsonl", '{"id": 1, "y": 2}\n', r"1/a\.jsonl, line 1: it has a key that the first lines have not"),
        ("a.jsonl", '{"id": 1, "id": 2}\n', r"1/a\.jsonl, line 1: it has a key twice"),
        ("a.jsonl", '{"id": 1,\0 "x": 2}\n', r"1/a\.jsonl, line 1: a NUL byte"),
    ],
)
def test_a_file_that_differs_from_the_first_is_named_with_its_line(
    tmp_path: Path, name: str, other: str, complaint: str
) -> None:
    first = {"a.csv": "id,x\n1,2\n", "a.jsonl": '{"id": 1, "x": 2}\n'}[name]
    with pytest.raises(SnapshotError, match=complaint) as caught:
        read(FileSource(files(tmp_path, {f"0/{name}": first, f"1/{name}": other})))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"id,id\n1,2\n", "more than one column named id"),
        ("a.csv", b"id,name\n1,\xff\xfe\n", "column name holds text that is no UTF-8"),
        ("a.csv.gz", b"id\n1\n", r"a\.csv\.gz cannot be read: it is cut off, or not what its name says"),
        ("a.csv.gz", gzip.compress(b"id,x\n" + b"1,2\n" * 9999, mtime=0)[:-9], "it is cut off"),
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b'[{"id": 1}]', "line 1: it is no JSON object"),
        ("a.jsonl", b'{"id": 1}\n{"id": "a"}', "a column is of one type here and of another there|line 2"),
        ("a.jsonl.gz", gzip.compress(b'{"id": 1}\n' * 9999, mtime=0)[:-9], "it is cut off"),
        ("a.parquet", b"PAR1", r"a\.parquet cannot be read"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    with pytest.raises(SnapshotError, match=complaint):
        read(FileSource(files(tmp_path, {name: content})))


def test_types_do_not_depend_on_how_a_later_part_looks(tmp_path: Path) -> None:
    """The first megabyte settles them: the second one, of the same kind of value or not, never does."""
    lines = [f"{i},{i}" for i in range(150_000)]
    path = files(tmp_path, {"a.csv": "\n".join(["id,x", *lines, "1,2.5"])})
    with pytest.raises(SnapshotError, match="line 150002: column x holds what is no int64"):
        read(FileSource(path))
    assert read(FileSource(path, types={"x": "double"}))["x"][150_000].as_py() == 2.5
    path = files(tmp_path / "more", {"a.jsonl": "\n".join([f'{{"id": {i}}}' for i in range(99_999)] + ['{"id": 0.5}'])})
    with pytest.raises(SnapshotError, match="line 100000: it holds what is no int64"):
        read(FileSource(path))


def test_a_line_break_in_quotes_is_part_of_the_text(tmp_path: Path) -> None:
    path = files(tmp_path, {"a.csv": 'id,note\n1,"two\nlines"\n2,\n'})
    assert read(FileSource(path))["note"].to_pylist() == ["two\nlines", ""]


class TestFolders:
    def parts(self, folder: Path, names: list[str]) -> UPath:
        return files(
            folder, {f"{name}/a.csv": f"id,t\n{i},2026-01-{i + 1:02}T12:00:00\n" for i, name in enumerate(names)}
        )

    def test_become_columns_with_an_inferred_or_a_named_type(self, tmp_path: Path) -> None:
        path = self.parts(tmp_path, ["year=2026/day=2026-01-01/to=a", "year=2026/day=2026-01-02/to=b%20c"])
        found = read(FileSource(path))
        assert found.schema.names == ["id", "t", "year", "day", "to"]
        assert [str(type_) for type_ in found.schema.types[2:]] == ["int32", "date32[day]", "string"]
        assert found["to"].to_pylist() == ["a", "b c"]
        assert read(FileSource(path, types={"year": "string"}))["year"].to_pylist() == ["2026", "2026"]
        assert read(FileSource(path, columns=("to", "id"))).column_names == ["to", "id"]

    def test_that_are_null_or_of_another_type_or_depth(self, tmp_path: Path) -> None:
        path = self.parts(tmp_path / "a", ["x=1", "x=__HIVE_DEFAULT_PARTITION__"])
        assert read(FileSource(path))["x"].to_pylist() == [1, None]
        assert read(FileSource(self.parts(tmp_path / "b", ["x=1", "x=one"])))["x"].to_pylist() == ["1", "one"]
        with pytest.raises(SnapshotError, match=r"The folder x=one of .* is no int32"):
            read(FileSource(self.parts(tmp_path / "b", []), types={"x": "int32"}))
        with pytest.raises(SnapshotError, match=r"y=2/a\.csv make the columns y, those of the first file x"):
            read(FileSource(self.parts(tmp_path / "c", ["x=1", "y=2"])))

    def test_outside_the_window_are_not_opened(self, tmp_path: Path) -> None:
        path = self.parts(tmp_path, [f"day=2026-01-{day:02}" for day in range(1, 21)])
        for day in (1, 20):
            (tmp_path / f"day=2026-01-{day:02}" / "a.csv").write_text("id,t\nbroken\n" if day == 20 else "id,t\n0,\n")
        rows = Slice(AS_OF, Bounds(instant("2026-01-05"), instant("2026-01-08")))
        found = read(FileSource(path, "t", types={"t": "timestamp[us]"}, prune=("day",)), rows)
        assert found["id"].to_pylist() == [3, 4, 5, 6, 7, 8]  # a day more on both sides, whatever their time zone is
        with pytest.raises(SnapshotError, match="line 2: 1 cells"):
            read(FileSource(path, "t", types={"t": "timestamp[us]"}), rows)
        with pytest.raises(SnapshotError, match="line 2: 1 cells"):  # a correction may have moved a row
            read(
                FileSource(path, "t", types={"t": "timestamp[us]"}, prune=("day",)), Slice(AS_OF, rows.bounds, ("id",))
            )

    def test_that_are_no_date_cannot_be_pruned_by(self, tmp_path: Path) -> None:
        rows = Slice(AS_OF, Bounds(instant("2026-01-05"), instant("2026-01-08")))
        path = self.parts(tmp_path, ["to=a"])
        for prune, complaint in (
            (("to",), "are no date"),
            (("day",), "prune names day; the folders make the columns to"),
        ):
            with pytest.raises(ConfigurationError, match=complaint):
                read(FileSource(path, "t", prune=prune), rows)


def test_a_source_is_described_by_what_was_asked_for(tmp_path: Path) -> None:
    def build(**spec: Any) -> Any:
        return build_source(spec, path_of=UPath, engine_of=lambda _: None)  # type: ignore[arg-type, return-value]

    assert build(files="/data").describe() == {"files": "/data"}
    spec = {"files": "/data", "format": "csv", "types": {"a": "string"}, "columns": ["a"], "prune": ["day"]}
    assert build(**spec).describe() == spec
    with pytest.raises(ConfigurationError, match="kolumns"):
        build(files="/data", kolumns=["a"])


def test_a_store_that_is_away_is_no_broken_file(tmp_path: Path) -> None:
    class Away(type(UPath("memory://").fs)):  # type: ignore[misc]
        """A bucket that is listed, and then throttles."""

        protocol = "away"

        def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
            raise OSError(16, "Please reduce your request rate.")

    path = UPath("memory://away/a.csv")
    path.write_text("id\n1\n")
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        path.parent.joinpath(name).write_text("id\n1\n")
        away = UPath(f"memory://away/{name}")
        away._fs_cached = Away()
        with pytest.raises(OSError, match="reduce your request rate") as caught:
            read(FileSource(away))
        assert not isinstance(caught.value, DataError)
