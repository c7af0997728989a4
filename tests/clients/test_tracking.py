"""Runs that somebody else started, by both clients on one server."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_mlops.clients.databricks import DatabricksClient, DatabricksSettings
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.exceptions import NotFound

EXPERIMENT = f"/elsewhere-{uuid.uuid4().hex[:12]}"  # a workspace names experiments by their path


@pytest.fixture(params=["mlflow", "mlflow-client"])
def either(request: pytest.FixtureRequest, mlflow_uri: str, client: MlflowClient) -> Iterator[Mlflow]:
    if request.param == "mlflow":
        yield client
    else:
        with DatabricksClient(DatabricksSettings(mlflow_uri)) as databricks:
            yield databricks


def test_a_run_is_told_with_its_status_and_its_models(either: Mlflow, client: MlflowClient) -> None:
    tracking = client.tracking
    experiment = tracking.experiment_id(EXPERIMENT)
    run_id, _ = tracking.create_run(experiment, "run", {})
    assert either.tracking.run(run_id).status == "RUNNING"
    model = tracking.create_model(experiment, "m", run_id, {})
    for status in ("FAILED", "KILLED", "FINISHED"):
        tracking.finish_run(run_id, status)
        found = either.tracking.run(run_id)
        assert (found.run_id, found.experiment_id, found.status) == (run_id, experiment, status)
        assert found.model_ids == (model.model_id,)


def test_a_run_that_is_not_there(either: Mlflow) -> None:
    with pytest.raises(NotFound):
        either.tracking.run("0" * 32)


def test_the_newest_run_that_carries_all_the_tags(either: Mlflow, client: MlflowClient) -> None:
    experiment, mark = client.tracking.experiment_id(EXPERIMENT), uuid.uuid4().hex
    start = client.tracking.create_run
    runs = [start(experiment, "run", {"mark": mark, "a.b/c": value})[0] for value in ("x", "y", "x", "z")]
    newest = either.tracking.newest_run
    assert newest(EXPERIMENT, {"mark": mark}) == runs[3]
    assert newest(EXPERIMENT, {"mark": mark, "a.b/c": "x"}) == runs[2]
    assert newest(EXPERIMENT, {"mark": mark, "a.b/c": "w"}) is None


def test_a_look_for_runs_creates_no_experiment(either: Mlflow, client: MlflowClient) -> None:
    name = f"{EXPERIMENT}-not-there"
    assert either.tracking.newest_run(name, {"a": "b"}) is None
    with pytest.raises(NotFound):
        client.http.get("/experiments/get-by-name", experiment_name=name)


def test_runs_that_name_the_same_data_at_once(either: Mlflow, client: MlflowClient) -> None:
    """The server looks for the data set, then inserts it: the slower of two finds a row that it did not expect."""
    experiment = client.tracking.experiment_id(EXPERIMENT)
    runs = [client.tracking.create_run(experiment, "run", {})[0] for _ in range(6)]
    for _ in range(5):
        digest, together = uuid.uuid4().hex, threading.Barrier(len(runs))

        def log(run_id: str, digest: str = digest, together: threading.Barrier = together) -> None:
            together.wait(60)
            either.tracking.log_dataset(run_id, name="rows", digest=digest, uri="file:///rows", rows=1)

        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(log, runs))
    for run_id in runs:
        inputs = client.http.get("/runs/get", run_id=run_id)["run"]["inputs"]["dataset_inputs"]
        assert len(inputs) == 5
