"""The watcher of an asset fires once for what is new, and goes on from its watermark after a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.sdk.serde import deserialize, serialize
from airflow.serialization.serialized_objects import DagSerialization
from airflow.triggers.base import BaseEventTrigger

from airflow_mlops.exceptions import MlopsError
from airflow_mlops.triggers import snapshots
from airflow_mlops.triggers.snapshots import NewDataEventTrigger


@dataclass
class StateStore:
    """Keeps values as the triggerer's does: JSON by key, never None."""

    kept: dict[str, str] = field(default_factory=dict)

    async def aget(self, key: str) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else None

    async def aset(self, key: str, value: Any) -> None:
        assert value is not None
        self.kept[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "STORED", 0.0)


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Any]:
    """Watch the folder for a while, as a triggerer that has just started; the names that each event told."""

    def watch(store: StateStore | None, seconds: float = 0.6, work: Any = None, **arguments: Any) -> list[list[str]]:
        given = {"source": {"files": str(tmp_path)}, "settle": 0, "poke_interval": 0.05, **arguments}
        path, kwargs = NewDataEventTrigger(**given).serialize()
        assert path == "airflow_mlops.triggers.snapshots.NewDataEventTrigger"
        trigger = NewDataEventTrigger(**deserialize(serialize(kwargs)))  # type: ignore[arg-type]
        trigger.asset_state_store = store  # type: ignore[assignment]  # the triggerer puts it there
        return asyncio.run(_events(trigger, seconds, work))

    return watch


async def _events(trigger: NewDataEventTrigger, seconds: float, work: Any) -> list[list[str]]:
    told: list[list[str]] = []

    async def listen() -> None:
        async for event in trigger.run():
            payload = json.loads(json.dumps(event.payload))
            told.append(payload["names"])

    listening = asyncio.create_task(listen())
    if work:
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(work)
    await asyncio.wait({listening}, timeout=seconds)
    listening.cancel()
    return told


def test_every_file_is_told_once_over_restarts(watch: Callable[..., Any], tmp_path: Path) -> None:
    store = StateStore()
    (tmp_path / "a").write_text("x")
    assert watch(store, work=lambda: (tmp_path / "b").write_text("x")) == [["a"], ["b"]]
    assert watch(store) == []
    (tmp_path / "c").write_text("x")
    assert watch(store) == [["c"]]


def test_a_triggerer_that_dies_before_the_event_is_stored_tells_it_again(
    watch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("x")
    store = StateStore()
    monkeypatch.setattr(snapshots, "STORED", 60.0)
    assert watch(store) == watch(store) == [["a"]]


def test_without_a_store_it_begins_at_since(watch: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert watch(None) == watch(None) == [["a"]]
    assert watch(None, since="2100-01-01T00:00:00Z") == []


def test_another_question_has_a_watermark_of_its_own(watch: Callable[..., Any], tmp_path: Path) -> None:
    store = StateStore()
    (tmp_path / "a").write_text("x")
    assert watch(store) == [["a"]]
    assert watch(store, source={"files": f"{tmp_path}/*"}) == [["a"]]
    assert len(store.kept) == 2


def test_trouble_is_outlived(watch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("x")
    real, began = snapshots.list_files, time.monotonic()

    def broken(*arguments: Any) -> Any:
        if time.monotonic() < began + 0.3:
            raise MlopsError("The disk is on fire.")
        return real(*arguments)

    monkeypatch.setattr(snapshots, "list_files", broken)
    assert watch(StateStore(), seconds=1.5) == [["a"]]


def test_a_dag_can_be_scheduled_on_it() -> None:
    trigger = NewDataEventTrigger(source={"files": "s3://aws_default@landing/flights"}, marker="_SUCCESS")
    landed = Asset("landed", watchers=[AssetWatcher(name="landing", trigger=trigger)])
    with DAG("d", schedule=[landed]) as dag:
        pass
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    assert "airflow_mlops.triggers.snapshots.NewDataEventTrigger" in json.dumps(stored)
    assert BaseEventTrigger.hash(*trigger.serialize()) == BaseEventTrigger.hash(*trigger.serialize())
