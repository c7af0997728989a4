"""Listings of folders, globs and buckets, and counts of new rows."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
from upath import UPath

from airflow_mlops.clients.arrivals import count_rows, list_files
from airflow_mlops.core.polling import SeenFile, SeenRows
from airflow_mlops.exceptions import ConfigurationError, ServiceUnavailable


def write(root: Path, name: str, text: str = "x") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(found: list[SeenFile]) -> list[str]:
    return sorted(file.name for file in found)


def test_a_folder_and_a_glob_are_listed_below_their_root(tmp_path: Path) -> None:
    for name in ("d=1/a.csv", "d=1/_SUCCESS", "d=2/b.parquet", "c.csv", "_SUCCESS"):
        write(tmp_path, name)
    assert names(list_files(UPath(tmp_path))) == ["_SUCCESS", "c.csv", "d=1/_SUCCESS", "d=1/a.csv", "d=2/b.parquet"]
    assert names(list_files(UPath(tmp_path / "*" / "*.csv"))) == ["d=1/a.csv"]
    assert names(list_files(UPath(tmp_path / "d=*" / "*.*"), "_SUCCESS")) == [
        "_SUCCESS", "d=1/_SUCCESS", "d=1/a.csv", "d=2/b.parquet",
    ]  # fmt: skip
    assert names(list_files(UPath(tmp_path / "d=1" / "a.csv"))) == ["a.csv"]
    assert list_files(UPath(tmp_path / "yet" / "to" / "come")) == []


def test_a_file_that_is_moved_there_late_is_young_and_touching_its_mode_makes_no_new_one(tmp_path: Path) -> None:
    path = write(tmp_path, "elsewhere/a.csv")
    os.utime(path, (1, 1))
    time.sleep(0.01)
    between = time.time()
    time.sleep(0.01)
    (tmp_path / "landing").mkdir()
    moved = Path(shutil.move(path, tmp_path / "landing"))
    (found,) = list_files(UPath(tmp_path / "landing"))
    assert found.changed > between
    moved.chmod(0o600)
    (again,) = list_files(UPath(tmp_path / "landing"))
    assert again.digest == found.digest
    moved.write_text("y")
    (changed,) = list_files(UPath(tmp_path / "landing"))
    assert changed.digest != found.digest


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Callable[[str], UPath]]:
    """An S3 client, and a path in a new bucket of its."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"aws_access_key_id": "some", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=moto, **keys)
    name = f"bucket-{os.urandom(4).hex()}"
    client.create_bucket(Bucket=name)
    limits = {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 1}}

    def path(key: str, endpoint: str = moto) -> UPath:
        return UPath(
            f"s3://{name}/{key}", key="some", secret="s3cret", endpoint_url=endpoint, config_kwargs=limits
        )  # fmt: skip

    client.put = lambda key, body=b"x": client.put_object(Bucket=name, Key=key, Body=body)
    return client, path


def test_a_prefix_is_listed_anew_at_every_look(bucket: tuple[Any, Callable[..., UPath]]) -> None:
    client, path = bucket
    assert list_files(path("landing")) == []
    client.put("landing/d=1/a.csv")
    client.put("landing/d=2/", b"")  # what consoles call a folder
    (first,) = list_files(path("landing"))
    assert (first.name, first.bytes) == ("d=1/a.csv", 1)
    assert abs(first.changed - time.time()) < 60
    client.put("landing/d=1/a.csv")
    assert [file.digest for file in list_files(path("landing"))] == [first.digest]  # the same content again
    client.put("landing/d=1/a.csv", b"y")
    client.put("landing/d=1/_SUCCESS")
    found = {file.name: file for file in list_files(path("landing/*/*.csv"), "_SUCCESS")}
    assert set(found) == {"d=1/a.csv", "d=1/_SUCCESS"}
    assert found["d=1/a.csv"].digest != first.digest


def test_a_bucket_that_does_not_answer_is_away(bucket: tuple[Any, Callable[..., UPath]]) -> None:
    with pytest.raises(ServiceUnavailable, match=r"s3://bucket.* cannot be listed"):
        list_files(bucket[1]("landing", "http://127.0.0.1:9"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db")
    with engine.begin() as connection:
        connection.execute(sa.text('create table sales (id integer, "At" text, name varchar)'))
        insert = sa.text("insert into sales values (:i, :at, :n)")
        for i in range(10):
            connection.execute(insert, {"i": i or None, "at": f"2026-11-{i + 1:02}", "n": f"n{i}"})
    yield engine
    engine.dispose()


def test_rows_above_a_mark_are_counted_up_to_the_newest(engine: sa.Engine) -> None:
    def count(column: str, mark: Any = None, query: str = "select * from sales;") -> SeenRows:
        return count_rows(engine, query, column, mark, "here")

    assert count("id") == SeenRows(9, 9)  # no value, no place in the order
    assert count("id", 6) == count("id", "6") == SeenRows(3, 9)
    assert count("id", 9) == SeenRows(0, 9)
    assert count("id", None, "select * from sales where id < 0") == SeenRows(0, None)
    assert count("At") == SeenRows(10, "2026-11-10")
    assert count("At", "2026-11-08") == SeenRows(2, "2026-11-10")
    assert count("name", "n7").count == 2


def test_what_cannot_be_asked(engine: sa.Engine) -> None:
    with pytest.raises((ConfigurationError, ServiceUnavailable), match="here"):
        count_rows(engine, "select * from sales", "not_there", None, "here")
    with pytest.raises(ConfigurationError, match="cannot be compared"):
        count_rows(engine, "select * from sales", "id", "yesterday", "here")
