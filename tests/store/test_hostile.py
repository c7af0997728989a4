"""Bytes that changed on the way: our own files are refused, foreign ones harm nobody."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.snapshots import open_snapshot, write_snapshot
from tests.conftest import FAULT_SEED

FLIPS = 1000
ROOT = Path(__file__).parent.parent.parent


def flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


@pytest.fixture
def snapshot(store: UPath) -> UPath:
    table = pa.table({"id": range(50), "name": [f"n{i}" for i in range(50)]})
    draft = Manifest(name="rows", data_version="", rows=0, schema=[], source={"files": "x"}, as_of="2026-02-01")
    return write_snapshot(store, table.to_batches(), table.schema, draft).path


def test_no_changed_byte_of_a_snapshot_is_read(snapshot: UPath) -> None:
    (file,) = Path(snapshot.path).glob("*.parquet")
    whole, chance = file.read_bytes(), random.Random(FAULT_SEED)
    for _ in range(FLIPS):
        file.write_bytes(flipped(whole, chance))
        with pytest.raises(SnapshotError, match="is not what its manifest says"):
            open_snapshot(snapshot).table()


def test_a_changed_byte_of_a_manifest_changes_no_row(snapshot: UPath) -> None:
    manifest, rows = Path(snapshot.path) / "manifest.json", open_snapshot(snapshot).table()
    whole, chance, refused = manifest.read_bytes(), random.Random(FAULT_SEED), 0
    for _ in range(FLIPS):
        manifest.write_bytes(flipped(whole, chance))
        try:
            assert open_snapshot(snapshot).table().equals(rows)
        except SnapshotError:
            refused += 1
    assert refused > FLIPS / 2  # the rest changed white space, or what is only told of the files


def test_a_manifest_names_no_file_of_another_folder(snapshot: UPath) -> None:
    path = Path(snapshot.path) / "manifest.json"
    facts = json.loads(path.read_text())
    facts["files"][0]["name"] = "../../../secret"
    path.write_text(json.dumps(facts))
    with pytest.raises(SnapshotError, match="do not lie beside it"):
        open_snapshot(snapshot)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each file is read in a forked child")
@pytest.mark.parametrize("count", [30, pytest.param(FLIPS, marks=pytest.mark.integration)])
def test_a_foreign_file_with_a_changed_byte_is_read_or_refused(tmp_path: Path, count: int) -> None:
    """What a changed value is nobody can see; no process dies of it, and none grows."""
    command = [sys.executable, str(Path(__file__).parent / "flips.py"), str(tmp_path), str(count), str(FAULT_SEED)]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    found = json.loads(told.stdout.splitlines()[-1])
    assert set(found["ends"]) == {"read", "refused"}, found
    assert sum(found["ends"].values()) == count
    assert found["peak_mb"] <= 512, found
    assert found["slowest_s"] <= 30, found
