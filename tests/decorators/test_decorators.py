"""Decorated functions of a DAG file, run by Airflow as it imports such files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, task
from airflow.serialization.serialized_objects import DagSerialization
from sklearn.datasets import load_breast_cancer
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.steps.snapshots import open_snapshot
from airflow_mlops.testing.invariants import check_invariants

DAG_FILE = Path(__file__).with_name("tasks_dag.py")


@pytest.fixture
def decorated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_name: str) -> DAG:
    frame = load_breast_cancer(as_frame=True).frame.rename(columns=lambda name: name.replace(" ", "_"))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "patients.parquet")
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("MODEL", model_name)
    bag = DagBag(dag_folder=str(DAG_FILE))
    assert bag.import_errors == {}
    return bag.dags["decorated"]


@pytest.fixture
def run(decorated: DAG, run_dag: Callable[..., Any], states: Callable[..., dict[str, str]]) -> Any:
    run = run_dag(decorated)
    assert set(states(run).values()) == {"success"}
    return run


def test_functions_become_a_snapshot_and_a_model(
    run: Any, outputs: Callable[..., dict[str, Any]], client: MlflowClient, model_name: str
) -> None:
    found = outputs(run)
    prepared = open_snapshot(UPath(found["only_large"]["uri"]))
    assert prepared.manifest.parents == [found["ingest"]["uri"]]
    assert 0 < prepared.manifest.rows < found["ingest"]["rows"]
    assert prepared.manifest.source["kwargs"] == {"least": 8.0}
    spec = json.loads(found["forest"]["facts"][tags.SPEC])
    assert spec["params"] == {"n_estimators": 5, "max_depth": 3}
    assert spec["seed"] == 3
    assert found["forest"]["facts"][tags.SNAPSHOT] == prepared.uri
    check_invariants(client, model_name)


def test_no_record_holds_the_name_under_which_airflow_imported_the_file(
    run: Any, decorated: DAG, outputs: Callable[..., dict[str, Any]]
) -> None:
    assert decorated.get_task("forest").python_callable.__module__.startswith("unusual_prefix_")
    found = outputs(run)
    assert "unusual_prefix" not in json.dumps(found)
    manifest = open_snapshot(UPath(found["only_large"]["uri"])).manifest
    assert manifest.source["prepare"] == "tasks_dag.only_large"
    assert json.loads(found["forest"]["facts"][tags.SPEC])["estimator"] == "tasks_dag.forest"


def test_the_dag_survives_serialisation(decorated: DAG) -> None:
    again = DagSerialization.from_dict(DagSerialization.to_dict(decorated))
    assert again.get_task("only_large").downstream_task_ids == {"forest"}


def test_a_call_that_does_not_fit_the_function_is_refused_when_the_file_is_read() -> None:
    with DAG("bad", schedule=None):

        @task.train_model(snapshot="s", model="m", target="y")
        def model(depth: int) -> object: ...

        with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
            model(depth=1, width=2)


def test_decorated_functions_stay_functions() -> None:
    """What a notebook calls."""

    @task.prepare_data(name="n")
    def doubled(rows: pa.Table) -> pa.Table:
        return pa.table({"x": np.asarray(rows["x"]) * 2})

    assert doubled.function(pa.table({"x": [1, 2]}))["x"].to_pylist() == [2, 4]
