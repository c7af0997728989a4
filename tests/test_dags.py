"""The reference DAGs: they load, they explain themselves, and the shipped project runs from end to end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger
from airflow_mlops.core.projects import Project
from airflow_mlops.testing.invariants import check_invariants

DAGS = Path(__file__).parent.parent / "dags"
SCHEMA = DAGS / "projects" / "project.schema.json"
FLIGHTS = "continuous_training__flight_delays"
AS_OF = "2026-11-01T00:00:00+00:00"


def load(folder: Path) -> DagBag:
    return DagBag(dag_folder=str(folder))


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    bag = load(DAGS)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def flights(dags: dict[str, DAG]) -> DAG:
    return dags[FLIGHTS]


@pytest.fixture
def two_projects(tmp_path: Path) -> Path:
    """A copy of the folder with a second project."""
    folder = shutil.copytree(DAGS, tmp_path / "dags")
    projects = folder / "projects"
    text = (projects / "flight_delays.yaml").read_text().replace("name: flight_delays", "name: other")
    (projects / "other.yaml").write_text(text)
    return folder


def test_every_file_has_a_dag(dags: dict[str, DAG]) -> None:
    files = {path.name for path in DAGS.glob("*.py")}
    assert {Path(dag.fileloc).name for dag in dags.values()} == files
    assert FLIGHTS in dags


def test_every_dag_explains_itself(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        assert dag.doc_md
        assert dag.description
        assert "mlops" in dag.tags
        assert not dag.catchup


def test_every_dag_survives_serialisation(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        data = DagSerialization.to_dict(dag)
        again = DagSerialization.from_dict(json.loads(json.dumps(data)))
        assert set(again.task_ids) == set(dag.task_ids)
        assert set(again.params) == set(dag.params)


def test_a_scheduled_run_is_about_an_interval(flights: DAG) -> None:
    """A bare cron string would give intervals of no width."""
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(flights)).timetable
    interval = timetable.infer_manual_data_interval(run_after=datetime(2026, 11, 21, tzinfo=UTC))
    assert (interval.start, interval.end) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


def test_the_tasks_are_in_order(flights: DAG) -> None:
    order = {task.task_id: task.downstream_task_ids for task in flights.tasks}
    assert order == {
        "ingest_flights": {"prepare"},
        "ingest_weather": {"prepare"},
        "prepare": {"validate"},
        "validate": {"train"},
        "train": {"evaluate", "register"},
        "evaluate": {"gate"},
        "gate": {"register"},
        "register": {"promote"},
        "promote": set(),
    }
    assert all(task.retries == 2 for task in flights.tasks)
    assert all(task.owner == "mlops" for task in flights.tasks)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("as_of", [None, AS_OF, "2026-11-01T00:00:00Z"], ["soon", "2026-13-01T00:00:00Z", 3, "'; DROP TABLE d; --"]),
        ("note", [None, "more trees"], ["x" * 501, 7]),
        ("seed", [0, 7], [-1, "seven", 1.5, None]),
    ],
)  # fmt: skip
def test_the_trigger_form_refuses_nonsense(flights: DAG, name: str, good: list[Any], bad: list[Any]) -> None:
    flights.params.validate()
    param = flights.params.get_param(name)
    assert param.schema["title"]
    assert param.description
    for value in good:
        assert param.resolve(value) == value
    for value in bad:
        with pytest.raises(ParamValidationError):
            param.resolve(value)


def test_a_worker_builds_only_the_dag_of_its_task(two_projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(load(two_projects).dags) == {FLIGHTS, "continuous_training__other"}
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "continuous_training__other")
    (two_projects / "projects" / "flight_delays.yaml").write_text("name: [")  # a mistake of another team's
    assert set(load(two_projects).dags) == {"continuous_training__other"}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  metric: roc_auc\n  secondary", "  metrik: roc_auc\n  secondary", "evaluation.metric: Field required"),
        ("  metric: roc_auc\n  secondary", "  metric: roc_auk\n  secondary", "evaluation.metric: .*roc_auk"),
        ("owner: mlops", "owner: mlops\nownr: me", "ownr: Extra inputs are not permitted"),
        ("name: other", "name: ../flights", "name: Value error, Project name '../flights' is not allowed"),
        ("min_rows: 150000", "min_rows: many", "sources.flights.min_rows: Input should be a valid integer"),
        ("suite: flight_delays.suite.yaml", "suite: absent.yaml", "validation.suite: there is no file"),
        ("0 0 1 * *", "monthly", "schedule: String should match pattern"),
        ("timezone: UTC\n", "timezone: Mars/Olympus\n", "timezone: Value error, 'Mars/Olympus' is unknown"),
        ('start: "2025-01-01"', "start: soon", "start: Input should be a valid date"),
        ("lookback: 255d", "lookbak: 255d", "window: .*lookbak"),
        ("at_least:", "at_leest:", "gate: .*at_leest"),
        (
            "gate:\n  metric: roc_auc",
            "gate:\n  metric: log_loss",
            "gate.metric log_loss is not evaluation.metric roc_auc",
        ),
        ("not_worse: { log_loss", "not_worse: { brier", "gate.not_worse names brier"),
        ("secondary: [log_loss]", "secondary: [log_loss, mae]", "mae is no metric of a classification"),
        (
            "    callable: projects.flight_delays.weather",
            "    files: a\n    sql: b",
            "sources.weather: .*exactly one of",
        ),
        ("task: classification", "task: clasification", "training.task: .*clasification"),
        ("name: other", "name: [", "cannot be read"),
    ],
)
def test_a_broken_project_file_is_named_with_its_key(two_projects: Path, old: str, new: str, complaint: str) -> None:
    file = two_projects / "projects" / "other.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    (error,) = load(two_projects).import_errors.values()
    assert re.search(f"ConfigurationError: Project file other.yaml.*{complaint}", error), error.splitlines()[-1]


def test_the_schema_for_editors_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == Project.model_json_schema(), (
        "dags/projects/project.schema.json is stale, write it again: python -c 'import json; "
        "from airflow_mlops.core.projects import Project; print(json.dumps(Project.model_json_schema(), indent=2))' "
        "> dags/projects/project.schema.json"
    )


def test_the_schema_for_editors_accepts_the_shipped_project() -> None:
    import jsonschema
    import yaml

    text = (DAGS / "projects" / "flight_delays.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=./project.schema.json")
    jsonschema.validate(yaml.safe_load(text), json.loads(SCHEMA.read_text()))


@pytest.fixture(scope="module")
def runs(flights: DAG, run_dag: Callable[..., Any]) -> Iterator[list[Any]]:
    """The same as-of twice."""
    return [run_dag(flights, run_conf={"as_of": AS_OF, "note": "as shipped"}) for _ in range(2)]


def test_the_flights_go_all_the_way(
    runs: Any, states: Callable[..., Any], outputs: Callable[..., Any], client: MlflowClient
) -> None:
    run = runs[0]
    assert set(states(run).values()) == {"success"}, states(run)
    found = outputs(run)
    assert found["train"]["as_of"] == AS_OF
    assert found["prepare"]["rows"] > 200_000
    assert 0.63 < found["evaluate"]["candidate"]["roc_auc"] < 0.76
    assert found["gate"]["decision"] == "promote"
    assert found["gate"]["summary"].startswith("Accepted as the first champion")
    assert found["promote"]["champion"] == 1
    assert client.registry.alias("flight_delays", "champion") == 1
    check_invariants(client, "flight_delays")


def test_the_same_as_of_again_adds_no_model_and_no_version(
    runs: Any, states: Callable[..., Any], outputs: Callable[..., Any], client: MlflowClient
) -> None:
    first, again = (outputs(run) for run in runs)
    assert set(states(runs[1]).values()) == {"success"}
    assert again["prepare"] == first["prepare"]
    assert again["train"]["model_id"] == first["train"]["model_id"]
    assert (first["train"]["created"], again["train"]["created"]) == (True, False)
    assert len(client.tracking.models(first["train"]["experiment_id"], {})) == 1
    assert [v.version for v in client.registry.versions("flight_delays")] == [1]
    assert len(ledger.history(client.registry.model_tags("flight_delays"))) == 1
    check_invariants(client, "flight_delays")


def test_a_date_without_enough_data_behind_it_is_skipped(
    flights: DAG, run_dag: Callable[..., Any], states: Callable[..., Any]
) -> None:
    run = run_dag(flights, run_conf={"as_of": "2013-03-01T00:00:00+00:00"})
    assert set(states(run).values()) == {"skipped"}
    assert run.state == "success"
