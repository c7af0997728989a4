"""New data is waited for in a worker and in the triggerer alike, and told once."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from airflow.sdk.serde import deserialize, serialize
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops.sensors.snapshots import NewDataSensor
from airflow_mlops.triggers.snapshots import NewDataTrigger


@pytest.fixture(params=["in a worker", "in the triggerer", "rescheduled"])
def wait(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a sensor as Airflow would; what it returns."""

    def wait(source: Any, timeout: float = 10, **arguments: Any) -> Any:
        deferrable, mode = request.param == "in the triggerer", "reschedule"
        sensor = NewDataSensor(
            task_id="new", source=source, poke_interval=0.1, timeout=timeout, deferrable=deferrable,
            mode=mode if request.param == "rescheduled" else "poke", **arguments,
        )  # fmt: skip
        if request.param == "rescheduled":
            outcome = sensor.poke({})  # each time a new process
            if not outcome.is_done:
                raise AirflowSensorTimeout("rescheduled")
            return outcome.xcom_value
        try:
            return sensor.execute({})
        except TaskDeferred as deferred:
            return sensor.execute_complete({}, asyncio.run(event(deferred.trigger)))

    return wait


async def event(trigger: Any) -> dict[str, Any]:
    """What the triggerer hands back, for a trigger made of what was stored of it."""
    path, kwargs = trigger.serialize()
    assert path == "airflow_mlops.triggers.snapshots.NewDataTrigger"
    async for one in NewDataTrigger(**deserialize(serialize(kwargs))).run():  # type: ignore[arg-type]
        return dict(json.loads(json.dumps(one.payload)))
    raise AssertionError("no event")


@pytest.fixture
def soon() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Do something a little later, in a thread."""
    timers: list[threading.Timer] = []

    def after(work: Callable[[], Any]) -> None:
        timers.append(threading.Timer(0.5, work))
        timers[-1].start()

    yield after
    for timer in timers:
        timer.join()


def test_what_is_there_is_told_once(wait: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "d=1").mkdir()
    (tmp_path / "d=1" / "a.csv").write_text("12345")
    source = {"files": str(tmp_path)}
    first = wait(source, settle=0.2)
    assert {key: first[key] for key in ("source", "count", "bytes", "partitions", "names")} == {
        "source": str(tmp_path), "count": 1, "bytes": 5, "partitions": 1, "names": ["d=1/a.csv"],
    }  # fmt: skip
    with pytest.raises(AirflowSensorTimeout):
        wait(source, since=first, settle=0, timeout=0.3)
    (tmp_path / "b.csv").write_text("1")
    assert wait(source, since=str(first["watermark"]), settle=0)["names"] == ["b.csv"]


def waited(deferrable: bool, **arguments: Any) -> Any:
    sensor = NewDataSensor(task_id="new", poke_interval=0.1, timeout=20, deferrable=deferrable, **arguments)
    try:
        return sensor.execute({})
    except TaskDeferred as deferred:
        return sensor.execute_complete({}, asyncio.run(event(deferred.trigger)))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_file_that_grows_is_taken_whole(tmp_path: Path, soon: Callable[..., None], deferrable: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_text("half")
    soon(lambda: path.write_text("half and half"))
    assert waited(deferrable, source={"files": f"{tmp_path}/*.csv"}, settle=1)["bytes"] == 13


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_marker_ends_the_wait(tmp_path: Path, soon: Callable[..., None], deferrable: bool) -> None:
    (tmp_path / "a.csv").write_text("x")
    soon((tmp_path / "_SUCCESS").touch)
    found = waited(deferrable, source={"files": str(tmp_path)}, marker="_SUCCESS")
    assert found["names"] == ["a.csv"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"source": {"path": "x"}}, "The source of new data is"),
        ({"source": {"files": "nosuch://x"}}, "is not a path that this Airflow reaches"),
        ({"source": {"files": "x"}, "since": "yesterday"}, "since 'yesterday' is not a date or time"),
        ({"source": {"sql": "q", "conn_id": "not_there", "column": "id"}}, "There is no Airflow connection not_there"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_no_patience_helps(arguments: dict[str, Any], complaint: str, deferrable: bool) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        NewDataSensor(task_id="new", poke_interval=0.1, deferrable=deferrable, **arguments).execute({})


def test_a_bucket_behind_a_connection(wait: Callable[..., Any], moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # A connection of its own: file systems are cached by its name, and another module's bucket is gone by now.
    login = {"login": "some", "password": "s3cret", "extra": {"endpoint_url": moto, "region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_LANDING_S3", json.dumps({"conn_type": "aws", **login}))
    keys = {"aws_access_key_id": "some", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
    client, bucket = boto3.client("s3", endpoint_url=moto, **keys), f"bucket-{os.urandom(4).hex()}"
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="landing/d=1/a.csv", Body=b"12345")
    source = {"files": f"s3://landing_s3@{bucket}/landing"}
    with pytest.raises(AirflowSensorTimeout):
        wait(source, marker="_SUCCESS", timeout=0.3)
    client.put_object(Bucket=bucket, Key="landing/d=1/_SUCCESS")
    found = wait(source, marker="_SUCCESS")
    assert (found["source"], found["names"], found["bytes"]) == (source["files"], ["d=1/a.csv"], 5)
    with pytest.raises(AirflowSensorTimeout):
        wait({"files": f"s3://landing_s3@{bucket}/nothing/here"}, settle=0, timeout=0.3)


def test_it_survives_serialisation_with_its_templates() -> None:
    earlier = "{{ ti.xcom_pull(task_ids='new', include_prior_dates=True) }}"
    with DAG("waits", schedule=None) as dag:
        NewDataSensor(task_id="new", source={"files": "/data/{{ ds }}"}, since=earlier)
    task = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))).get_task("new")
    assert list(task.template_fields) == ["source", "since", "marker"]
    assert (task.source, task.since) == ({"files": "/data/{{ ds }}"}, earlier)


def test_a_run_goes_on_where_the_last_one_ended(
    run_dag: Callable[..., Any], states: Callable[..., Any], outputs: Callable[..., Any], tmp_path: Path
) -> None:
    with DAG("landing", schedule=None) as dag:
        NewDataSensor(
            task_id="new",
            source={"files": str(tmp_path)},
            since="{{ ti.xcom_pull(task_ids='new', include_prior_dates=True) }}",
            settle=0.1,
            poke_interval=0.2,
            timeout=2,
            soft_fail=True,
            deferrable=True,
        )
    found = []
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x")
        found.append(outputs(run_dag(dag))["new"]["names"])
    assert found == [["a.csv"], ["b.csv"]]
    assert states(run_dag(dag)) == {"new": "skipped"}
