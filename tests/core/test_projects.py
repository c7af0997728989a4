"""A project file says what is wrong with it: the file, the key, and why."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_mlops.core.projects import Project
from airflow_mlops.exceptions import ConfigurationError

SHIPPED = Path(__file__).parents[2] / "dags" / "projects" / "flight_delays.yaml"
SMALL: dict[str, Any] = {
    "name": "small",
    "schedule": "0 0 1 * *",
    "window": {"lookback": "10d", "test": "2d"},
    "sources": {"rows": {"files": "/data/*.parquet"}},
    "prepare": {"function": "a.b"},
    "validation": {"suite": "small.suite.yaml"},
    "training": {"estimator": "a.c", "target": "y"},
    "evaluation": {"metric": "roc_auc"},
    "gate": {"metric": "roc_auc"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small project with one key set."""
    data: dict[str, Any] = yaml.safe_load(yaml.safe_dump(SMALL))
    *parents, last = path.split(".")
    inner = data
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return data


def test_the_least_that_a_project_must_say() -> None:
    project = Project.parse(SMALL, "small.yaml")
    assert project.timezone == "UTC"
    assert project.start == date(2025, 1, 1)
    assert project.training.task == "classification"
    assert project.sources["rows"].source() == {"files": "/data/*.parquet"}


def test_the_shipped_project_is_one() -> None:
    project = Project.parse(yaml.safe_load(SHIPPED.read_text()), SHIPPED.name)
    assert project.sources["flights"].source() == {
        "callable": "projects.flight_delays.flights",
        "order_by": ["time_hour", "carrier", "flight", "origin"],
    }
    assert "dep_delay" not in (project.training.features or [])


def test_both_shipped_projects_see_the_same_rows_and_columns() -> None:
    late, minutes = (
        Project.parse(yaml.safe_load(path.read_text()), path.name)
        for path in (SHIPPED, SHIPPED.with_name("arrival_delay.yaml"))
    )
    assert (minutes.window, minutes.sources) == (late.window, late.sources)
    assert minutes.training.features == late.training.features


@pytest.mark.parametrize("start", ["2025-03-01", date(2025, 3, 1)])
def test_a_day_may_be_written_with_or_without_quotes(start: Any) -> None:
    assert Project.parse(changed("start", start), "small.yaml").start == date(2025, 3, 1)


@pytest.mark.parametrize("schedule", ["@monthly", "30 6 * * 1-5", "*/5 0 1 1,7 *"])
def test_schedules(schedule: str) -> None:
    assert Project.parse(changed("schedule", schedule), "small.yaml").schedule == schedule


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("name", "../etc", "name: .*'../etc' is not allowed"),
        ("name", "'; DROP TABLE dag; --", "name: .*is not allowed"),
        ("schedule", "monthly", "schedule: "),
        ("schedule", "0 0 1 *", "schedule: "),
        ("timezone", "Mars/Olympus", "timezone: .*'Mars/Olympus' is unknown"),
        ("timezone", "../../etc/passwd", "timezone: .*is unknown"),
        ("start", "soon", "start: "),
        ("sources", {}, "sources: "),
        ("sources.rows", {}, "sources.rows: .*exactly one of files, delta, iceberg, sql and callable"),
        ("sources.rows", {"files": "a", "callable": "b"}, "sources.rows: .*exactly one of"),
        ("sources.rows.min_rows", 0, "sources.rows.min_rows: "),
        ("sources.rows.mni_rows", 5, "sources.rows.mni_rows: Extra inputs"),
        ("window", {"test": "2d"}, "window: .*lookback .* or start"),
        ("sources.rows.key", ["id"], "the file: .*sources.rows.key: .* add window.knowledge_time"),
        ("window.lookbak", "3d", "window: .*lookbak"),
        ("training.task", "regresion", "training.task: .*'regresion' is not one of classification"),
        ("training.target", None, "training.target: "),
        ("evaluation.metric", "roc_auk", "evaluation.metric: .*'roc_auk' is unknown"),
        ("evaluation.metric", "positive_rate", "evaluation.metric: .*describes and does not judge"),
        ("evaluation.secondary", ["log_los"], "evaluation.secondary.0: .*'log_los' is unknown"),
        ("gate.at_leest", {}, "gate: .*at_leest"),
        ("gate.metric", "roc_auk", "gate: .*'roc_auk' is unknown"),
        ("ownr", "me", "ownr: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(path: str, value: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^Project file small.yaml: {complaint}"):
        Project.parse(changed(path, value), "small.yaml")


@pytest.mark.parametrize("data", [None, [], "name", 3])
def test_what_is_no_mapping(data: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^Project file small.yaml: the file: "):
        Project.parse(data, "small.yaml")
