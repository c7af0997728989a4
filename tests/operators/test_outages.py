"""MLflow goes away: the task says so in time, and its retry goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core import ledger, tags
from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.operators.promotion import RollbackModelOperator
from airflow_mlops.steps.promotion import promote
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.servers import MlflowServer
from tests.faults.proxy import Fault, FaultProxy, Outage

AS_OF = "2026-04-01T00:00:00+00:00"
#: The tasks that talk to MLflow, after those that do not.
ALONE, TASKS = ("ingest", "prepare"), ("train", "evaluate", "gate", "register", "promote", "rollback")
#: Seconds within which a task says that the server is away, and how much slower a busy machine may be.
PROMISE, SLACK = 30.0, 3.0

Reach = Callable[..., None]


@pytest.fixture
def proxy(mlflow_uri: str) -> Iterator[FaultProxy]:
    with FaultProxy(mlflow_uri) as proxy:
        yield proxy


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Reach:
    """Point the connection at a server."""

    def reach(url: str, **extra: Any) -> None:
        connection = {"conn_type": "mlflow", "host": url, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(connection))

    return reach


@pytest.fixture
def attempt(make_tasks: Callable[..., Any], execute: Callable[..., Any], model_name: str) -> Callable[[str], Any]:
    """One try of a task, as a new process has it."""

    def attempt(task_id: str) -> Any:
        if task_id == "rollback":
            with DAG("way_back", schedule=None):
                task: Any = RollbackModelOperator(task_id="rollback", model=model_name, reason="it fails")
        else:
            task = make_tasks()[task_id]
        return execute(task, params={"as_of": AS_OF})

    return attempt


def fails(attempt: Callable[[str], Any], task_id: str, url: str) -> None:
    begin = time.monotonic()
    with pytest.raises(ServiceUnavailable) as caught:  # which Airflow retries, as every error that is not of the data
        attempt(task_id)
    assert time.monotonic() - begin < PROMISE * SLACK
    assert f"MLflow at {url} did not answer" in str(caught.value)
    assert str(caught.value).endswith("Is the server up, and the connection's host right? A retry goes on from here.")


def add_newer(client: MlflowClient, name: str) -> None:
    """A second champion, for the rollback to go back from."""
    first = client.registry.version(name, 1)
    facts = {**first.tags, tags.AS_OF: "2026-05-01T00:00:00+00:00", tags.KEY: "another"}
    facts.pop(tags.APPROVED)
    second = client.registry.create_version(name, first.source, first.run_id, facts)
    promote(client.registry, name=name, version=second.version, reason="newer", actor="run")


def check_once(client: MlflowClient, name: str) -> None:
    """One model, its version and the added one, and a ledger of there and back."""
    check_invariants(client, name)
    assert len(client.tracking.models(client.tracking.experiment_id(name), {})) == 1
    assert client.tracking.open_runs(client.tracking.experiment_id(name), {}) == []
    assert len(client.registry.versions(name)) == 2
    assert [entry.champion for entry in ledger.history(client.registry.model_tags(name))] == [1, 2, 1]


@pytest.mark.faults("outage", rounds=1)
@pytest.mark.parametrize(
    ("outage", "extra"), [(Outage.DOWN, {"retries": 1}), (Outage.HUNG, {"timeout": 0.4, "retries": 1})]
)
def test_each_task_fails_in_time_and_its_retry_goes_on(
    proxy: FaultProxy, reach: Reach, attempt: Callable[[str], Any], client: MlflowClient, model_name: str,
    outage: Outage, extra: dict[str, float], record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    for task_id in ALONE:
        attempt(task_id)
    for task_id in TASKS:
        if task_id == "rollback":
            add_newer(client, model_name)
        reach(proxy.url, **extra)
        with proxy.away(outage):
            fails(attempt, task_id, proxy.url)
        reach(proxy.url)
        attempt(task_id)
    check_once(client, model_name)
    record_property("repetitions", len(TASKS))


@pytest.mark.faults("outage in the middle", rounds=1)
@pytest.mark.integration  # it waits for the default timeouts
@pytest.mark.parametrize(
    ("task_id", "write"),
    [
        ("train", "POST /logged-models"),
        ("train", "PUT /artifacts"),
        ("register", "POST /model-versions/create"),
        ("promote", "POST /registered-models/alias"),
    ],
)
def test_a_server_that_hangs_in_the_middle_of_a_task_is_told_in_time(
    proxy: FaultProxy, reach: Reach, attempt: Callable[[str], Any], client: MlflowClient, model_name: str,
    task_id: str, write: str,
) -> None:  # fmt: skip
    for each in (*ALONE, *TASKS):
        if each == "rollback":
            add_newer(client, model_name)
        if each == task_id:
            reach(proxy.url)
            proxy.plan(write, Fault.GO_AWAY)
            fails(attempt, task_id, proxy.url)
            proxy.come_back()
        attempt(each)
    check_once(client, model_name)


@pytest.mark.faults("outage of the process", rounds=1)
@pytest.mark.integration  # it starts a server for each task
def test_a_server_that_is_stopped_and_started_between_tries(
    reach: Reach, attempt: Callable[[str], Any], model_name: str, tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    server = MlflowServer(tmp_path / "mlflow")
    reach(server.url)
    with server, MlflowClient(MlflowSettings(server.url)) as client:
        for task_id in ALONE:
            attempt(task_id)
        for task_id in TASKS:
            if task_id == "rollback":
                add_newer(client, model_name)
            server.stop()
            fails(attempt, task_id, server.url)
            server.start()
            attempt(task_id)
        check_once(client, model_name)
    record_property("repetitions", len(TASKS))
