"""Ingest and prepare: the same as-of is the same snapshot, whatever started the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from upath import UPath

from airflow_mlops.operators.snapshots import IngestSnapshotOperator, PrepareDataOperator, source_of
from airflow_mlops.steps.snapshots import open_snapshot

MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
INTERVAL = {"data_interval_start": MARCH, "data_interval_end": APRIL, "logical_date": MARCH}
POINT = {"data_interval_start": APRIL, "data_interval_end": APRIL, "logical_date": APRIL}
ASKED = {"as_of": "2026-04-01T02:00:00+02:00"}
RUNS = {
    "scheduled over an interval": ({"run_type": "scheduled", "run_after": APRIL, **INTERVAL}, {}),
    "scheduled at a point": ({"run_type": "scheduled", "run_after": APRIL, **POINT}, {}),
    "manual with nothing filled in": ({"run_after": APRIL}, {"as_of": None}),
    "manual with a logical date": ({"logical_date": APRIL}, {}),
    "manual with an as-of in the form": ({**INTERVAL, "data_interval_end": datetime(2026, 3, 2, tzinfo=UTC)}, ASKED),
    "asset-triggered": ({"run_type": "asset_triggered", "run_after": APRIL}, {}),
    "partitioned": ({"run_type": "scheduled", "partition_date": APRIL}, {}),
    "backfill": ({"run_type": "backfill", **INTERVAL}, {}),
    "backfill at a point": ({"run_type": "backfill", **POINT}, {}),
    "backfill of partitions": ({"run_type": "backfill", "partition_date": APRIL}, {}),
}


def constant(*, as_of: datetime, **_: Any) -> pa.Table:
    return pa.table({"id": [2, 1], "secret": ["b", "a"]})


def repeated(*, as_of: datetime, **_: Any) -> pa.Table:
    return pa.table({"id": [1, 1]})


@pytest.mark.parametrize("kind", RUNS)
def test_the_same_as_of_gives_the_same_snapshot_in_every_kind_of_run(
    kind: str, chain: Callable[..., Any], dag_run: Any
) -> None:
    dates, params = RUNS[kind]
    reference = chain("prepare")
    found = chain("prepare", dag_run(**dates), params)
    assert found == reference
    assert found["ingest"]["as_of"] == "2026-04-01T00:00:00+00:00"


def corrected(*, as_of: datetime, **_: Any) -> pa.Table:
    """One order, and what was learnt of it ten days later."""
    moments = {"ordered": [datetime(2026, 3, 10, tzinfo=UTC)] * 2, "known": [MARCH, datetime(2026, 3, 20, tzinfo=UTC)]}
    times = {name: pa.array(values, pa.timestamp("us", "UTC")) for name, values in moments.items()}
    return pa.table({"order": [7, 7], "amount": [90, 9], **times})


@pytest.mark.parametrize(("as_of", "amount"), [("2026-03-20", 90), ("2026-03-21", 9)])
def test_of_one_key_the_last_known_row_counts(
    execute: Callable[..., Any], store: UPath, as_of: str, amount: int
) -> None:
    found = execute(
        IngestSnapshotOperator(
            task_id="ingest", name="orders", store=str(store), event_time="ordered", key=["order"], as_of=as_of,
            source={"callable": f"{__name__}.corrected", "order_by": ["order", "known"]},
            window={"lookback": "20d", "test": "5d", "knowledge_time": "known"},
        )
    )  # fmt: skip
    assert open_snapshot(UPath(found["uri"])).table()["amount"].to_pylist() == [amount]


@pytest.mark.parametrize("start", ["2026-03-25", "2027-01-01"])
def test_a_date_before_an_expanding_window_is_skipped(make_tasks: Callable[..., Any], execute: Any, start: str) -> None:
    task = make_tasks(ingest={"window": {"start": start, "test": "20d"}})["ingest"]
    with pytest.raises(AirflowSkipException, match="The training window is empty at 2026-04-01"):
        execute(task, params={"as_of": "2026-04-01"})


def test_the_operators_own_as_of_comes_before_the_forms(chain: Callable[..., Any]) -> None:
    found = chain("ingest", params=ASKED, ingest={"as_of": "{{ '2026-03-20' }}"})
    assert found["ingest"]["as_of"] == "2026-03-20T00:00:00+00:00"


@pytest.mark.parametrize("template", ["{{ params.own }}", "{{ '' }}", None])
def test_an_own_as_of_that_renders_to_nothing_leaves_it_to_the_form(template: Any, chain: Callable[..., Any]) -> None:
    found = chain("ingest", params={**ASKED, "own": None}, ingest={"as_of": template})
    assert found["ingest"]["as_of"] == "2026-04-01T00:00:00+00:00"


def test_the_snapshot_holds_the_window_and_names_its_parents(chain: Callable[..., Any]) -> None:
    found = chain("prepare")
    ingested, prepared = (open_snapshot(UPath(found[word]["uri"])) for word in ("ingest", "prepare"))
    days = ingested.table(["day"])["day"].to_pylist()
    assert min(days) == datetime(2026, 1, 10, tzinfo=UTC)
    assert max(days) == datetime(2026, 3, 30, tzinfo=UTC)
    assert prepared.manifest.parents == [ingested.uri]
    assert prepared.manifest.code_version == "bundle:v1"
    assert "n" not in prepared.table().column_names
    assert set(found["prepare"]) == {"uri", "name", "data_version", "rows", "as_of", "windows"}


def test_a_date_with_too_little_behind_it_is_skipped_with_the_reason(
    chain: Callable[..., Any], ti: Any, store: UPath
) -> None:
    with pytest.raises(AirflowSkipException, match=r"days at 2026-01-05: 48 rows, 500 are needed"):
        chain("ingest", params={"as_of": "2026-01-05"}, ingest={"window": None, "min_rows": "{{ 500 }}"})
    assert ti.pushed["cpu_seconds"]["total"] > 0
    assert not list(store.glob("snapshots/*/*"))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "../../etc"}, "Snapshot name '../../etc' is not allowed"),
        ({"name": "a'; DROP TABLE dag; --"}, "is not allowed"),
        ({"source": {"files": "/nowhere/*.parquet"}}, "No file matches /nowhere/"),
        ({"source": {}}, "one of files, delta, iceberg, sql, callable"),
        ({"source": {"files": "a", "sql": "b"}}, r"this one has \['files', 'sql'\]"),
        ({"source": {"callable": "a.b", "oder_by": ["c"]}}, "oder_by"),
        ({"source": {"sql": "SELECT 1", "conn_id": "web", "order_by": ["id"]}}, "web is not a SQL database"),
        ({"source": {"sql": "SELECT 1", "conn_id": "absent", "order_by": ["id"]}}, "no Airflow connection absent"),
        ({"source": {"callable": "os.nothing", "order_by": ["id"]}}, "Module os has no 'nothing'"),
        ({"source": {"callable": "nothing", "order_by": ["id"]}}, "not an import path"),
        ({"source": {"callable": f"{__name__}.constant"}}, "needs order_by"),
        ({"source": {"callable": f"{__name__}.repeated", "order_by": ["id"]}, "event_time": None, "window": None},
         "1 rows share their id"),
        ({"event_time": None}, "a window needs the name of the event_time column"),
        ({"event_time": "night"}, "night"),
        ({"window": {"test": "1d", "lookbak": "3d"}}, "lookbak"),
        ({"window": {"test": "one day", "lookback": "3d"}}, "'one day' is not a span of time"),
        ({"as_of": "2026-13-01'; DROP TABLE dag; --"}, "is not a date or time"),
        ({"min_rows": "many"}, "many"),
        ({"store": "nosuch://bucket/x"}, "nosuch"),
    ],
)  # fmt: skip
def test_what_a_retry_cannot_mend_fails_at_once(
    changes: dict[str, Any], complaint: str, chain: Callable[..., Any], ti: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "localhost"}))
    with pytest.raises(AirflowFailException, match=complaint):
        chain("ingest", ingest=changes)
    assert "cpu_seconds" in ti.pushed


def test_what_a_trigger_form_holds_is_text_and_never_a_template(
    execute: Callable[..., Any], dag: Any, store: UPath
) -> None:
    task = IngestSnapshotOperator(
        task_id="ingest",
        store=str(store),
        name="rows",
        source={"callable": f"{__name__}.constant", "order_by": ["id"], "kwargs": {"note": "{{ params.note }}"}},
    )
    hostile = "{{ 7 * 7 }}'; DROP TABLE dag; --"
    found = execute(task, params={"note": hostile})
    assert open_snapshot(UPath(found["uri"])).manifest.source["kwargs"] == {"note": hostile}


def joined(left: pa.Table, right: pa.Table, shift: int) -> pa.Table:
    return left.append_column("shift", [[shift] * left.num_rows])


def same(left: pa.Table, **_: Any) -> pa.Table:
    return left


def broken(**_: pa.Table) -> str:
    return "rows"


def nothing(left: pa.Table) -> pa.Table:
    return left.slice(0, 0)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"inputs": {}}, "name at least one snapshot"),
        ({"inputs": {"left": {"rows": 3}}}, "is not a snapshot"),
        ({"inputs": {"left": "/nowhere"}}, "There is no snapshot at /nowhere"),
        ({"function": f"{__name__}.broken"}, "broken returned str"),
        ({"function": f"{__name__}.nothing"}, "nothing returned no rows"),
        ({"function": "nowhere.at_all"}, "cannot be imported"),
        ({"order_by": ["absent"]}, "order_by names absent"),
    ],
)
def test_a_preparation_that_cannot_work_fails_at_once(
    changes: dict[str, Any], complaint: str, chain: Callable[..., Any], execute: Callable[..., Any], dag: Any
) -> None:
    days = chain("ingest")["ingest"]
    arguments = {"name": "tidy", "function": f"{__name__}.same", "inputs": {"left": days}, **changes}
    with pytest.raises(AirflowFailException, match=complaint):
        execute(PrepareDataOperator(task_id="prepare", store=days["uri"].split("/snapshots/")[0], **arguments))


def test_inputs_of_different_as_ofs_are_not_mixed(
    chain: Callable[..., Any], execute: Callable[..., Any], dag: Any, store: UPath
) -> None:
    left, right = (chain("ingest", params={"as_of": day})["ingest"] for day in ("2026-04-01", "2026-04-02"))
    task = PrepareDataOperator(
        task_id="both",
        store=str(store),
        name="both",
        function=f"{__name__}.joined",
        inputs={"left": left, "right": right["uri"]},
        arguments={"shift": 1},
    )
    with pytest.raises(AirflowFailException, match=r"different as-ofs or windows: left 2026-04-01.*, right 2026-04-02"):
        execute(task)


def test_a_relative_path_of_files_is_made_absolute(parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parquet.parent)
    assert source_of({"files": parquet.name}).describe() == {"files": str(parquet)}
