"""Delta and Iceberg tables: a snapshot names a version of them, and copies nothing."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from upath import UPath

from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError, NotEnoughData, SnapshotError
from airflow_mlops.hooks.store import object_path, store_path
from airflow_mlops.steps.snapshots import Snapshot, ingest, open_snapshot
from airflow_mlops.steps.sources import DeltaSource, FileSource, IcebergSource

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def days(first: int, many: int = 20) -> pa.Table:
    moments = [START + dt.timedelta(days=first + i) for i in range(many)]
    return pa.table({"day": pa.array(moments, pa.timestamp("us", "UTC")), "x": pa.array(range(first, first + many))})


@pytest.fixture
def delta(tmp_path: Path) -> tuple[UPath, list[dt.datetime]]:
    """A table of three versions, and an instant after each."""
    after = []
    for number in range(3):
        write_deltalake(str(tmp_path / "delta"), days(20 * number), mode="append")
        after.append(dt.datetime.now(dt.UTC))
        time.sleep(0.01)
    return UPath(tmp_path / "delta"), after


@pytest.fixture
def iceberg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[dt.datetime]]:
    """The same in a catalog on SQLite."""
    from pyiceberg import catalog
    from pyiceberg.utils.config import Config

    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__WAREHOUSE", f"file://{tmp_path}/warehouse")
    monkeypatch.setattr(catalog, "_ENV_CONFIG", Config())
    lake = catalog.load_catalog("lake")
    lake.create_namespace("shop")
    table, after = lake.create_table("shop.days", days(0).schema), []
    for number in range(3):
        table.append(days(20 * number))
        after.append(dt.datetime.now(dt.UTC))
        time.sleep(0.01)
    return table, after


def test_the_version_in_force_at_the_as_of_is_pinned_and_nothing_is_copied(
    store: UPath, delta: tuple[UPath, list[dt.datetime]]
) -> None:
    table, after = delta
    for version, as_of in enumerate(after):
        snapshot = ingest(store, name="days", source=DeltaSource(table), as_of=as_of)
        found = snapshot.manifest.pinned or {}
        assert (found["version"], found["format"], found["table"]) == (version, "delta", str(table))
        assert instant(found["committed"]) <= as_of
        assert [path.name for path in Path(snapshot.path.path).iterdir()] == ["manifest.json"]
        opened = open_snapshot(snapshot.path)
        assert opened.manifest == snapshot.manifest
        assert sorted(opened.table()["x"].to_pylist()) == list(range(20 * (version + 1)))
        assert sum(batch.num_rows for batch in opened.batches(["x"])) == opened.manifest.rows
        opened.verify()
    with pytest.raises(NotEnoughData, match="began after 2026-01-01"):
        ingest(store, name="days", source=DeltaSource(table), as_of=START)


def test_a_window_of_a_table_is_the_window_of_its_files(store: UPath, delta: Any, tmp_path: Path) -> None:
    """The data version is that of the same rows from anywhere else."""
    table, after = delta
    pq.write_table(DeltaTable(table.path).to_pyarrow_table().sort_by("x"), tmp_path / "days.parquet")
    window = TrainingWindow(start="2026-01-10", test="300d", knowledge_time="day")
    as_of = instant("2026-12-01") if after[-1] < instant("2026-12-01") else after[-1]
    made = [
        ingest(store, name="d", source=source, as_of=as_of, window=window, event_time="day")
        for source in (DeltaSource(table, "day"), FileSource(UPath(tmp_path / "days.parquet"), "day"))
    ]
    assert sorted(made[0].table()["x"].to_pylist()) == made[1].table()["x"].to_pylist() == list(range(9, 60))
    assert made[0].manifest.schema == made[1].manifest.schema
    bounds = made[0].manifest.bounds
    assert bounds
    assert made[0].table(["x"], bounds.test).num_rows == made[1].table(["x"], bounds.test).num_rows


def test_a_version_that_was_vacuumed_is_named(store: UPath, delta: Any) -> None:
    table, after = delta
    snapshot = ingest(store, name="days", source=DeltaSource(table), as_of=after[1])
    current = DeltaTable(table.path)
    current.delete("x < 30")
    current.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(SnapshotError, match=r"Version 1 of Delta table .* is gone, its files were vacuumed"):
        open_snapshot(snapshot.path).table()


def test_files_of_a_version_that_were_replaced_are_noticed(store: UPath, delta: Any) -> None:
    table, after = delta
    snapshot = ingest(store, name="days", source=DeltaSource(table), as_of=after[0])
    (file,) = DeltaTable(table.path, version=0).file_uris()
    pq.write_table(days(1), file)
    with pytest.raises(SnapshotError, match="gives other rows for its version than those that were pinned"):
        open_snapshot(snapshot.path).table()
    Path(file).write_bytes(Path(file).read_bytes()[:100])
    with pytest.raises(SnapshotError, match=r"Version 0 of Delta table .* is broken|A file of Version 0"):
        open_snapshot(snapshot.path).table()


def test_what_is_no_table_is_told(store: UPath, delta: Any, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="There is no Delta table at"):
        ingest(store, name="d", source=DeltaSource(UPath(tmp_path / "none")), as_of=START)
    with pytest.raises(SnapshotError, match="has no column night; it has day, x"):
        ingest(store, name="d", source=DeltaSource(delta[0], "night"), as_of=delta[1][0], event_time="night")


def test_an_edited_pin_is_noticed(store: UPath, delta: Any) -> None:
    snapshot = ingest(store, name="days", source=DeltaSource(delta[0]), as_of=delta[1][0])
    facts = snapshot.manifest.to_json()
    (snapshot.path / "manifest.json").write_text(json.dumps({**facts, "pinned": {**facts["pinned"], "version": 2}}))
    with pytest.raises(SnapshotError, match="changed after it was written"):
        open_snapshot(snapshot.path)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """An S3 in a process of its own: the library behind Delta holds this one while it waits for an answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.integration
