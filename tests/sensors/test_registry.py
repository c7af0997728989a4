"""Sensors of versions, aliases and endpoints, in a worker and in the triggerer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops.clients.digests import digest_of
from airflow_mlops.clients.folder import FolderTarget
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.deployment import Deployed, Wanted
from airflow_mlops.sensors.deployment import EndpointHealthSensor
from airflow_mlops.sensors.registry import ModelAliasSensor, ModelVersionSensor


@pytest.mark.parametrize("deferrable", [False, True], ids=["in a worker", "in the triggerer"])
def test_what_somebody_else_does_is_waited_for(
    run_dag: Callable[..., Any], states: Callable[..., Any], outputs: Callable[..., Any],
    client: MlflowClient, model_name: str, tmp_path: Path, deferrable: bool,
) -> None:  # fmt: skip
    from upath import UPath

    registry, files, where = client.registry, tmp_path / "files", tmp_path / "models"
    files.mkdir()
    (files / "MLmodel").write_text("x")
    quick: dict[str, Any] = {"deferrable": deferrable, "poke_interval": 0.2, "timeout": 60}

    def elsewhere() -> None:
        registry.ensure_model(model_name)
        for _ in range(2):
            registry.create_version(model_name, "s3://elsewhere/model", None, {"team": "crm"})
        registry.set_alias(model_name, "champion", 2)
        FolderTarget(UPath(where)).put(Wanted(Deployed(model_name, 2, digest_of(files))), files)

    with DAG(f"waits_{model_name}", schedule=None, params={"since": 1}) as dag:
        version = ModelVersionSensor(
            task_id="version", model=model_name, since="{{ params.since }}", tags={"team": "crm"}, **quick
        )
        alias = ModelAliasSensor(task_id="alias", model=model_name, other_than="{{ params.since }}", **quick)
        endpoint = EndpointHealthSensor(
            task_id="endpoint", target=str(where), model=f"models:/{model_name}@champion", **quick
        )
        never = {**quick, "timeout": 0.5}
        rest = [
            ModelVersionSensor(task_id="no_version", model=model_name, tags={"team": "other"}, **never),
            ModelAliasSensor(task_id="no_alias", model=model_name, version=1, **never),
            EndpointHealthSensor(task_id="no_endpoint", target=str(where), model=f"models:/{model_name}/1", **never),
            EndpointHealthSensor(task_id="no_target", target="serving://nowhere", model=model_name, retries=2, **never),
        ]
        version >> alias >> endpoint >> rest
    timer = threading.Timer(1, elsewhere)
    timer.start()
    run = run_dag(dag)
    timer.join()
    waited = ("version", "alias", "endpoint")
    assert states(run) == {**dict.fromkeys(waited, "success"), **{task.task_id: "failed" for task in rest}}
    found = outputs(run)
    assert found["version"] == {"name": model_name, "version": 2, "versions": [2]}
    assert found["alias"] == {"name": model_name, "alias": "champion", "version": 2}
    assert (found["endpoint"]["version"], found["endpoint"]["digest"]) == (2, digest_of(files))
