from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.windows import Bounds, instant
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.publish import publish_bytes
from airflow_mlops.store.snapshots import Snapshot, open_snapshot, write_snapshot, writing

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TABLE = pa.table({"t": [START + dt.timedelta(hours=i) for i in range(1000)], "x": list(range(1000))})
DRAFT = Manifest(
    name="numbers", data_version="", rows=0, schema=[], source={"files": "x"}, as_of="2026-02-01", event_time="t"
)


def write(store: UPath, table: pa.Table = TABLE, rows: int | None = None) -> Snapshot:
    return write_snapshot(store, table.to_batches(max_chunksize=rows), table.schema, DRAFT)


def test_rows_come_back_in_order(store: UPath) -> None:
    snapshot = open_snapshot(UPath(write(store, rows=7).uri))
    assert snapshot.table().equals(TABLE)
    assert pa.Table.from_batches(snapshot.batches(["x"])).equals(TABLE.select(["x"]))
    assert snapshot.manifest.rows == 1000


def test_bounds_are_half_open(store: UPath) -> None:
    bounds = Bounds(START, START + dt.timedelta(hours=10))
    assert write(store).table(["x"], bounds)["x"].to_pylist() == list(range(10))


def test_the_same_rows_again_are_the_same_snapshot_and_nothing_is_written(store: UPath) -> None:
    first = write(store)
    before = {path: path.stat().st_mtime_ns for path in Path(first.path.path).iterdir()}
    again = write(store, rows=13)
    assert again.uri == first.uri
    assert {path: path.stat().st_mtime_ns for path in Path(first.path.path).iterdir()} == before


def test_another_row_is_another_snapshot(store: UPath) -> None:
    assert write(store, TABLE.slice(0, 999)).uri != write(store).uri


def test_an_empty_table_keeps_its_columns(store: UPath) -> None:
    assert write(store, TABLE.slice(0, 0)).table().schema.names == ["t", "x"]


def test_many_files_are_one_table(store: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ROW_GROUP", 100)
    monkeypatch.setattr(writing, "FILE_ROWS", 300)
    snapshot = write(store, rows=17)
    assert [file.rows for file in snapshot.manifest.files] == [300, 300, 300, 100]
    assert snapshot.table().equals(TABLE)


def test_what_was_cut_off_before_the_manifest_does_not_exist(store: UPath) -> None:
    snapshot = write(store)
    (snapshot.path / "manifest.json").unlink()
    with pytest.raises(SnapshotError, match="never finished"):
        open_snapshot(snapshot.path)
    assert write(store).table().num_rows == 1000  # and is finished by the next try


def test_a_failure_on_the_way_leaves_nothing_behind(store: UPath) -> None:
    def broken() -> object:
        yield TABLE.to_batches()[0]
        raise RuntimeError("source died")

    with pytest.raises(RuntimeError, match="source died"):
        write_snapshot(store, broken(), TABLE.schema, DRAFT)  # type: ignore[arg-type]
    assert not Path(store.path).exists()


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:], lambda b: b""])
def test_damaged_bytes_are_noticed(store: UPath, damage: object) -> None:
    snapshot = write(store)
    file = snapshot.path / snapshot.manifest.files[0].name
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(SnapshotError, match="not what its manifest says"):
        open_snapshot(snapshot.path).table()


def test_a_lost_file_is_named(store: UPath) -> None:
    snapshot = write(store)
    (snapshot.path / snapshot.manifest.files[0].name).unlink()
    with pytest.raises(SnapshotError, match="lost its file part-00000"):
        open_snapshot(snapshot.path).table()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}'])
def test_a_broken_manifest_is_an_error_of_its_own(store: UPath, text: str) -> None:
    snapshot = write(store)
    (snapshot.path / "manifest.json").write_text(text)
    with pytest.raises(SnapshotError):
        open_snapshot(snapshot.path)


def test_an_edited_manifest_is_noticed(store: UPath) -> None:
    snapshot = write(store)
    edited = {**snapshot.manifest.to_json(), "as_of": "2027-01-01"}
    (snapshot.path / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(SnapshotError, match="changed after it was written"):
        open_snapshot(snapshot.path)


def test_a_missing_column_is_named_with_those_that_exist(store: UPath) -> None:
    with pytest.raises(SnapshotError, match="no column z; it has t, x"):
        write(store).table(["z"])


def test_a_column_that_changes_on_the_way_is_named(store: UPath) -> None:
    other = TABLE.set_column(1, "x", TABLE["x"].cast(pa.float64()))
    with pytest.raises(SnapshotError, match="x was int64, is double"):
        write_snapshot(store, [*TABLE.to_batches(), *other.to_batches()], TABLE.schema, DRAFT)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\nb", "x" * 129, "{{ ds }}"])
def test_a_name_that_is_no_name_is_refused(store: UPath, name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        write_snapshot(store, TABLE.to_batches(), TABLE.schema, replace(DRAFT, name=name))


def test_any_fsspec_store_works_the_same() -> None:
    store = UPath("memory://bucket/mlops")
    first = write(store)
    assert open_snapshot(UPath(first.uri)).table(bounds=Bounds(START, instant("2026-01-02"))).num_rows == 24
    assert write(store).uri == first.uri


def test_publishing_replaces_whole_files_only(tmp_path: Path) -> None:
    target = UPath(tmp_path) / "folder" / "file"
    publish_bytes(target, b"one")
    publish_bytes(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_made_again_a_damaged_snapshot_is_whole(store: UPath, damage: str) -> None:
    snapshot = write(store)
    file = snapshot.path / snapshot.manifest.files[0].name
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    again = write(store)
    assert again.uri == snapshot.uri
    assert again.table().equals(TABLE)


MOMENT = dt.datetime(2026, 1, 1, 12)
#: Parquet gives some of these back as a finer type.
TYPES = {
    "seconds": pa.array([MOMENT, None], pa.timestamp("s")),
    "seconds in a zone": pa.array([MOMENT, None], pa.timestamp("s", "Europe/Paris")),
    "nanoseconds": pa.array([MOMENT, None], pa.timestamp("ns", "UTC")),
    "date64": pa.array([MOMENT.date(), None], pa.date64()),
    "time32": pa.array([MOMENT.time(), None], pa.time32("s")),
    "duration": pa.array([dt.timedelta(1), None], pa.duration("s")),
    "unsigned": pa.array([2**63 + 1, None], pa.uint64()),
    "decimal": pa.array([1, None], pa.decimal128(38, 3)),
    "dictionary": pa.array(["a", None]).dictionary_encode(),
    "view": pa.array(["a", None], pa.string_view()),
    "list": pa.array([[1], None], pa.large_list(pa.int8())),
    "struct": pa.array([{"a": 1.5}, None]),
    "null": pa.nulls(2),
}


def test_rows_of_every_type_are_those_of_their_data_version(store: UPath) -> None:
    write(store, pa.table(TYPES)).verify()
    write(store, TABLE.slice(0, 0)).verify()


def test_a_row_that_was_changed_together_with_its_manifest_is_found(store: UPath) -> None:
    honest, other = write(store), write(store, TABLE.set_column(1, "x", [[-1, *range(1, 1000)]]))
    forged = replace(honest, manifest=replace(honest.manifest, files=other.manifest.files), path=other.path)
    assert forged.table()["x"][0].as_py() == -1
    with pytest.raises(SnapshotError, match="not those of its data version"):
        forged.verify()
