"""The sensor in a worker and in the triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from airflow.sdk.serde import deserialize, serialize
from upath import UPath

from airflow_mlops.core.polling import DriftWindow
from airflow_mlops.core.windows import instant
from airflow_mlops.sensors.drift import DriftSensor
from airflow_mlops.steps.drift import window_path
from airflow_mlops.triggers.drift import DriftTrigger


@pytest.fixture
def say(store: UPath) -> Callable[[int, str], None]:
    """A check's verdict on a day."""

    def say(day: int, severity: str) -> None:
        as_of = f"2026-01-{day:02}T00:00:00+00:00"
        verdict = "ok" if severity == "none" else "drift"
        window = DriftWindow(as_of, verdict, severity, f"{severity} of day {day}", "report.html")  # type: ignore[arg-type]
        path = window_path(store, "flights", instant(as_of)) / "verdict.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(window.to_json()))

    return say


def sensor(store: UPath, **arguments: Any) -> DriftSensor:
    return DriftSensor(task_id="wait", name="flights", store=str(store), poke_interval=0.1, **arguments)


@pytest.mark.parametrize("deferrable", [False, True])
def test_drift_that_lasts_ends_the_wait(store: UPath, say: Callable[..., None], deferrable: bool) -> None:
    for day, severity in ((1, "large"), (2, "none"), (3, "medium")):
        say(day, severity)
    found = sensor(store, deferrable=deferrable).execute({})
    assert found["windows"] == ["2026-01-01T00:00:00+00:00", "2026-01-03T00:00:00+00:00"]
    assert (found["severity"], found["summary"]) == ("medium", "medium of day 3")


def test_no_window_and_windows_in_the_making_are_waited_for(store: UPath, say: Callable[..., None]) -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor(store, timeout=0.3, deferrable=False).execute({})
    (store / "reports" / "drift" / "flights" / "20260101T000000Z").mkdir(parents=True)
    say(2, "large")
    with pytest.raises(AirflowSensorTimeout):
        sensor(store, timeout=0.3, deferrable=False, since="None").execute({})


def test_a_wait_that_cannot_end_fails_at_once(store: UPath) -> None:
    with pytest.raises(AirflowFailException, match="k 5 of n 3"):
        sensor(store, k=5).execute({})


def test_the_triggerer_says_the_same(store: UPath, say: Callable[..., None]) -> None:
    say(1, "large")
    with pytest.raises(TaskDeferred) as deferred:
        sensor(store, deferrable=True, timeout=60).execute({})
    path, kwargs = deferred.value.trigger.serialize()
    assert path == "airflow_mlops.triggers.drift.DriftTrigger"
    assert kwargs["awaited"] == {"name": "flights", "k": 2, "n": 3, "severity": "medium", "since": ""}
    trigger = DriftTrigger(**deserialize(serialize(kwargs)))  # type: ignore[arg-type]

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    async def both() -> Any:
        task = asyncio.create_task(first())
        await asyncio.sleep(0.3)
        await asyncio.to_thread(say, 2, "large")
        return await asyncio.wait_for(task, 60)

    event = json.loads(json.dumps(asyncio.run(both())))
    assert event["state"] == "done"
    assert sensor(store).execute_complete({}, event)["as_of"] == "2026-01-02T00:00:00+00:00"


def test_time_is_up_in_the_triggerer(store: UPath) -> None:
    trigger = DriftTrigger(awaited={"name": "flights"}, store=str(store), poke_interval=600, deadline=time.time() + 0.3)

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    assert asyncio.run(first())["state"] == "timeout"


def test_arguments_are_templates(store: UPath) -> None:
    with DAG("d", schedule=None):
        wait = sensor(store, k="{{ params.k }}", n="{{ params.n }}", since="{{ params.since }}")
    wait.render_template_fields({"params": {"k": 1, "n": 2, "since": None}})
    assert (wait.awaited.k, wait.awaited.n, wait.awaited.since) == (1, 2, "")
