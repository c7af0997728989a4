"""What a backfill would do, and which rows a date may use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk import DAG, CronDataIntervalTimetable
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops.cli.projects import find_project, interval_before, intervals
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.windows import Bounds, instant
from airflow_mlops.steps.projects import load_project
from tests.cli.conftest import Reply, Shelf, write_project

Call = Callable[..., Reply]


@pytest.mark.parametrize(
    ("schedule", "timezone"),
    [("0 0 1 * *", "UTC"), ("30 2 * * *", "Europe/Paris"), ("@weekly", "America/New_York")],
)
def test_the_dates_are_those_of_airflows_own_backfill(tmp_path: Path, schedule: str, timezone: str) -> None:
    project = load_project(write_project(tmp_path, "beats")).model_copy(
        update={"schedule": schedule, "timezone": timezone}
    )
    # Both clock changes of the year lie within.
    start, end = instant("2026-03-01"), instant("2026-11-15")
    dag = DAG("d", schedule=CronDataIntervalTimetable(schedule, timezone=timezone), start_date=datetime(2025, 1, 1))
    theirs = DagSerialization.from_dict(DagSerialization.to_dict(dag)).iter_dagrun_infos_between(start, end)
    assert intervals(project, start, end) == [
        Bounds(instant(info.data_interval.start), instant(info.data_interval.end)) for info in theirs
    ]


def test_a_date_between_is_about_the_last_whole_interval(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path, "beats"))
    for at in ("2026-11-01", "2026-11-21T13:00:00+00:00"):
        assert interval_before(project, instant(at)) == Bounds(instant("2026-10-01"), instant("2026-11-01"))


def test_a_plan_says_of_each_date_what_it_would_do(call: Call, shelf: Shelf, client: MlflowClient) -> None:
    found = call(
        "backfill-plan", str(shelf.file), "--from", "2026-01-01", "--to", "2026-07-01", "--max-active-runs", "4"
    )
    lines = found.out.splitlines()
    assert lines[0] == f"airflow backfill create --dag-id continuous_training__{shelf.name} \\"
    assert lines[4:8] == [
        "2026-02-01  2025-12-06…01-15  2026-01-16…01-30    696  skipped: beats 696 of 1,300 rows",
        "2026-03-01  2026-01-03…02-12  2026-02-13…02-27  1,320  no",
        "2026-04-01  2026-02-03…03-15  2026-03-16…03-30  1,320  no",
        "2026-05-01  2026-03-05…04-14  2026-04-15…04-29  1,320  yes",
    ]
    # The model of August was trained with another parameter.
    assert [line.split()[-1] for line in lines[8:11]] == ["yes", "yes", "no"]
    assert lines[-3] == ("7 dates: 3 train a model, 3 find theirs if the data are the same, 1 make none; 4 at once.")
    assert lines[-2].startswith("estimated time: about ")
    assert lines[-1] == "production will change: no"
    assert max(map(len, lines)) <= 100


def test_changed_code_makes_other_models(call: Call, shelf: Shelf) -> None:
    file = shelf.dags / "more.py"
    file.write_text("changed = True\n")
    try:
        found = call(
            "backfill-plan", str(shelf.file), "--from", "2026-04-01", "--to", "2026-04-01", "--no-rows", "--json"
        )
    finally:
        file.unlink()
    (run,) = found.data["runs"]
    assert (run["model"], run["rows"], run["problem"]) == ("yes, of other code or data", None, None)


def test_a_project_may_let_newer_dates_into_production(call: Call, shelf: Shelf) -> None:
    file = write_project(shelf.dags, shelf.name, more="promote_backfills: if_newer\n")
    try:
        found = call("backfill-plan", str(file), "--from", "2026-04-01", "--to", "2026-07-01", "--no-rows")
    finally:
        write_project(shelf.dags, shelf.name)
    assert found.out.splitlines()[-1] == (
        "production will change: perhaps, by 2026-08-01 (promote_backfills: if_newer), through the gate"
    )


def test_what_cannot_be_read_here_is_unknown_with_the_reason(call: Call, shelf: Shelf, tmp_path: Path) -> None:
    file = write_project(tmp_path, "warehouse")
    source = "{ sql: SELECT 1, conn_id: warehouse, order_by: [at], event_time: at }"
    text = [f"  beats: {source}" if line.startswith("  beats:") else line for line in file.read_text().splitlines()]
    file.write_text("\n".join(text))
    found = call("backfill-plan", str(file), "--from", "2026-04-01", "--to", "2026-04-01")
    assert found.code == 0
    assert "unknown  no" in found.out
    assert "rows of beats: unknown (SQL source: use `airflow mlops backfill-plan`)" in found.out
    assert "estimated time: unknown" in found.out


def test_functions_beside_the_project_file_are_found_as_airflow_finds_them(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = write_project(tmp_path, "own", module="beats_of_its_own.beats")
    package = tmp_path / "beats_of_its_own"
    package.mkdir()
    (package / "beats.py").write_text((Path(__file__).parent / "beats.py").read_text() + "\nprint('noise')\n")
    found = call("backfill-plan", str(file), "--from", "2026-04-01", "--to", "2026-04-01", "--json")
    assert [rows["rows"] for rows in found.data["runs"][0]["rows"]] == [1320]  # and what it prints is not in the JSON
    assert "noise" in found.err


@pytest.mark.parametrize(
    "named", ["flight_delays", "continuous_training__flight_delays", "dags/projects/flight_delays.yaml"]
)
def test_a_project_is_found_by_its_name_its_dag_or_its_file(named: str) -> None:
    found = find_project(named, None if named.endswith("yaml") else "dags")
    assert (found.project.name, found.dags.name) == ("flight_delays", "dags")


def test_explain_window_says_in_words_what_a_date_may_use(call: Call, shelf: Shelf) -> None:
    found = call("explain-window", shelf.name, "--dags", str(shelf.dags), "--at", "2026-06-10", uri=None)
    text = " ".join(found.out.split())
    assert f"{shelf.name}: a run of 2026-06-10 is about the as-of 2026-06-01." in text
    for words in (
        "the end of the interval from 2026-05-01",
        "label delay 2d: labels of rows after 2026-05-30 are not in yet",
        "test from 2026-05-16 until before 2026-05-30: 14d",
        "gap 1d before 2026-05-16",
        "training from 2026-04-05 until before 2026-05-15: 40d back",
        "time zone UTC",
        "knowledge time no column says",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing", "--dags", "dags"], "There is no project nothing in dags/projects: it has arrival_delay, flight"),
        (["absent.yaml"], "There is no project file absent.yaml"),
        (["flight_delays", "--dags", "dags", "--to", "2026-01-05"], "no interval of '0 0 1 * *' begins between"),
        (["flight_delays", "--dags", "dags", "--from", "2030-01-01", "--to", "2031-01-01"], "choose other dates"),
    ],
)
def test_a_plan_that_cannot_be_made_is_one_line(call: Call, arguments: list[str], reason: str) -> None:
    found = call("backfill-plan", "--from", "2026-01-02", "--to", "2026-03-01", *arguments)
    assert (found.code, found.out) == (1, "")
    assert reason in found.err


def test_an_instant_is_a_plain_datetime() -> None:
    """A project's function subtracts them, and pendulum's differ there."""
    project = find_project("flight_delays", "dags").project
    (dates,) = intervals(project, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    assert {type(dates.start), type(dates.end)} == {datetime}
