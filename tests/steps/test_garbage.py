"""What no model names goes; what a version names stays, and half of a snapshot never exists."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops import _failpoints
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core import tags
from airflow_mlops.core.garbage import Removal
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, ServiceUnavailable, SnapshotError
from airflow_mlops.operators.garbage import CollectGarbageOperator
from airflow_mlops.steps.garbage import collect_garbage
from airflow_mlops.steps.snapshots import Snapshot, ingest, prepare
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.store import garbage
from airflow_mlops.store.snapshots import find_snapshot, open_snapshot, snapshots_of

LATER = datetime.now(UTC) + timedelta(days=200)


def made(store: UPath, number: int, name: str = "rows") -> Snapshot:
    # Tests share a server, and equal rows would be one snapshot.
    rows = pa.table({"id": [number, number + 1], "store": [store.path] * 2})
    source = CallableSource(lambda **_: rows, ["id"])
    return ingest(store, name=name, source=source, as_of=instant("2026-10-01"))


def derived(store: UPath, parent: Snapshot) -> Snapshot:
    return prepare(store, name="tidy", function=lambda rows: rows.slice(0, 1), inputs={"rows": parent})


def names(store: UPath) -> set[str]:
    return {path.parent.name for path in Path(store.path).glob("snapshots/*/*/*")}


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Months from now, the folders of all tests that run beside these would be those of the dead."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))


@pytest.fixture
def registered(client: MlflowClient, model_name: str) -> Callable[[Snapshot], None]:
    """Make a version that names a snapshot; nobody approved it."""

    def register(snapshot: Snapshot) -> None:
        client.registry.ensure_model(model_name)
        client.registry.create_version(model_name, "s3://bucket/model", None, {tags.SNAPSHOT: snapshot.uri})

    return register


@pytest.fixture
def logged(client: MlflowClient, model_name: str) -> Callable[[Snapshot], None]:
    """Log a model that names a snapshot, and register nothing."""

    def log(snapshot: Snapshot) -> None:
        experiment = client.tracking.experiment_id(model_name)
        run, _ = client.tracking.create_run(experiment, "run", {})
        model = client.tracking.create_model(experiment, "m", run, {tags.SNAPSHOT: snapshot.uri})
        client.tracking.finish_model(model.model_id)

    return log


def test_what_a_version_names_stays_with_its_parents(
    store: UPath, client: MlflowClient, registered: Callable[[Snapshot], None]
) -> None:
    parent, loose = made(store, 1), made(store, 2)
    child = derived(store, parent)
    registered(child)
    looked = collect_garbage(store, named_by=client, now=LATER)
    assert [one.id for one in looked.removed] == [loose.manifest.id]
    assert (looked.dry, looked.kept) == (True, {"named": 2, "recent": 0, "at work": 0})
    assert looked.bytes == sum(path.stat().st_size for path in Path(loose.path.path).iterdir())
    assert len(names(store)) == 3  # it only looked
    done = collect_garbage(store, named_by=client, now=LATER, dry=False)
    assert [one.id for one in done.removed] == [loose.manifest.id]
    assert names(store) == {parent.manifest.id, child.manifest.id}
    child.verify()
    parent.verify()
    assert collect_garbage(store, named_by=client, now=LATER, dry=False).removed == []


def test_what_is_recent_stays_and_so_does_what_a_recent_model_names(
    store: UPath, client: MlflowClient, logged: Callable[[Snapshot], None]
) -> None:
    named, loose = made(store, 1), made(store, 2)
    logged(named)
    old = time.time() - 100 * 86400
    for snapshot in (named, loose):
        for path in Path(snapshot.path.path).iterdir():
            os.utime(path, (old, old))
    assert {one.id for one in collect_garbage(store, named_by=client, keep="400d").removed} == set()
    assert {one.id for one in collect_garbage(store, named_by=client, keep="90d").removed} == {loose.manifest.id}
    later = datetime.now(UTC) + timedelta(days=91)  # by then the model is old, and was never registered
    found = collect_garbage(store, named_by=client, keep="90d", now=later, orphans=True)
    assert {one.id for one in found.removed} == {named.manifest.id, loose.manifest.id}


def test_a_snapshot_that_is_made_again_is_recent(store: UPath) -> None:
    old, manifest = time.time() - 100 * 86400, Path(made(store, 1).path.path) / "manifest.json"
    os.utime(manifest, (old, old))
    made(store, 1)
    assert manifest.stat().st_mtime > old + 1000


def test_what_was_made_again_between_the_look_and_the_removal_stays(store: UPath) -> None:
    snapshot = made(store, 1)
    removal = Removal("rows", snapshot.manifest.id, 1, "old")
    assert not garbage.remove_snapshot(store, removal, unless_changed_after=time.time() - 60)
    open_snapshot(snapshot.path).verify()


def test_unfinished_folders_and_dead_spools_go_after_the_grace(
    store: UPath, client: MlflowClient, registered: Callable[[Snapshot], None], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    registered(made(store, 1))
    half = made(store, 2)
    (half.path / "manifest.json").unlink()
    for name in ("mlops-snapshot-write-dead", "somebody-elses"):
        (tmp_path / name).mkdir()
    assert collect_garbage(store, named_by=client, dry=False).removed == []
    done = collect_garbage(store, named_by=client, dry=False, now=datetime.now(UTC) + timedelta(days=3))
    assert [one.why for one in done.removed] == ["unfinished for 3 days"]
    assert [Path(spool).name for spool in done.spools] == ["mlops-snapshot-write-dead"]
    assert not (tmp_path / "mlops-snapshot-write-dead").exists()
    assert (tmp_path / "somebody-elses").exists()
    assert not Path(half.path.path).exists()


def test_without_an_answer_or_at_the_wrong_server_nothing_goes(store: UPath, client: MlflowClient) -> None:
    snapshot = made(store, 1)
    with MlflowClient(MlflowSettings("http://127.0.0.1:9", retries=0)) as away, pytest.raises(ServiceUnavailable):
        collect_garbage(store, named_by=away, now=LATER, dry=False)
    with pytest.raises(ConfigurationError, match="is it the store's server"):
        collect_garbage(store, named_by=client, now=LATER, dry=False)
    (snapshot.path / "manifest.json").write_text("{")
    with pytest.raises(SnapshotError, match="nothing was removed"):
        collect_garbage(store, named_by=client, now=LATER, dry=False, orphans=True)
    for how in ({"keep": "soon"}, {"grace": "0d"}):
        with pytest.raises(ConfigurationError, match="keep"):
            collect_garbage(UPath(store.path + "-empty"), named_by=client, **how)
    assert names(store) == {snapshot.manifest.id}


#: A process of its own, which is killed on the way.
REMOVE = """
import sys, time
from upath import UPath
from airflow_mlops.core.garbage import Removal
from airflow_mlops.store.garbage import remove_snapshot
remove_snapshot(UPath(sys.argv[1]), Removal("rows", sys.argv[2], 1, "old"), unless_changed_after=time.time())
"""


@pytest.mark.faults("kill")
@pytest.mark.parametrize(
    "failpoint",
    [
        "remove.after",
        *(pytest.param(f"remove.{at}", marks=pytest.mark.integration) for at in ("before", "before:2", "after:2")),
    ],
)
def test_a_collection_that_is_killed_leaves_no_half_and_is_finished_by_the_next(
    store: UPath, client: MlflowClient, registered: Callable[[Snapshot], None], failpoint: str
) -> None:
    kept, gone = made(store, 1), made(store, 2)
    registered(kept)
    killed = subprocess.run(
        [sys.executable, "-c", REMOVE, store.path, gone.manifest.id],
        env={**os.environ, _failpoints.VARIABLE: failpoint},
    )
    assert killed.returncode == -signal.SIGKILL
    if failpoint == "remove.before":
        gone.verify()
    else:
        with pytest.raises(SnapshotError, match="never finished"):
            open_snapshot(gone.path)
    collect_garbage(store, named_by=client, now=LATER, dry=False)
    assert names(store) == {kept.manifest.id}
    assert made(store, 2).table().num_rows == 2  # and can be made again


def test_a_bucket_is_collected_as_a_folder_is(client: MlflowClient) -> None:
    store = UPath(f"memory://garbage-{time.time_ns()}/mlops")
    gone = made(store, 1)
    assert [one.id for one in collect_garbage(store, named_by=client, now=LATER, dry=False, orphans=True).removed] == [
        gone.manifest.id
    ]
    with pytest.raises(SnapshotError):
        open_snapshot(gone.path)


def test_a_snapshot_is_found_by_its_data_version(store: UPath) -> None:
    first, second = made(store, 1), made(store, 2)
    assert {one.uri for one in snapshots_of(store, "rows")} == {first.uri, second.uri}
    assert find_snapshot(store, "rows", first.manifest.data_version[:8]).uri == first.uri
    with pytest.raises(SnapshotError, match="No snapshot of rows has data version 00000000"):
        find_snapshot(store, "rows", "00000000")
    with pytest.raises(ConfigurationError, match="'zz' is not a data version"):
        find_snapshot(store, "rows", "zz")
    assert snapshots_of(store, "other") == []


def test_the_task_says_what_would_go_and_removes_it_when_asked(
    store: UPath, mlflow_uri: str, registered: Callable[[Snapshot], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", f'{{"conn_type": "mlflow", "host": "{mlflow_uri}"}}')
    registered(made(store, 1))
    loose = made(store, 2)
    old = time.time() - 100 * 86400
    for path in Path(loose.path.path).iterdir():
        os.utime(path, (old, old))

    def run(**arguments: Any) -> dict[str, Any]:
        return CollectGarbageOperator(task_id="gc", store=str(store), **arguments).run_step({})  # type: ignore[typeddict-item]

    assert [one["id"] for one in run()["removed"]] == [loose.manifest.id]
    assert run()["dry"]
    assert [one["id"] for one in run(delete=True)["removed"]] == [loose.manifest.id]
    assert run(delete=True)["removed"] == []
