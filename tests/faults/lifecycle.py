"""The whole way of one small model, as the reference DAG chains it, and what must be there at its end."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import pyarrow as pa
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.training import RunFacts, TrainingSpec
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import DataError, SecurityError
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.promotion import promote
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from airflow_mlops.testing.invariants import check_invariants

Task = Callable[[Callable[[], Any]], Any]


def rows(**_: Any) -> pa.Table:
    x = np.random.default_rng(0).normal(size=400)
    return pa.table({"id": np.arange(400), "x": x, "y": (x > 0).astype(int)})


def once(task: Callable[[], Any]) -> Any:
    return task()


def retried(task: Callable[[], Any]) -> Any:
    """As Airflow runs our operators with two retries: wrong data and refused access fail at once."""
    for left in reversed(range(3)):
        try:
            return task()
        except (DataError, SecurityError):
            raise
        except Exception:
            if not left:
                raise
    raise AssertionError("unreachable")


def lifecycle(client: MlflowClient, store: UPath, name: str, task: Task = once) -> None:
    spec = TrainingSpec(name, "sklearn.linear_model.LogisticRegression", target="y", features=["x"])
    policy = GatePolicy("roc_auc", min_rows=50, min_positives=20)
    source, as_of = CallableSource(rows, ["id"]), instant("2026-10-01")
    snapshot = task(lambda: ingest(store, name="rows", source=source, as_of=as_of))
    model = task(lambda: train(client, snapshot=snapshot, spec=spec, run=RunFacts(run_url="http://airflow/run")))
    found = task(lambda: evaluate_model(client, model=model, snapshot=snapshot, spec=EvaluationSpec("roc_auc")))
    verdict = task(lambda: judge_model(client, model=model, evaluation=found, policy=policy))
    assert verdict.promote, verdict.summary
    version, _ = task(lambda: register(client, model, run_url="http://airflow/run"))
    task(lambda: promote(client.registry, name=name, version=version.version, reason=verdict.summary, actor="test"))


def exit_code(processes: ForkServerContext, work: Callable[..., None], *args: Any) -> int | None:
    """How a child ends that does the work."""
    process = processes.Process(target=work, args=args)
    process.start()
    process.join(60)
    process.kill()
    process.join()
    return process.exitcode


def check_settled(client: MlflowClient, name: str) -> None:
    """Nothing twice, nothing missing, nothing left open."""
    check_invariants(client, name)
    experiment = client.tracking.experiment_id(name)
    models, versions = client.tracking.models(experiment, {}), client.registry.versions(name)
    assert (len(models), len(versions)) == (1, 1)  # not even superseded ones: nothing raced
    assert versions[0].model_id == models[0].model_id
    assert client.registry.alias(name, "champion") == versions[0].version
    entries = ledger.history(client.registry.model_tags(name))
    assert [entry.champion for entry in entries] == [versions[0].version]
    assert client.tracking.open_runs(experiment, {}) == []
    runs = client.http.search("/runs/search", {"experiment_ids": [experiment]}, "runs")
    ended = {run["info"]["run_id"]: run["info"]["status"] for run in runs}
    assert ended.pop(models[0].run_id) == "FINISHED"
    assert "FINISHED" not in ended.values()
