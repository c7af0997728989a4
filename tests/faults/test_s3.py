"""The store in a bucket: killed, raced, cut off and away, it holds whole snapshots or none."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import boto3
import pytest
from upath import UPath

from airflow_mlops import _failpoints
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import DataError, SnapshotError
from airflow_mlops.steps.snapshots import Snapshot, ingest, open_snapshot
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.store.publish import publish_bytes, publish_file
from tests.faults.lifecycle import check_settled, exit_code, lifecycle, rows
from tests.faults.proxy import Fault, FaultProxy, Outage

KEYS = {"key": "some", "secret": "s3cret"}
STORE_WRITES = ("PUT part", "PUT manifest")
COPIES = 4
#: Seconds for one request where a test waits for a reply that does not come.
PATIENCE = 1.0


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a process must know to reach the bucket by its URI alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    env = {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": KEYS["key"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secret"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


@pytest.fixture
def store(aws: dict[str, str]) -> UPath:
    """A new bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=aws["AWS_ENDPOINT_URL"]).create_bucket(Bucket=name)
    return UPath(f"s3://{name}/mlops", endpoint_url=aws["AWS_ENDPOINT_URL"], **KEYS)


@pytest.fixture
def proxy(moto: str) -> Iterator[FaultProxy]:
    with FaultProxy(
        moto, PATIENCE, name=lambda method, path: f"{method} {path.rpartition('/')[2][:8].strip('-.0123')}"
    ) as proxy:
        yield proxy


def through(proxy: FaultProxy, store: UPath) -> UPath:
    limits = {"read_timeout": PATIENCE, "connect_timeout": PATIENCE, "retries": {"max_attempts": 1}}
    return UPath(str(store), endpoint_url=proxy.url, config_kwargs=limits, **KEYS)


def ingested(store: UPath) -> Snapshot:
    return ingest(store, name="rows", source=CallableSource(rows, ["id"]), as_of=instant("2026-10-01"))


def check_whole(store: UPath, tmp_path: Path) -> None:
    """The bucket holds one snapshot, that of a folder, and nothing else."""
    local = ingested(UPath(tmp_path))
    uri = store / "snapshots" / "rows" / local.manifest.id
    store.fs.invalidate_cache()
    found = open_snapshot(uri)
    assert found.manifest == local.manifest
    assert found.table().equals(local.table())
    names = sorted(Path(path).name for path in store.fs.find(store.path))
    assert names == sorted(path.name for path in Path(local.path.path).iterdir())


def train(failpoint: str, uri: str, store: str, name: str, aws: Mapping[str, str]) -> None:
    os.environ.update({**aws, _failpoints.VARIABLE: failpoint})
    with MlflowClient(MlflowSettings(uri)) as client:
        lifecycle(client, UPath(store), name)


def ingest_at_once(store: str, aws: Mapping[str, str], start: Barrier) -> None:
    os.environ.update(aws)
    start.wait(60)
    ingested(UPath(store))


@pytest.mark.faults("kill on S3")
@pytest.mark.parametrize("failpoint", ["file.before", "file.after", "manifest.before", "manifest.after"])
@pytest.mark.parametrize("mlflow_uri", ["sqlite"], indirect=True)
def test_a_training_killed_at_a_write_to_the_bucket_is_finished_by_its_retry(
    processes: ForkServerContext, client: MlflowClient, mlflow_uri: str, store: UPath, aws: dict[str, str],
    model_name: str, failpoint: str, tmp_path: Path,
) -> None:  # fmt: skip
    args: tuple[Any, ...] = (mlflow_uri, str(store), model_name, aws)
    assert exit_code(processes, train, failpoint, *args) == -signal.SIGKILL
    if failpoint != "manifest.after":
        with pytest.raises(SnapshotError, match="never finished"):
            open_snapshot(store / "snapshots" / "rows" / ingested(UPath(tmp_path)).manifest.id)
    assert exit_code(processes, train, "", *args) == 0
    check_settled(client, model_name)
    check_whole(store, tmp_path)


@pytest.mark.faults("lost reply on S3", rounds=3)
@pytest.mark.parametrize("fault", [Fault.DROP, Fault.COMMIT_503, Fault.REFUSE_503, Fault.HANG])
@pytest.mark.parametrize("write", STORE_WRITES)
def test_a_lost_reply_of_the_bucket_leaves_one_whole_snapshot(
    proxy: FaultProxy, store: UPath, tmp_path: Path, write: str, fault: Fault
) -> None:
    proxy.plan(write, fault)
    ingested(through(proxy, store))
    assert proxy.planned is None
    check_whole(store, tmp_path)


@pytest.mark.faults("copies on S3")
def test_copies_of_an_ingest_at_once_leave_one_whole_snapshot(
    processes: ForkServerContext, store: UPath, aws: dict[str, str], tmp_path: Path
) -> None:
    start = processes.Barrier(COPIES)
    copies = [processes.Process(target=ingest_at_once, args=(str(store), aws, start)) for _ in range(COPIES)]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join(120)
    assert [copy.exitcode for copy in copies] == [0] * COPIES
    check_whole(store, tmp_path)


def fails(store: UPath) -> None:
    begin = time.monotonic()
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as caught:
        ingested(store)
    assert not isinstance(caught.value, DataError)  # Airflow retries it
    assert time.monotonic() - begin < 90


@pytest.mark.faults("outage of S3", rounds=1)
@pytest.mark.integration  # it waits for the store's own retries
def test_an_ingest_without_its_bucket_fails_and_its_retry_goes_on(
    proxy: FaultProxy, store: UPath, tmp_path: Path
) -> None:
    with proxy.away(Outage.DOWN):
        fails(through(proxy, store))
    ingested(through(proxy, store))
    check_whole(store, tmp_path)


@pytest.mark.faults("outage of S3 in the middle", rounds=1)
@pytest.mark.integration  # it waits for the store's own retries
@pytest.mark.parametrize("write", STORE_WRITES)
def test_a_bucket_that_goes_away_at_a_write_fails_the_ingest_and_its_retry_goes_on(
    proxy: FaultProxy, store: UPath, tmp_path: Path, write: str
) -> None:
    proxy.plan(write, Fault.GO_AWAY)
    fails(through(proxy, store))
    proxy.come_back()
    ingested(through(proxy, store))
    check_whole(store, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that opens and cannot be read")
def test_a_file_that_breaks_while_it_is_published_is_not_there(store: UPath) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        publish_file(Path("/proc/self/mem"), store / "part")
    assert not (store / "part").exists()


def test_what_was_published_is_replaced_whole(store: UPath, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"two")
    publish_bytes(store / "file", b"one")
    publish_file(tmp_path / "file", store / "file")
    assert (store / "file").read_bytes() == b"two"
