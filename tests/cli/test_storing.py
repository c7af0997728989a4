from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.windows import instant
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource
from tests.cli.conftest import Reply


@pytest.fixture
def old(store: UPath) -> Snapshot:
    source = CallableSource(lambda **_: pa.table({"id": [1, 2]}), ["id"])
    snapshot = ingest(store, name="rows", source=source, as_of=instant("2026-10-01"))
    long_ago = time.time() - 100 * 86400
    for path in Path(snapshot.path.path).iterdir():
        os.utime(path, (long_ago, long_ago))
    return snapshot


def test_snapshots_are_listed_found_and_verified(call: Callable[..., Reply], store: UPath, old: Snapshot) -> None:
    version = old.manifest.data_version
    shown = call("snapshots", "rows", "--store", str(store))
    assert (shown.code, version[:12] in shown.out, "2026-10-01" in shown.out) == (0, True, True)
    found = call("snapshots", "rows", "--store", str(store), "--data-version", version[:8], "--verify", "--json")
    assert [one["uri"] for one in found.data] == [old.uri]
    assert call("snapshots", "other", "--store", str(store)).code == 1
    assert "No snapshot of rows" in call("snapshots", "rows", "--store", str(store), "--data-version", "0" * 8).err
    file = old.path / old.manifest.files[0].name
    file.write_bytes(file.read_bytes()[:-1])
    assert "is not what its manifest says" in call("snapshots", "rows", "--store", str(store), "--verify").err


def test_garbage_is_shown_and_removed_only_when_asked(
    call: Callable[..., Reply], store: UPath, old: Snapshot, client: MlflowClient, model_name: str
) -> None:
    client.registry.ensure_model(f"another's {model_name}")  # whose name is none of ours
    refused = call("gc", "--store", str(store))
    assert (refused.code, "is it the store's server" in refused.err) == (1, True)
    shown = call("gc", "--store", str(store), "--orphans")
    assert shown.code == 0
    assert "named by no model, 100 days old" in shown.out
    assert "--delete removes them" in shown.out
    assert Path(old.path.path).exists()
    done = call("gc", "--store", str(store), "--orphans", "--delete", "--json")
    assert [one["id"] for one in done.data["removed"]] == [old.manifest.id]
    assert not Path(old.path.path).exists()
