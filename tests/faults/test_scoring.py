"""Batch scoring, killed and raced: nothing, or exactly one whole result; and a retry ends it."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from random import Random
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3fs import S3FileSystem
from sklearn.linear_model import LogisticRegression
from upath import UPath

from airflow_mlops import _failpoints
from airflow_mlops.core.scoring import Batch
from airflow_mlops.core.signatures import Column
from airflow_mlops.steps.scoring import find_rows, score
from airflow_mlops.store.predictions import read_predictions
from airflow_mlops.testing.shelf import Shelf
from tests.faults.lifecycle import exit_code

COUNT, COPIES = 300_000, 4
DAY = "2026-11-21T00:00:00+00:00"
KEYS = {"AWS_ACCESS_KEY_ID": "some", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with a champion, and rows."""
    folder = tmp_path_factory.mktemp("scoring")
    x = np.random.default_rng(0).normal(size=COUNT)
    pq.write_table(pa.table({"x": x}), folder / "rows.parquet")
    shelf = Shelf(folder)
    shelf.add("m", LogisticRegression().fit(x[:100, None], x[:100] > 0), [Column("x", "double")], output="boolean")
    shelf.promote("m", 1, datetime(2026, 11, 1, tzinfo=UTC))
    return folder


@pytest.fixture(params=["local", "s3"])
def log(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    """Where the predictions go, and what a process must know to reach it."""
    if request.param == "local":
        return str(tmp_path / "log"), {}
    env = {"AWS_ENDPOINT_URL": request.getfixturevalue("moto"), **KEYS}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    # Without arguments a file system is one for all tests of the process, and knows the server of the first.
    S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=env["AWS_ENDPOINT_URL"]).create_bucket(Bucket=bucket)
    return f"s3://{bucket}/log", env


def scored(place: str, log: str, env: Mapping[str, str], message_id: str | None = None) -> dict[str, Any]:
    os.environ.update(env)
    batch = Batch("models:/m@champion", "a day", DAY, message_id=message_id)
    rows = find_rows(str(Path(place, "rows.parquet")), UPath)
    found, path, new = score(Shelf(Path(place)), batch, rows, UPath(log))  # type: ignore[arg-type]
    return {**found.to_json(), "uri": str(path), "new": new}


def killed_at(failpoint: str, place: str, log: str, env: Mapping[str, str]) -> None:
    os.environ[_failpoints.VARIABLE] = failpoint
    scored(place, log, env)


def raced(place: str, log: str, env: Mapping[str, str], message: str | None, start: Barrier, told: Queue[Any]) -> None:
    start.wait(60)
    told.put(scored(place, log, env, message))


def results(log: str) -> list[str]:
    root = UPath(log)
    root.fs.invalidate_cache()
    return [str(path) for path in root.fs.find(root.path)]


def check_whole(log: str) -> None:
    """One result, and nothing beside it."""
    (path,) = results(log)
    assert path.rpartition("/")[2].startswith("batch-")
    assert sum(batch.num_rows for batch in read_predictions(UPath(log), "m", columns=["score"])) == COUNT


@pytest.mark.faults("kill a batch scoring")
@pytest.mark.parametrize("failpoint", ["file.before", "file.after"])
def test_a_scoring_killed_at_its_write_is_finished_by_its_retry(
    processes: ForkServerContext, place: Path, log: tuple[str, dict[str, str]], failpoint: str
) -> None:
    where, env = log
    assert exit_code(processes, killed_at, failpoint, str(place), where, env) == -signal.SIGKILL
    assert len(results(where)) == (failpoint == "file.after")
    assert scored(str(place), where, env)["new"] is (failpoint == "file.before")
    check_whole(where)


@pytest.mark.faults("kill a batch scoring at any moment", rounds=20)
def test_a_scoring_killed_at_any_moment_leaves_nothing_or_all(
    processes: ForkServerContext, place: Path, tmp_path: Path, chance: Random
) -> None:
    log = str(tmp_path / "log")
    process = processes.Process(target=scored, args=(str(place), log, {}))
    process.start()
    time.sleep(chance.uniform(0, 2.5))
    process.kill()
    process.join()
    visible = [path for path in results(log) if not Path(path).name.startswith(".")] if Path(log).exists() else []
    if visible:
        check_whole(log)
    again = scored(str(place), log, {})
    assert (again["rows"], again["new"]) == (COUNT, not visible)
    check_whole(log)


@pytest.mark.faults("copies of a batch scoring", rounds=5)
@pytest.mark.parametrize("message", [None, "7f"])
def test_copies_at_once_make_one_result(
    processes: ForkServerContext, place: Path, log: tuple[str, dict[str, str]], message: str | None
) -> None:
    start, told = processes.Barrier(COPIES), processes.Queue()
    args = (str(place), *log, message, start, told)
    copies = [processes.Process(target=raced, args=args) for _ in range(COPIES)]
    for copy in copies:
        copy.start()
    found = [told.get(timeout=120) for _ in copies]
    for copy in copies:
        copy.join(60)
    assert sum(one.pop("new") for one in found) == 1
    for one in found:
        one.pop("scored_at")
    assert all(one == found[0] for one in found)
    check_whole(log[0])
