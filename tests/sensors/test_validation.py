"""Data that has passed a suite is waited for, in a worker and in the triggerer; data that it blocks ends the wait."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from airflow.sdk.serde import deserialize, serialize
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation import ExpectationOutcome, ValidationReport
from airflow_mlops.sensors.validation import DataValidatedSensor
from airflow_mlops.steps.verdicts import publish_verdict
from airflow_mlops.triggers.validation import DataValidatedTrigger

BY_VERSION = {"data_version": "d" * 64}
BY_NAME = {"snapshot": "flights", "as_of": "2026-11-01 02:00:00+02:00"}
REPORT = ValidationReport(
    suite="flights",
    suite_version="3",
    suite_digest="5" * 64,
    snapshot_uri="s3://store/snapshots/flights/" + "a" * 64,
    data_version="d" * 64,
    as_of="2026-11-01T00:00:00+00:00",
    rows=7,
    outcomes=(ExpectationOutcome.of_rows(7, 1),),
    report_uri="s3://store/reports/validation/report.html",
)
MANIFEST = Manifest("flights", "d" * 64, 7, [], {}, "2026-11-01T00:00:00+00:00")
BLOCKED = replace(REPORT, outcomes=(ExpectationOutcome.of_rows(0, 1),))


@pytest.fixture(params=[False, True], ids=["in a worker", "in the triggerer"])
def wait(request: pytest.FixtureRequest, store: UPath) -> Callable[..., Any]:
    """Run the sensor as Airflow would; what it returns."""

    def wait(timeout: float = 20, **arguments: Any) -> Any:
        given = {"suite": "flights", "store": str(store), **arguments}
        sensor = DataValidatedSensor(
            task_id="passed", poke_interval=0.05, timeout=timeout, deferrable=request.param, **given
        )
        try:
            return sensor.execute({})
        except TaskDeferred as deferred:
            return sensor.execute_complete({}, asyncio.run(event(deferred.trigger)))

    return wait


async def event(trigger: Any) -> dict[str, Any]:
    path, kwargs = trigger.serialize()
    assert path == "airflow_mlops.triggers.validation.DataValidatedTrigger"
    async for one in DataValidatedTrigger(**deserialize(serialize(kwargs))).run():  # type: ignore[arg-type]
        return dict(json.loads(json.dumps(one.payload)))
    raise AssertionError("no event")


@pytest.mark.parametrize("which", [BY_VERSION, BY_NAME])
def test_a_verdict_ends_the_wait(wait: Callable[..., Any], store: UPath, which: dict[str, str]) -> None:
    later = threading.Timer(0.4, publish_verdict, (store, MANIFEST, REPORT))
    later.start()
    found = wait(**which, suite_version="3", suite_digest="5555")
    later.join()
    assert found["snapshot_uri"] == REPORT.snapshot_uri
    assert (found["success"], found["blocked"], found["rows"]) == (True, False, 7)
    assert found["report_uri"] == REPORT.report_uri


@pytest.mark.parametrize("which", [BY_VERSION, BY_NAME])
def test_blocked_data_fails_at_once_until_it_is_mended(
    wait: Callable[..., Any], store: UPath, which: dict[str, str]
) -> None:
    publish_verdict(store, MANIFEST, BLOCKED)
    with pytest.raises(AirflowFailException, match=r"Suite flights blocks the data(?s:.*)report\.html"):
        wait(**which)
    time.sleep(0.002)
    publish_verdict(store, MANIFEST, replace(REPORT, snapshot_uri="s3://store/snapshots/flights/" + "b" * 64))
    assert wait(**which)["snapshot_uri"].endswith("b" * 64)


@pytest.mark.parametrize(
    "other",
    [
        {**BY_VERSION, "suite": "trains"},
        {**BY_VERSION, "suite_version": "4"},
        {**BY_VERSION, "suite_digest": "6"},
        {"data_version": "e" * 64},
        {**BY_NAME, "as_of": "2026-11-02"},
        {**BY_NAME, "snapshot": "trains"},
    ],
)
def test_another_verdict_is_none(wait: Callable[..., Any], store: UPath, other: dict[str, str]) -> None:
    publish_verdict(store, MANIFEST, REPORT)
    with pytest.raises(AirflowSensorTimeout):
        wait(timeout=0.2, **other)


@pytest.mark.parametrize(
    ("which", "complaint"),
    [
        ({}, "Name either data_version, or snapshot and as_of"),
        ({**BY_VERSION, **BY_NAME}, "Name either data_version, or snapshot and as_of"),
        ({"snapshot": "flights"}, "Name either data_version, or snapshot and as_of"),
        ({"data_version": "../../x"}, "Data version name"),
        ({**BY_NAME, "as_of": "soon"}, "as_of 'soon' is not a date"),
        ({**BY_VERSION, "suite": ""}, "Which suite"),
    ],
)
def test_which_data_and_which_suite_must_be_plain(
    wait: Callable[..., Any], which: dict[str, str], complaint: str
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        wait(**which)


def test_a_broken_verdict_is_named(wait: Callable[..., Any], store: UPath) -> None:
    folder = store / "verdicts" / "data" / ("d" * 64)
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{}")
    with pytest.raises(AirflowFailException, match=r"x\.json is not the verdict of a validation"):
        wait(**BY_VERSION)
