"""The trigger waits: the event loop goes on meanwhile, a server may be away for a while, and time ends it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.serde import deserialize, serialize

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.testing.servers import MlflowServer
from airflow_mlops.triggers.training import MLflowRunTrigger

ELSEWHERE: dict[str, Any] = {"run_id": None, "experiment": None, "tags": {}}


@pytest.fixture
def trigger(mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MLflowRunTrigger]:
    """A trigger as the triggerer makes it: from what was serialised."""

    def make(host: str = mlflow_uri, wait: float = 60, **which: Any) -> MLflowRunTrigger:
        extra = {"timeout": 2, "retries": 0}
        connection = {"conn_type": "mlflow", "host": host, "password": "s3cret", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(connection))
        arguments = {"mlflow_conn_id": "elsewhere", **ELSEWHERE, "poke_interval": 0.1, "deadline": time.time() + wait}
        path, kwargs = MLflowRunTrigger(**{**arguments, **which}).serialize()
        assert path == "airflow_mlops.triggers.training.MLflowRunTrigger"
        assert kwargs == {**arguments, **which}
        assert "s3cret" not in str(kwargs)
        return MLflowRunTrigger(**deserialize(serialize(kwargs)))  # type: ignore[arg-type]

    return make


async def event(trigger: MLflowRunTrigger, *beside: Awaitable[Any]) -> dict[str, Any]:
    """The trigger's event, as the database keeps it, with other things going on."""

    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            return dict(json.loads(json.dumps(event.payload)))
        raise AssertionError("no event")

    try:
        return (await asyncio.wait_for(asyncio.gather(first(), *beside), 120))[0]
    finally:
        await trigger.cleanup()


def started(client: MlflowClient, name: str, **tags: str) -> str:
    return client.tracking.create_run(client.tracking.experiment_id(name), "run", tags)[0]


@pytest.mark.parametrize(("status", "state"), [("FINISHED", "done"), ("FAILED", "failed"), ("KILLED", "failed")])
def test_a_run_that_ends_while_it_is_waited_for(
    trigger: Callable[..., MLflowRunTrigger], client: MlflowClient, model_name: str, status: str, state: str
) -> None:
    run_id = started(client, model_name)
    waiting = trigger(run_id=run_id)

    async def end() -> None:
        await asyncio.sleep(0.3)
        await asyncio.to_thread(client.tracking.finish_run, run_id, status)

    found = asyncio.run(event(waiting, end()))
    assert found["state"] == state
    assert found["found"]["status"] == status
    assert found["found"]["url"].endswith(f"/runs/{run_id}")
    with pytest.raises(RuntimeError, match="closed"):
        waiting.client.server_version()  # type: ignore[union-attr]


def test_a_run_that_is_yet_to_start_is_found_by_its_tags(
    trigger: Callable[..., MLflowRunTrigger], client: MlflowClient, model_name: str
) -> None:
    def other() -> str:
        run_id = started(client, model_name, ticket="42")
        client.tracking.finish_run(run_id)
        return run_id

    async def begin() -> str:
        await asyncio.sleep(0.3)
        return await asyncio.to_thread(other)

    async def both() -> tuple[dict[str, Any], str]:
        task = asyncio.create_task(begin())
        return await event(trigger(experiment=model_name, tags={"ticket": "42"})), await task

    found, run_id = asyncio.run(both())
    assert (found["state"], found["found"]["run_id"]) == ("done", run_id)


def test_time_is_up(trigger: Callable[..., MLflowRunTrigger], client: MlflowClient, model_name: str) -> None:
    run_id, began = started(client, model_name), time.monotonic()
    found = asyncio.run(event(trigger(run_id=run_id, wait=0.5, poke_interval=600)))
    assert found["state"] == "timeout"
    assert found["reason"].startswith(f"Timed out. MLflow run {run_id} is RUNNING")
    assert 0.4 < time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ({"run_id": "0" * 32}, "404"),
        ({"mlflow_conn_id": "not_there", "run_id": "1"}, "There is no Airflow connection not_there"),
        ({}, "Name either run_id, or experiment and tags"),
    ],
)
def test_what_no_patience_helps(trigger: Callable[..., MLflowRunTrigger], which: dict[str, Any], reason: str) -> None:
    found = asyncio.run(event(trigger(**which)))
    assert found["state"] == "failed"
    assert reason in found["reason"]


def test_the_loop_goes_on_while_the_server_does_not_answer(trigger: Callable[..., MLflowRunTrigger]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing

        async def tick() -> int:
            deadline, ticks = time.monotonic() + 1, 0
            while time.monotonic() < deadline:
                await asyncio.sleep(0.01)
                ticks += 1
            return ticks

        async def both() -> tuple[int, dict[str, Any]]:
            task = asyncio.create_task(tick())
            found = await event(trigger(f"http://127.0.0.1:{silent.getsockname()[1]}", run_id="1", wait=1))
            return await task, found

        ticks, found = asyncio.run(both())
    assert ticks > 20
    assert found["state"] == "timeout"
    assert "did not answer" in found["reason"]


@pytest.mark.integration
def test_a_server_that_goes_away_and_comes_back(trigger: Callable[..., MLflowRunTrigger], tmp_path: Path) -> None:
    server = MlflowServer(tmp_path)
    try:
        server.start()
        with MlflowClient(MlflowSettings(server.url)) as client:
            run_id = started(client, "elsewhere")

            async def outage() -> None:
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(1)  # ten looks that nobody answers
                await asyncio.to_thread(server.start)
                await asyncio.to_thread(client.tracking.finish_run, run_id)

            found = asyncio.run(event(trigger(server.url, run_id=run_id, wait=300), outage()))
    finally:
        server.stop()
    assert (found["state"], found["found"]["run_id"]) == ("done", run_id)
