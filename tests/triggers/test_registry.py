"""Watchers and triggers of the registry: each move is told once, over restarts, through one client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.sdk.serde import deserialize, serialize
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.deployment import Told, told_versions
from airflow_mlops.triggers import registry as module
from airflow_mlops.triggers.registry import (
    CLIENTS,
    ModelAliasEventTrigger,
    ModelAliasTrigger,
    ModelVersionEventTrigger,
    ModelVersionTrigger,
)


@dataclass
class StateStore:
    """Keeps values as the triggerer's does: JSON by key, never None."""

    kept: dict[str, str] = field(default_factory=dict)

    async def aget(self, key: str) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else None

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def connection(mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps({"conn_type": "mlflow", "host": mlflow_uri}))
    monkeypatch.setattr(module, "STORED", 0.0)


@pytest.fixture
def register(client: MlflowClient, model_name: str) -> Callable[..., int]:
    """A version that somebody registers without Airflow."""

    def register(**tags: str) -> int:
        client.registry.ensure_model(model_name)
        return client.registry.create_version(model_name, "s3://elsewhere/model", None, tags).version

    return register


def again(trigger: Any, store: Any = None) -> Any:
    """The trigger as a triggerer makes it."""
    path, kwargs = trigger.serialize()
    assert path == f"airflow_mlops.triggers.registry.{type(trigger).__name__}"
    made = type(trigger)(**deserialize(serialize(kwargs)))
    made.asset_state_store = store
    return made


async def told(trigger: Any, expect: int, work: Callable[[], Any] | None = None) -> list[dict[str, Any]]:
    """So many events, and those of some more looks; ``work`` is done after the first event."""
    found: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in trigger.run():
            found.append(json.loads(json.dumps(event.payload)))  # noqa: PERF401 - one at a time, as they come

    listening, deadline = asyncio.create_task(listen()), time.monotonic() + 60
    while len(found) < expect and time.monotonic() < deadline:
        if work and found:
            await asyncio.to_thread(work)
            work = None
        await asyncio.sleep(0.02)
    await asyncio.wait({listening}, timeout=0.4)
    listening.cancel()
    await trigger.cleanup()
    return found


def test_every_version_is_told_once_over_restarts(register: Callable[..., int], model_name: str) -> None:
    store = StateStore()
    watcher = ModelVersionEventTrigger(model=model_name, mlflow_conn_id="elsewhere", poke_interval=0.05)
    register()
    first = asyncio.run(told(again(watcher, store), 2, register))
    assert first == [
        {"name": model_name, "version": 1, "versions": [1]},
        {"name": model_name, "version": 2, "versions": [2]},
    ]
    assert asyncio.run(told(again(watcher, store), 0)) == []
    register(), register()
    assert [one["versions"] for one in asyncio.run(told(again(watcher, store), 1))] == [[3, 4]]


def test_a_move_of_an_alias_is_told_as_the_deployment_reads_it(
    register: Callable[..., int], client: MlflowClient, model_name: str
) -> None:
    store = StateStore()
    watcher = ModelAliasEventTrigger(model=model_name, mlflow_conn_id="elsewhere", poke_interval=0.05)
    register(), register()
    client.registry.set_alias(model_name, "champion", 2)
    found = asyncio.run(told(again(watcher, store), 2, lambda: client.registry.set_alias(model_name, "champion", 1)))
    assert [one["version"] for one in found] == [2, 1]
    extras = [{"payload": payload, "from_trigger": True} for payload in found]
    assert told_versions(extras, model_name) == Told((2, 1), 2)
    assert asyncio.run(told(again(watcher, store), 0)) == []


def test_all_who_watch_share_one_client(
    register: Callable[..., int], client: MlflowClient, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    hook = module.MlflowHook
    monkeypatch.setattr(module, "MlflowHook", lambda conn_id: made.append(conn_id) or hook(conn_id))
    register()
    client.registry.set_alias(model_name, "champion", 1)
    wait = {"poke_interval": 0.05, "deadline": time.time() + 60}
    triggers = [
        ModelVersionEventTrigger(model=model_name, mlflow_conn_id="elsewhere", poke_interval=0.05),
        ModelAliasEventTrigger(model=model_name, mlflow_conn_id="elsewhere", poke_interval=0.05),
        ModelVersionTrigger(awaited={"model": model_name, "since": 0}, mlflow_conn_id="elsewhere", **wait),
        ModelAliasTrigger(awaited={"model": model_name}, mlflow_conn_id="elsewhere", **wait),
    ]

    async def all_at_once() -> Any:
        shared = asyncio.gather(*(told(again(trigger), 1) for trigger in triggers))
        return await shared

    found = asyncio.run(all_at_once())
    assert [len(one) for one in found] == [1, 1, 1, 1]
    assert made == ["elsewhere"]
    assert CLIENTS._held == {}


def test_what_cannot_be_asked_is_logged_and_asked_again(model_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_ELSEWHERE")
    watcher = ModelVersionEventTrigger(model=model_name, mlflow_conn_id="elsewhere", poke_interval=0.05)
    assert asyncio.run(told(again(watcher), 0)) == []
    waiting = ModelAliasTrigger(
        awaited={"model": model_name}, mlflow_conn_id="elsewhere", poke_interval=0.05, deadline=time.time() + 5
    )
    (event,) = asyncio.run(told(again(waiting), 1))
    assert event["state"] == "failed"
    assert "There is no Airflow connection elsewhere" in event["reason"]


def test_a_dag_with_watchers_survives_serialisation(model_name: str) -> None:
    watchers = [
        AssetWatcher(name="versions", trigger=ModelVersionEventTrigger(model=model_name, tags={"team": "crm"})),
        AssetWatcher(name="champion", trigger=ModelAliasEventTrigger(model=model_name)),
    ]
    with DAG("watches", schedule=Asset("registered_elsewhere", watchers=watchers)) as dag:
        pass
    data = json.dumps(DagSerialization.to_dict(dag))
    assert "ModelVersionEventTrigger" in data
    assert "ModelAliasEventTrigger" in data
