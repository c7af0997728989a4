"""The sensor in a worker and in the triggerer: the same answers to the same runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.sensors.training import MLflowRunSensor


@pytest.fixture
def ended(client: MlflowClient, model_name: str) -> Callable[..., str]:
    """A run of somebody else's, and how it ended."""

    def make(status: str, **tags: str) -> str:
        experiment = client.tracking.experiment_id(model_name)
        run_id, _ = client.tracking.create_run(experiment, "run", tags)
        if status != "RUNNING":
            client.tracking.finish_run(run_id, status)
        return run_id

    return make


@pytest.fixture(params=[False, True], ids=["in a worker", "in the triggerer"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def soon() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Do something a second later, in a thread."""
    timers: list[threading.Timer] = []

    def after(work: Callable[[], Any]) -> None:
        timers.append(threading.Timer(1, work))
        timers[-1].start()

    yield after
    for timer in timers:
        timer.join()


def test_every_end_of_a_run_means_the_same_in_both_modes(
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    outputs: Callable[..., Any],
    ended: Callable[..., str],
    soon: Callable[..., None],
    model_name: str,
    deferrable: bool,
) -> None:
    failed, running = ended("FAILED"), ended("RUNNING")
    quick: dict[str, Any] = {"deferrable": deferrable, "poke_interval": 0.2}
    with DAG(f"waits_{model_name}", schedule=None, params={"ticket": "42"}) as dag:
        later = MLflowRunSensor(
            task_id="later", experiment=model_name, tags={"ticket": "{{ params.ticket }}"}, timeout=60, **quick
        )
        rest = [
            MLflowRunSensor(task_id="failed", run_id=failed, retries=3, **quick),
            MLflowRunSensor(task_id="skipped", run_id=failed, soft_fail=True, **quick),
            MLflowRunSensor(task_id="never", run_id=running, timeout=0.5, **quick),
        ]
        later >> rest
    soon(lambda: ended("FINISHED", ticket="42"))
    run = run_dag(dag)
    assert states(run) == {"later": "success", "failed": "failed", "skipped": "skipped", "never": "failed"}
    found = outputs(run)
    assert set(found) == {"later"}
    assert found["later"]["status"] == "FINISHED"
    assert set(found["later"]) == {"run_id", "status", "model_ids", "url"}


@pytest.fixture
def connection(mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_up(host: str = mlflow_uri) -> None:
        value = {"conn_type": "mlflow", "host": host, "extra": {"retries": 0}}
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(value))

    set_up()
    return set_up


def sensor(**arguments: Any) -> MLflowRunSensor:
    return MLflowRunSensor(task_id="wait", poke_interval=0.1, **arguments)


@pytest.mark.usefixtures("connection")
def test_a_finished_run_needs_no_triggerer_and_is_linked(ended: Callable[..., str]) -> None:
    run_id = ended("FINISHED")
    wait = sensor(run_id=run_id, deferrable=True)
    assert wait.execute({})["run_id"] == run_id
    assert wait.operator_extra_links[0].get_link(wait, ti_key=None).endswith(f"/runs/{run_id}")  # type: ignore[attr-defined]


@pytest.mark.usefixtures("connection")
def test_what_is_handed_to_the_triggerer(ended: Callable[..., str]) -> None:
    run_id = ended("RUNNING")
    with pytest.raises(TaskDeferred) as deferred:
        sensor(run_id=run_id, deferrable=True, timeout=120).execute({})
    path, kwargs = deferred.value.trigger.serialize()
    assert path == "airflow_mlops.triggers.training.MLflowRunTrigger"
    assert kwargs.pop("deadline") > 0
    assert kwargs == {
        "mlflow_conn_id": "mlflow_default", "run_id": run_id, "experiment": None, "tags": {}, "poke_interval": 0.1,
    }  # fmt: skip
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() == 120  # should no triggerer ever look


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_that_failed_fails_the_task_with_reason_and_link(
    ended: Callable[..., str], status: str, deferrable: bool
) -> None:
    run_id = ended(status)
    with pytest.raises(AirflowFailException, match=f"MLflow run {run_id} ended as {status}: http.*/runs/{run_id}"):
        sensor(run_id=run_id, deferrable=deferrable).execute({})


def test_a_server_that_is_away_is_waited_for_until_time_is_up(connection: Callable[..., None]) -> None:
    connection("http://127.0.0.1:9")
    with pytest.raises(AirflowSensorTimeout):
        sensor(run_id="1", timeout=0.3, deferrable=False).execute({})
    with pytest.raises(TaskDeferred):
        sensor(run_id="1", deferrable=True).execute({})


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    "which",
    [
        {},
        {"experiment": "e"},
        {"tags": {"a": "b"}},
        {"run_id": "1", "experiment": "e", "tags": {"a": "b"}},
        {"experiment": "e", "tags": {"a": "b' or 'c"}},
    ],
)
def test_which_run_must_be_plain(which: dict[str, Any], deferrable: bool) -> None:
    with pytest.raises(AirflowFailException, match=r"run_id, or experiment and tags|cannot be searched"):
        sensor(**which, deferrable=deferrable).execute({})


def test_it_survives_serialisation_with_its_templates() -> None:
    with DAG("waits", schedule=None) as dag:
        sensor(experiment="{{ params.x }}", tags={"day": "{{ ds }}"})
    task = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))).get_task("wait")
    assert list(task.template_fields) == ["mlflow_conn_id", "run_id", "experiment", "tags"]
    assert task.tags == {"day": "{{ ds }}"}
    assert [link.xcom_key for link in task.operator_extra_links] == ["mlflow_run_url"]
