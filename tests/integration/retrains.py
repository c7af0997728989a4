"""A year of retrains in a real Airflow: the folder of DAGs, how runs are asked for, and what they left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.tracking import LoggedModel
from airflow_mlops.testing.servers import AirflowApi, LocalStack, PostgresServer

HERE = Path(__file__).parent
SHIPPED = HERE.parent.parent / "dags"
#: Everything that MLflow keeps of registered models.
REGISTRY = (
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
)
T = TypeVar("T")


def dag_id(project: str) -> str:
    return f"continuous_training__{project}"


def dag_folder(folder: Path, project: str) -> Path:
    """The reference DAG with one project: the tests' own small one, or one that is shipped."""
    source = HERE / "pulse" if project == "pulse" else SHIPPED / "projects"
    (folder / "projects").mkdir(parents=True)
    for name in ("continuous_training.py", ".airflowignore"):
        shutil.copy(SHIPPED / name, folder)
    # A project may use a function of another.
    for file in (*source.glob(f"{project}.*"), *SHIPPED.glob("projects/*.py")):
        shutil.copy(file, folder / "projects")
    return folder


def month(number: int) -> datetime:
    """The start of a month, counted from this one."""
    today = datetime.now(UTC)
    years, index = divmod(today.month - 1 + number, 12)
    return datetime(today.year + years, index + 1, 1, tzinfo=UTC)


def wait_for(look: Callable[[], T], seconds: float = 120) -> T:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing found in {seconds:.0f} s"
        time.sleep(0.5)
    return found


def wait_for_dag(api: AirflowApi, dag: str) -> None:
    def there() -> bool:
        assert not api.import_errors()
        return api.has_dag(dag)

    wait_for(there)


def wait_all(api: AirflowApi, dag: str, run_ids: list[str], seconds: float = 900) -> None:
    """Wait until all of these runs have succeeded."""
    for run_id in run_ids:
        run = api.wait(dag, run_id, seconds)
        assert run["state"] == "success", (run_id, states(api, dag, run_id))


def states(api: AirflowApi, dag: str, run_id: str) -> dict[str, str | None]:
    return {task["task_id"]: task["state"] for task in api.tasks(dag, run_id)}


def backfill(stack: LocalStack, dag: str, first: datetime, last: datetime, *options: str) -> list[str]:
    """Create a backfill over the intervals that begin from ``first`` to ``last``; the ids of its runs."""
    span = ("--from-date", first.isoformat(), "--to-date", last.isoformat())
    stack.airflow.cli("backfill", "create", "--dag-id", dag, *span, *options)
    return sorted(
        run["dag_run_id"]
        for run in stack.airflow.api.runs(dag, run_type="backfill")
        if first <= datetime.fromisoformat(run["logical_date"]) <= last
    )


def wait_for_backfills(api: AirflowApi, dag: str) -> None:
    """Wait until no backfill of the DAG is open; Airflow looks every half minute, and refuses another before."""
    wait_for(lambda: all(each["completed_at"] for each in api.get("/backfills", dag_id=dag)["backfills"]))


def registry_dump(postgres: PostgresServer) -> str:
    """MLflow's registry tables, every row as PostgreSQL writes it, in order."""
    engine = sa.create_engine(postgres.url("mlflow"))
    try:
        with engine.connect() as connection:
            found = {
                table: connection.scalars(sa.text(f'select t::text from {table} t order by t::text collate "C"')).all()
                for table in REGISTRY
            }
    finally:
        engine.dispose()
    return "\n".join(f"{table}\t{row}" for table, rows in found.items() for row in rows)


def asset_events(api: AirflowApi, dag: str) -> list[tuple[int, str]]:
    """The events that a DAG sent to whoever listens for a new champion: id and run."""
    events = api.get("/assets/events", source_dag_id=dag, limit=100)["asset_events"]
    return [(event["id"], event["source_run_id"]) for event in events]


def standing(client: MlflowClient, name: str) -> list[LoggedModel]:
    """The models of a project that nobody superseded."""
    models = client.tracking.models(client.tracking.experiment_id(name), {})
    return [model for model in models if tags.SUPERSEDED_BY not in model.tags]
