"""Operators run as a worker runs them, one after the other, without Airflow's database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from upath import UPath

from airflow_mlops.operators.evaluation import EvaluateModelOperator
from airflow_mlops.operators.gate import ModelGateOperator
from airflow_mlops.operators.promotion import PromoteModelOperator
from airflow_mlops.operators.registry import RegisterModelOperator
from airflow_mlops.operators.snapshots import IngestSnapshotOperator, PrepareDataOperator
from airflow_mlops.operators.training import TrainModelOperator

DAYS, PER_DAY = 100, 12
START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = {"lookback": "60d", "test": "20d", "label_delay": "1d"}
AS_OF = "2026-04-01T00:00:00+00:00"
POLICY = {"metric": "roc_auc", "at_least": {"roc_auc": 0.7}, "min_rows": 50, "min_positives": 20}


@dataclass
class Bundle:
    """Where Airflow took the DAG file from; its version stands in for git."""

    version: str = "v1"


@dataclass
class TaskInstance:
    """Keeps what tasks push, as JSON, and gives it to those after them."""

    pushed: dict[str, Any] = field(default_factory=dict)
    returned: dict[str, Any] = field(default_factory=dict)
    bundle_instance: Bundle = field(default_factory=Bundle)
    run_url: str = "http://airflow/dags/d/runs/r"
    try_number: int = 1

    @property
    def log_url(self) -> str:
        return f"{self.run_url}/tasks/t?try_number={self.try_number}"

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, **_: Any) -> Any:
        return self.returned[task_ids]


@dataclass
class DagRun:
    """A manual run without a date, unless told otherwise; see the table of run types in Airflow's documentation."""

    run_type: str = "manual"
    run_id: str = ""
    run_after: datetime = datetime(2026, 6, 1, 3, 4, 5, tzinfo=UTC)
    logical_date: datetime | None = None
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    partition_date: datetime | None = None

    def __post_init__(self) -> None:
        self.run_id = self.run_id or f"{self.run_type}__2026-06-01"


@pytest.fixture(autouse=True)
def mlflow_connection(mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": mlflow_uri}))


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("d", schedule=None) as dag:
        yield dag


@pytest.fixture
def dag_run() -> type[DagRun]:
    return DagRun


@pytest.fixture
def execute(ti: TaskInstance) -> Callable[..., Any]:
    """Render and run a task; what it returns, as the next task gets it."""

    def execute(task: Any, run: DagRun | None = None, params: Mapping[str, Any] | None = None) -> Any:
        context = {
            "ti": ti,
            "task_instance": ti,
            "dag_run": run or DagRun(),
            "params": dict(params or {}),
            "outlet_events": OutletEventAccessors(),
        }
        ti.context = context
        task.render_template_fields(context)
        ti.returned[task.task_id] = json.loads(json.dumps(task.execute(context)))
        return ti.returned[task.task_id]

    return execute


@pytest.fixture(scope="session")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred days of twelve rows; ``y`` follows ``x`` with some noise, ``n`` is noise alone."""
    random = np.random.default_rng(7)
    size = DAYS * PER_DAY
    x = random.normal(size=size)
    table = pa.table(
        {
            "day": pa.array([START + timedelta(days=i // PER_DAY) for i in range(size)], pa.timestamp("us", "UTC")),
            "id": np.arange(size),
            "x": x,
            "n": random.normal(size=size),
            "y": (x + random.normal(size=size) > 0).astype(np.int64),
        }
    )
    path = tmp_path_factory.mktemp("data") / "days.parquet"
    pq.write_table(table, path)
    return path


def tidy(days: pa.Table, drop: str = "n") -> pa.Table:
    return days.drop_columns([drop])


@pytest.fixture
def make_tasks(store: UPath, parquet: Path, model_name: str) -> Callable[..., dict[str, Any]]:
    """The tasks of a continuous training, chained by their outputs; arguments may be changed by task."""

    def make_tasks(**changes: Mapping[str, Any]) -> dict[str, Any]:
        tasks: dict[str, Any] = {}

        def add(kind: Any, task_id: str, **arguments: Any) -> Any:
            given = {"store": str(store), **arguments, **changes.get(task_id, {})}
            tasks[task_id] = kind(task_id=task_id, **given)
            return tasks[task_id].output

        source = {"files": str(parquet)}
        outlets = [AssetAlias(f"{model_name}_champion")]
        with DAG("continuous", schedule=None):
            days = add(IngestSnapshotOperator, "ingest", name="days", source=source, event_time="day", window=WINDOW)
            rows = add(PrepareDataOperator, "prepare", name="tidy", function=tidy, inputs={"days": days})
            model = add(
                TrainModelOperator,
                "train",
                snapshot=rows,
                model=model_name,
                estimator="sklearn.linear_model.LogisticRegression",
                target="y",
                exclude=["id"],
            )
            found = add(EvaluateModelOperator, "evaluate", model=model, clusters="day")
            verdict = add(ModelGateOperator, "gate", evaluation=found, policy=POLICY)
            version = add(RegisterModelOperator, "register", model=model, verdict=verdict)
            add(PromoteModelOperator, "promote", version=version, outlets=outlets)
        return tasks

    return make_tasks


@pytest.fixture
def chain(make_tasks: Callable[..., dict[str, Any]], execute: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Run the tasks in order, up to and with one of them; what each returned."""

    def chain(
        upto: str = "promote", run: DagRun | None = None, params: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        found = {}
        for task_id, task in make_tasks(**changes).items():
            found[task_id] = execute(task, run, {"as_of": AS_OF} if params is None else params)
            if task_id == upto:
                break
        return found

    return chain
