"""New data in a real Airflow: an asset's watcher over a restart of the triggerer, and a sensor on a real PostgreSQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_mlops.testing.servers import AirflowServer, PostgresServer
from tests.integration.retrains import wait_for, wait_for_dag

pytestmark = pytest.mark.integration

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "on_new_data.py"
SALES = """
from airflow.sdk import DAG
from airflow_mlops.sensors.snapshots import NewDataSensor

with DAG("sales", schedule=None):
    for column in ("id", "at"):
        NewDataSensor(
            task_id=column,
            source={"sql": "select * from sales", "conn_id": "warehouse", "column": column},
            since="{{ dag_run.conf.get('since', {}).get(task.task_id) }}",
            min_rows=2,
            deferrable=True,
            poke_interval=1,
            timeout=120,
        )
"""


@dataclass(frozen=True)
class Stack:
    airflow: AirflowServer
    landing: Path
    engine: sa.Engine


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("new_data")
    dags, landing = folder / "dags", folder / "landing"
    dags.mkdir()
    landing.mkdir()
    shutil.copy(EXAMPLE, dags)
    (dags / "sales.py").write_text(SALES)
    with PostgresServer("airflow", "warehouse", log=folder / "postgres.log") as postgres:
        url = sa.make_url(postgres.url("warehouse"))
        warehouse = {
            "conn_type": "postgres", "host": url.query["host"], "login": url.username, "schema": url.database,
        }  # fmt: skip
        env = {
            "LANDING": str(landing),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",  # how long a dead one keeps its triggers
        }
        engine = sa.create_engine(url)
        with AirflowServer(folder / "airflow", database=postgres.url("airflow"), dags=dags, env=env) as airflow:
            for dag in ("on_new_data", "sales"):
                wait_for_dag(airflow.api, dag)
                airflow.api.pause(dag, False)
            yield Stack(airflow, landing, engine)
        engine.dispose()


def land(stack: Stack, day: str) -> None:
    folder = stack.landing / f"day={day}"
    folder.mkdir()
    (folder / "a.csv").write_text("x")
    (folder / "_SUCCESS").touch()


def told(stack: Stack) -> list[list[str]]:
    """What each run was told, once all have ended."""
    api = stack.airflow.api
    runs = api.runs("on_new_data")
    if any(run["state"] not in ("success", "failed") for run in runs):
        return []
    return [api.xcom("on_new_data", run["dag_run_id"], "new_names") for run in runs]


def test_a_watcher_tells_each_partition_once_over_a_restart(stack: Stack) -> None:
    land(stack, "1")
    (stack.landing / "day=2").mkdir()
    (stack.landing / "day=2" / "a.csv").write_text("half")
    assert wait_for(lambda: told(stack), 240) == [["day=1/a.csv"]]
    events = stack.airflow.api.get("/assets/events")["asset_events"]
    assert [event["extra"]["payload"]["count"] for event in events] == [1]
    key = "select value from asset_state_store"
    with sa.create_engine(stack.airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).connect() as connection:
        wait_for(lambda: connection.execute(sa.text(key)).all())  # the watermark is kept
    triggerer = next(process for process in stack.airflow.processes if process.name == "airflow triggerer")
    triggerer.kill()
    triggerer.start()
    land(stack, "3")
    assert wait_for(lambda: told(stack)[1:], 240) == [["day=3/a.csv"]]
    assert len(stack.airflow.api.get("/assets/events")["asset_events"]) == 2


def test_a_sensor_takes_the_rows_above_its_watermark(stack: Stack) -> None:
    api = stack.airflow.api

    def insert(*numbers: int) -> None:
        with stack.engine.begin() as connection:
            for number in numbers:
                connection.execute(sa.text(f"insert into sales values ({number}, '2026-11-0{number} 06:00+01')"))

    def found(run_id: str) -> dict[str, Any]:
        assert api.wait("sales", run_id, 240)["state"] == "success"
        return {column: api.xcom("sales", run_id, column) for column in ("id", "at")}

    with stack.engine.begin() as connection:
        connection.execute(sa.text("create table sales (id bigint, at timestamptz)"))
    insert(1, 2, 3)
    first = found(api.trigger("sales"))
    assert [first[column]["count"] for column in ("id", "at")] == [3, 3]
    assert (first["id"]["watermark"], first["at"]["watermark"][:10]) == (3, "2026-11-03")
    insert(4)
    waiting = api.trigger("sales", {"since": first})
    wait_for(lambda: {task["state"] for task in api.tasks("sales", waiting)} == {"deferred"})
    insert(5)
    second = found(waiting)
    assert [second[column]["count"] for column in ("id", "at")] == [2, 2]
    assert second["id"]["watermark"] == 5
