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
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.context import AssetStateStoreAccessors
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

    def watch(store: Any, expect: int = 1, work: Any = None, **arguments: Any) -> list[list[str]]:
        given = {"source": {"files": str(tmp_path)}, "settle": 0, "poke_interval": 0.05, **arguments}
        path, kwargs = NewDataEventTrigger(**given).serialize()
        assert path == "airflow_mlops.triggers.snapshots.NewDataEventTrigger"
        trigger = NewDataEventTrigger(**deserialize(serialize(kwargs)))  # type: ignore[arg-type]
        trigger.asset_state_store = store  # the triggerer puts it there
        return asyncio.run(_events(trigger, expect, work))

    return watch


async def _events(trigger: NewDataEventTrigger, expect: int, work: Any) -> list[list[str]]:
    """The names of so many events, and of those of some more looks; ``work`` is done after the first event."""
    told: list[list[str]] = []
    first = asyncio.Event()

    async def listen() -> None:
        async for event in trigger.run():
            payload = json.loads(json.dumps(event.payload))
            told.append(payload["names"])
            first.set()

    listening = asyncio.create_task(listen())
    if work:
        await asyncio.wait_for(first.wait(), 30)
        await asyncio.to_thread(work)
    deadline = time.monotonic() + 30
    while len(told) < expect and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    await asyncio.wait({listening}, timeout=0.5)
    listening.cancel()
    return told


def test_every_file_is_told_once_over_restarts(watch: Callable[..., Any], tmp_path: Path) -> None:
    store = StateStore()
    (tmp_path / "a").write_text("x")
    assert watch(store, expect=2, work=lambda: (tmp_path / "b").write_text("x")) == [["a"], ["b"]]
    assert watch(store, expect=0) == []
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
    assert watch(None, expect=0, since="2100-01-01T00:00:00Z") == []


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
    assert watch(StateStore()) == [["a"]]


@dataclass
class Away(StateStore):
    """A store behind an Airflow that is away for the first few requests."""

    refusals: int = 3

    def _ask(self) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR, detail={"status_code": 503}))

    async def aget(self, key: str) -> Any:
        self._ask()
        return await super().aget(key)

    async def aset(self, key: str, value: Any) -> None:
        self._ask()
        await super().aset(key, value)


def test_airflow_may_be_away_when_the_watermark_is_read_or_written(watch: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    kept = Away(refusals=5)
    assert watch(kept) == [["a"]]
    kept.refusals = 2
    assert watch(kept, expect=0) == []
    unwritten = Away(refusals=0)
    assert watch(unwritten, work=lambda: setattr(unwritten, "refusals", 2)) == [["a"]]
    assert unwritten.kept


def test_two_assets_on_one_trigger_begin_at_since(watch: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    both = AssetStateStoreAccessors(inlets=[Asset("one"), Asset("two")])
    assert watch(both) == watch(both) == [["a"]]


def test_a_dag_can_be_scheduled_on_it() -> None:
    trigger = NewDataEventTrigger(source={"files": "s3://aws_default@landing/flights"}, marker="_SUCCESS")
    landed = Asset("landed", watchers=[AssetWatcher(name="landing", trigger=trigger)])
    with DAG("d", schedule=[landed]) as dag:
        pass
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    assert "airflow_mlops.triggers.snapshots.NewDataEventTrigger" in json.dumps(stored)
    assert BaseEventTrigger.hash(*trigger.serialize()) == BaseEventTrigger.hash(*trigger.serialize())
