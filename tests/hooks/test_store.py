"""Paths at any URI, and the databases behind connections."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError, SnapshotError
from airflow_mlops.hooks.store import object_path, sql_engine, store_path
from airflow_mlops.steps.snapshots import Snapshot, ingest, open_snapshot, prepare
from airflow_mlops.steps.sources import CallableSource, FileSource

DAYS = pa.table({"day": pa.array([instant(f"2026-03-{d:02}") for d in range(1, 31)], pa.timestamp("us", "UTC"))})
DAYS = DAYS.append_column("x", pa.array(range(30)))
WINDOW = TrainingWindow(lookback="10d", test="5d")


def days(**_: Any) -> pa.Table:
    return DAYS


def doubled(days: pa.Table) -> pa.Table:
    return days.append_column("twice", pa.array([2 * x for x in days["x"].to_pylist()]))


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, reached through an Airflow connection alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"login": "some", "password": "s3cret", "extra": {"endpoint_url": moto, "region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_MY_S3", json.dumps({"conn_type": "aws", **keys}))
    client = boto3.client(
        "s3", endpoint_url=moto, aws_access_key_id="some", aws_secret_access_key="s3cret", region_name="us-east-1"
    )
    name = f"bucket-{os.urandom(4).hex()}"
    client.create_bucket(Bucket=name)
    return f"s3://my_s3@{name}"


def ingested(store: Any) -> Snapshot:
    source = CallableSource(days, ["day"])
    return ingest(store, name="days", source=source, as_of=instant("2026-03-28"), window=WINDOW, event_time="day")


def test_a_snapshot_in_a_bucket_is_the_snapshot_of_a_folder(bucket: str, tmp_path: Path) -> None:
    remote, local = ingested(store_path(f"{bucket}/mlops")), ingested(store_path(str(tmp_path)))
    assert remote.manifest == local.manifest
    assert remote.uri == f"{bucket}/mlops/snapshots/days/{local.manifest.id}"
    assert "s3cret" not in remote.uri
    opened = open_snapshot(object_path(remote.uri))  # as the next task does
    assert opened.manifest == local.manifest
    assert opened.table().equals(local.table())
    assert opened.manifest.bounds
    assert opened.table(bounds=opened.manifest.bounds.test)["x"].to_pylist() == [22, 23, 24, 25, 26]


def test_preparing_in_a_bucket_gives_the_same_data_version(bucket: str, tmp_path: Path) -> None:
    remote, local = (
        prepare(
            store_path(root), name="twice", function=f"{__name__}.doubled", inputs={"days": ingested(store_path(root))}
        )
        for root in (f"{bucket}/mlops", str(tmp_path))
    )
    assert remote.manifest.data_version == local.manifest.data_version
    assert remote.manifest.parents[0].startswith(f"{bucket}/mlops/snapshots/days/")
    assert open_snapshot(object_path(remote.uri)).table().equals(local.table())


def test_twice_in_writes_nothing_again(bucket: str) -> None:
    store = store_path(f"{bucket}/mlops")
    first = ingested(store)
    before = {path: store.fs.info(path) for path in store.fs.find(first.path.path)}
    assert ingested(store).uri == first.uri
    store.fs.invalidate_cache()
    assert {path: store.fs.info(path) for path in store.fs.find(first.path.path)} == before
    assert len(before) == 2


def test_a_file_that_was_changed_in_the_bucket_is_refused(bucket: str) -> None:
    snapshot = ingested(store_path(f"{bucket}/mlops"))
    (snapshot.path / snapshot.manifest.files[0].name).write_bytes(b"something else")
    with pytest.raises(SnapshotError, match="is not what its manifest says"):
        open_snapshot(object_path(snapshot.uri)).table()


def test_what_is_not_in_the_bucket(bucket: str) -> None:
    with pytest.raises(SnapshotError, match="There is no snapshot at"):
        open_snapshot(object_path(f"{bucket}/mlops/snapshots/days/none"))


def test_files_of_a_bucket_by_name_folder_and_glob(bucket: str, tmp_path: Path) -> None:
    folder = object_path(f"{bucket}/raw")
    for number, part in enumerate((DAYS.slice(0, 15), DAYS.slice(15))):
        pq.write_table(part, tmp_path / f"{number}.parquet")
        (folder / f"{number}.parquet").write_bytes((tmp_path / f"{number}.parquet").read_bytes())

    def read(path: str) -> Snapshot:
        source = FileSource(object_path(path), "day")
        return ingest(object_path(str(tmp_path / "store")), name="raw", source=source, as_of=instant("2026-03-28"))

    here = read(str(tmp_path / "*.parquet"))
    for path in (f"{bucket}/raw/*.parquet", f"{bucket}/raw", f"{bucket}/raw/"):
        assert read(path).manifest.data_version == here.manifest.data_version
    assert read(f"{bucket}/raw/0.parquet").manifest.rows == 15
    with pytest.raises(SnapshotError, match="No file matches s3://my_s3@"):
        read(f"{bucket}/raw/*.csv")


def test_text_files_and_hive_folders_of_a_bucket(bucket: str, tmp_path: Path) -> None:
    for number in range(2):
        lines = f"day,x\n2026-03-0{number + 1}T00:00:00Z,{number}\n"
        (object_path(f"{bucket}/csv/shop={number}") / "a.csv.gz").write_bytes(gzip.compress(lines.encode()))
        (object_path(f"{bucket}/lines/shop={number}") / "a.jsonl").write_text(f'{{"x": {number}, "note": null}}\n')
    store, as_of = object_path(str(tmp_path)), instant("2026-03-28")
    source = FileSource(object_path(f"{bucket}/csv"), "day", types={"day": "timestamp[us, tz=UTC]", "shop": "string"})
    assert ingest(store, name="csv", source=source, as_of=as_of, event_time="day").table()["shop"].to_pylist() == [
        "0",
        "1",
    ]
    found = ingest(store, name="lines", source=FileSource(object_path(f"{bucket}/lines")), as_of=as_of).table()
    assert found.to_pydict() == {"x": [0, 1], "note": [None, None], "shop": [0, 1]}


@pytest.mark.parametrize(("uri", "complaint"), [("nosuch://x", "nosuch://x' is not a path that this Airflow reaches")])
def test_a_path_that_nothing_reaches(uri: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        object_path(uri)


def test_the_store_is_the_one_named_else_the_configured_one_else_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__MLOPS__STORE", "/configured")
    assert str(store_path("/named")) == "/named"
    assert str(store_path()) == "/configured"
    monkeypatch.setenv("AIRFLOW__MLOPS__STORE", "")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    assert str(store_path()) == str(tmp_path / "mlops")
    monkeypatch.chdir(tmp_path)
    assert str(store_path("near")) == str(tmp_path / "near")


def test_a_connection_that_is_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "localhost"}))
    with pytest.raises(ConfigurationError, match="Connection web is not a SQL database"):
        sql_engine("web")
    with pytest.raises(ConfigurationError, match="no Airflow connection absent"):
        sql_engine("absent")


def test_a_database_is_reached_through_its_own_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"conn_type": "postgres", "host": "localhost", "login": "ada", "password": "s3cret", "schema": "shop"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(fields))
    engine = sql_engine("shop")
    assert (engine.dialect.name, engine.url.database) == ("postgresql", "shop")
    assert "s3cret" not in repr(engine)
