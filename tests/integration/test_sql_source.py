"""A SQL connection of Airflow's as the source of a snapshot: a real PostgreSQL, streamed with a server-side cursor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from upath import UPath

from airflow_mlops.cli.connections import AirflowConnections
from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.hooks.store import sql_engine
from airflow_mlops.operators.snapshots import source_of
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import build_source
from airflow_mlops.testing.servers import PostgresServer

pytestmark = pytest.mark.integration

SALES = """
create table sales as
select i as id,
       timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute' as at,
       case when i % 7 = 0 then null else 'Zoë ' || i end as name,
       (i / 100.0)::numeric(12, 2) as amount
from generate_series(1, 120000) as i order by random()
"""
QUERY = "select id, at, name, amount from sales where at >= :start and at < :end"
WINDOW = TrainingWindow(lookback="45d", test="10d")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    with PostgresServer("warehouse", log=tmp_path_factory.mktemp("postgres") / "log") as server:
        url = sa.make_url(server.url("warehouse"))
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text(SALES))
        engine.dispose()
        yield url


@pytest.fixture
def connected(warehouse: sa.URL, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, Any] = {
        "conn_type": "postgres",
        "host": warehouse.query["host"],
        "login": warehouse.username,
        "schema": warehouse.database,
    }
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(parts))


def test_rows_of_the_window_come_in_order_with_their_types(connected: None, tmp_path: Path) -> None:
    source = source_of({"sql": QUERY, "conn_id": "warehouse", "order_by": ["id"]}, "at")
    snapshots = [
        ingest(
            UPath(tmp_path),
            name="sales",
            source=source,
            as_of=instant("2026-03-01"),
            window=WINDOW,
            event_time="at",
        )
        for _ in range(2)
    ]
    assert snapshots[0].uri == snapshots[1].uri
    table = snapshots[0].table()
    assert table.num_rows == 55 * 24 * 60  # more than are fetched at a time
    assert table["id"].to_pylist() == sorted(table["id"].to_pylist())
    types = {column["name"]: column["type"] for column in snapshots[0].manifest.schema}
    assert types["name"] == "string"
    assert types["at"].startswith("timestamp")
    assert types["amount"].startswith("decimal")
    assert snapshots[0].manifest.source == {"sql": QUERY, "connection": "warehouse", "order_by": ["id"]}


def test_the_rows_are_streamed_and_not_fetched_whole(connected: None) -> None:
    """Ten rows are read of a query whose whole answer would take minutes to make."""
    endless = "select a.id, pg_sleep(case when a.id > 1000 then 1 else 0 end)::text as s from sales a order by a.id"
    with sql_engine("warehouse").connect().execution_options(stream_results=True, max_row_buffer=10) as connection:
        result = connection.execute(sa.text(endless))
        assert [row.id for row in result.fetchmany(10)] == list(range(1, 11))


def test_a_connection_that_is_no_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": "http://localhost:1"}))
    with pytest.raises(ConfigurationError, match="mlflow_default is not a SQL database"):
        sql_engine("mlflow_default")


def test_a_backfill_plan_counts_rows_through_airflows_connection(
    connected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # which the command sets: put it back afterwards
    connections = AirflowConnections("mlflow_default")
    spec = {"sql": QUERY, "conn_id": "warehouse", "order_by": ["id"]}
    source = build_source(spec, "at", path_of=connections.path, engine_of=connections.engine)
    rows = Slice(instant("2026-03-01"), WINDOW.at(instant("2026-03-01")).whole)
    assert sum(batch.num_rows for batch in sliced(source.read(rows)[1], rows, "at", None)) == 55 * 24 * 60
