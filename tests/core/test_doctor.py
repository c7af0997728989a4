"""Checks of a set-up on plain values."""

from __future__ import annotations

import pytest

from airflow_mlops.core import tags
from airflow_mlops.core.doctor import check_champion, check_dag_file, check_server, check_uri
from airflow_mlops.core.ledger import LedgerEntry
from airflow_mlops.core.pins import Pin
from airflow_mlops.core.registry import ModelVersion

ONE = ModelVersion("m", 1, "s", tags={tags.APPROVED: "2026-09-01"})
TWO = ModelVersion("m", 2, "s", tags={tags.APPROVED: "2026-10-01"})


def test_a_file_that_is_no_python_is_passed_over() -> None:
    assert [list(check_dag_file("dags/d.py", text)) for text in ("import airflow_mlops\0", "def")] == [[], []]


@pytest.mark.parametrize(
    ("schedule", "found"),
    [
        ("CronTriggerTimetable('0 0 * * *', timezone='UTC')", 1),
        ("DeltaTriggerTimetable(timedelta(days=1))", 1),
        ("CronTriggerTimetable('0 0 * * *', timezone='UTC', interval=timedelta(days=1))", 0),
        ("CronDataIntervalTimetable('0 0 * * *', timezone='UTC')", 0),
    ],
)
def test_a_trigger_alone_has_no_interval(schedule: str, found: int) -> None:
    text = f"from airflow_mlops import x\nDAG('d', schedule={schedule})"
    assert len(list(check_dag_file("dags/d.py", text))) == found


def entry(champion: int | None, pinned: int | None = None) -> LedgerEntry:
    return LedgerEntry(1, "2026-10-02", None, champion, "2026-10-01", "me", "why", pinned=pinned)


def pin(version: int) -> dict[str, str]:
    return {tags.PINNED: Pin(version, "ada", "the audit", "2026-11-01").tag_value}


@pytest.mark.parametrize(
    ("uri", "credentials", "codes"),
    [
        ("http://localhost:5000", True, []),
        ("http://127.0.0.1:5000", True, []),
        ("http://[::1]:5000", True, []),
        ("http://mlflow:5000", False, []),
        ("http://mlflow:5000", True, ["plain-http"]),
        ("https://ann:secret@mlflow", False, ["password-in-uri"]),
        ("databricks://profile", True, []),
        ("databricks", True, []),
        ("http://[::1:5000", False, []),  # no URL: the client says so
        ("mlruns", False, ["file-store"]),
        ("file:///mlruns", False, ["file-store"]),
        ("postgresql://ann:secret@db/mlflow", False, ["file-store"]),
    ],
)
def test_addresses(uri: str, credentials: bool, codes: list[str]) -> None:
    found = list(check_uri(uri, credentials=credentials))
    assert [finding.code for finding in found] == codes
    assert not any("secret" in str(finding.to_json()) for finding in found)


@pytest.mark.parametrize(("version", "old"), [("3.11.0", False), ("4.0", False), ("3.9.2", True), ("a page", True)])
def test_versions_of_servers(version: str, old: bool) -> None:
    assert bool(list(check_server(version))) is old


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ('"0 0 1 * *"', "'0 0 1 * *'"),
        ('"@monthly"', "'@monthly'"),
        ("timedelta(days=1)", "timedelta(days=1)"),
        ("datetime.timedelta(hours=2)", "datetime.timedelta(hours=2)"),
        ("None", None),
        ('"@once"', None),
        ('CronDataIntervalTimetable("0 0 1 * *", timezone="UTC")', None),
        ("[asset]", None),
    ],
)
@pytest.mark.parametrize("written", ['with DAG("d", schedule={}): pass', "@dag(schedule={})\ndef d(): pass"])
def test_schedules(schedule: str, told: str | None, written: str) -> None:
    text = f"from airflow_mlops.operators.gate import ModelGateOperator\n{written.format(schedule)}\n"
    found = list(check_dag_file("d.py", text))
    assert [finding.problem.split(" gives")[0] for finding in found] == ([f"schedule={told}"] if told else [])
    assert list(check_dag_file("d.py", text.replace("airflow_mlops", "another"))) == []


def test_a_file_that_is_no_python_is_airflows_to_tell() -> None:
    assert list(check_dag_file("d.py", "import airflow_mlops\nwith DAG(")) == []


@pytest.mark.parametrize(
    ("current", "versions", "model_tags", "entries", "codes"),
    [
        (2, [ONE, TWO], {}, [entry(2)], []),
        (None, [], {}, [], []),
        (1, [ONE, TWO], {}, [entry(1)], ["champion"]),
        (None, [ONE], {}, [entry(1)], ["champion"]),
        (2, [ONE, TWO], {}, [entry(1)], ["ledger"]),
        (2, [ONE, TWO], {}, [], ["ledger"]),
        (1, [ONE, TWO], pin(1), [entry(1, pinned=1)], []),
        (1, [ONE, TWO], pin(1), [entry(1)], ["ledger"]),
        (2, [ONE, TWO], pin(7), [entry(2)], ["pin"]),
        (1, [ModelVersion("m", 1, "s")], {}, [], ["unapproved"]),
    ],
)
def test_alias_tags_and_ledger(
    current: int | None,
    versions: list[ModelVersion],
    model_tags: dict[str, str],
    entries: list[LedgerEntry],
    codes: list[str],
) -> None:
    found = list(check_champion("m", "champion", current, versions, model_tags, entries))
    assert [finding.code for finding in found] == codes
    assert all(finding.repairable == (finding.code in ("champion", "ledger")) for finding in found)