@pytest.mark.parametrize("how", ["connection", "keys"])
def test_a_table_in_a_bucket(moto: str, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"login": "some", "password": "s3cret", "extra": {"endpoint_url": moto, "region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_TABLES_S3", json.dumps({"conn_type": "aws", **keys}))
    known = {"aws_access_key_id": "some", "aws_secret_access_key": "s3cret"}
    bucket = f"bucket-{os.urandom(4).hex()}"
    boto3.client("s3", endpoint_url=moto, region_name="us-east-1", **known).create_bucket(Bucket=bucket)
    options = {
        "AWS_ENDPOINT_URL": moto, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        **{key.upper(): value for key, value in known.items()},
    }  # fmt: skip
    write_deltalake(f"s3://{bucket}/days", days(0), storage_options=options)
    if how == "connection":
        store, table = store_path(f"s3://tables_s3@{bucket}/mlops"), object_path(f"s3://tables_s3@{bucket}/days")
    else:
        store = UPath(f"s3://{bucket}/mlops", key="some", secret="s3cret", endpoint_url=moto)
        table = store.parent / "days"
    snapshot: Snapshot = ingest(store, name="days", source=DeltaSource(table), as_of=dt.datetime.now(dt.UTC))
    opened = open_snapshot(snapshot.path)
    assert opened.table()["x"].to_pylist() == list(range(20))
    assert "s3cret" not in json.dumps(opened.manifest.to_json())


def test_the_snapshot_of_an_iceberg_table_in_force_at_the_as_of_is_pinned(store: UPath, iceberg: Any) -> None:
    table, after = iceberg
    for number, as_of in enumerate(after):
        snapshot = ingest(store, name="days", source=IcebergSource("shop.days", "lake"), as_of=as_of)
        assert (snapshot.manifest.pinned or {})["snapshot_id"] == table.history()[number].snapshot_id
        opened = open_snapshot(snapshot.path)
        assert sorted(opened.table()["x"].to_pylist()) == list(range(20 * (number + 1)))
        opened.verify()
    window = TrainingWindow(start="2026-01-10", test="300d")
    source = IcebergSource("shop.days", "lake", "day")
    windowed = ingest(store, name="days", source=source, as_of=after[-1], window=window, event_time="day")
    assert min(windowed.table()["x"].to_pylist()) == 9
    by_file = ingest(store, name="days", source=IcebergSource(table.metadata_location), as_of=after[0])
    assert by_file.table().num_rows == 20
    with pytest.raises(NotEnoughData, match="began after"):
        ingest(store, name="days", source=source, as_of=START)


def test_a_snapshot_of_an_iceberg_table_that_expired_is_named(store: UPath, iceberg: Any) -> None:
    table, after = iceberg
    snapshot = ingest(store, name="days", source=IcebergSource("shop.days", "lake"), as_of=after[0])
    table.maintenance.expire_snapshots().by_id(table.history()[0].snapshot_id).commit()
    with pytest.raises(SnapshotError, match=r"of Iceberg table shop.days is gone"):
        open_snapshot(snapshot.path).table()
    with pytest.raises(SnapshotError, match=r"There is no Iceberg table shop.nights in catalog lake"):
        ingest(store, name="days", source=IcebergSource("shop.nights", "lake"), as_of=after[0])
    with pytest.raises(ConfigurationError, match="Iceberg catalog nowhere cannot be opened"):
        ingest(store, name="days", source=IcebergSource("shop.days", "nowhere"), as_of=after[0])


def test_a_forged_format_is_refused(store: UPath, delta: Any) -> None:
    snapshot = ingest(store, name="days", source=DeltaSource(delta[0]), as_of=delta[1][0])
    with pytest.raises(SnapshotError, match="format 'pickle' cannot be read"):
        replace(snapshot, manifest=replace(snapshot.manifest, pinned={"format": "pickle"})).table()
