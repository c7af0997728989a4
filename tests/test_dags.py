"""The reference DAGs: they load, they explain themselves, and the shipped projects run from end to end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.projects import Project
from airflow_mlops.core.windows import TrainingWindow
from airflow_mlops.steps.projects import load_project
from airflow_mlops.testing.invariants import check_invariants

DAGS = Path(__file__).parent.parent / "dags"
SCHEMA = DAGS / "projects" / "project.schema.json"
FLOWS = ("continuous_training", "reproduce", "backtest", "drift_check", "batch_scoring")
DEPLOYING = "continuous_deployment"
PROJECTS = ("arrival_delay", "flight_delays")
FLIGHTS = "continuous_training__flight_delays"
REPRODUCE = "reproduce__flight_delays"
BACKTEST = "backtest__flight_delays"
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
    """A copy of the folder with two projects."""
    folder = shutil.copytree(DAGS, tmp_path / "dags")
    projects = folder / "projects"
    (projects / "arrival_delay.yaml").unlink()
    text = (projects / "flight_delays.yaml").read_text().replace("name: flight_delays", "name: other")
    (projects / "other.yaml").write_text(text)
    return folder


def test_every_file_has_a_dag(dags: dict[str, DAG]) -> None:
    files = {path.name for path in DAGS.glob("*.py")}
    assert {Path(dag.fileloc).name for dag in dags.values()} == files
    assert {f"{flow}__{name}" for flow in FLOWS for name in PROJECTS} <= set(dags)


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


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("version", ["champion", "12", "m-" + "0f" * 16], ["", None, 12, "a b", "'; DROP TABLE d; --", "../x"]),
        ("parameters", [None, {"C": 1.0}], ["C=1", [1]]),
        ("search_space", [None, {"C": [1, 2]}], [{"C": 1}, {"C": []}, ["C"]]),
        ("window", [None, {"lookback": "90d", "test": "28d"}], ["90d"]),
        ("as_of", [None, AS_OF], ["soon"]),
        ("data_version", [None, "0123abcd", "ab" * 32], ["0123", "s3://bucket/elsewhere", "../x"]),
        ("seed", [None, 7], [-1, "seven"]),
        ("note", [None, "more trees"], ["x" * 501]),
    ],
)  # fmt: skip
def test_the_form_of_a_reproduction_refuses_nonsense(
    dags: dict[str, DAG], name: str, good: list[Any], bad: list[Any]
) -> None:
    params = dags[REPRODUCE].params
    params.validate()
    param = params.get_param(name)
    assert param.schema["title"]
    assert param.description
    for value in good:
        assert param.resolve(value) == value
    for value in bad:
        with pytest.raises(ParamValidationError):
            param.resolve(value)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("model", ["flight_delays", "their-own.model"], ["", None, "a b", "../x", "'; DROP TABLE d; --"]),
        ("to", ["previous", "3", "2026-11-01", "2026-11-01T06:00:00+00:00"], ["", None, "next", "-1", "0", "3; x"]),
        ("reason", ["late flights were not counted"], [None, "x" * 501, 7]),
    ],
)  # fmt: skip
def test_the_form_of_a_rollback_refuses_nonsense(
    dags: dict[str, DAG], name: str, good: list[Any], bad: list[Any]
) -> None:
    params = dags["rollback"].params
    param = params.get_param(name)
    assert param.schema["title"]
    assert param.description
    for value in good:
        assert param.resolve(value) == value
    for value in bad:
        with pytest.raises(ParamValidationError):
            param.resolve(value)


def test_a_rollback_works_whatever_is_wrong_elsewhere(two_projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (two_projects / "projects" / "flight_delays.yaml").write_text("name: [")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "rollback")
    bag = load(two_projects)
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert dag.get_task("roll_back").downstream_task_ids == {"redeploy"}
    target_of = dag.user_defined_macros["target_of"]  # type: ignore[index]
    assert json.loads(target_of("other")) == {"uri": "serving://serving_default"}
    assert target_of("flight_delays") == ""


def test_only_projects_that_say_where_to_are_deployed(dags: dict[str, DAG]) -> None:
    assert {name for name in dags if name.startswith(DEPLOYING)} == {f"{DEPLOYING}__flight_delays"}
    dag = dags[f"{DEPLOYING}__flight_delays"]
    told = dags[FLIGHTS].get_task("promote").outlets[0]
    assert told.name == "flight_delays_champion"
    (asset,) = dag.schedule  # type: ignore[misc]
    assert (asset.name, asset.uri) == ("flight_delays_champion", "mlflow://flight_delays/champion")
    assert dag.max_active_runs == 1
    order = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert order == {"plan": {"smoke_test", "deploy"}, "smoke_test": {"deploy"}, "deploy": set()}


def test_a_project_may_ask_for_a_canary_first(two_projects: Path) -> None:
    file = two_projects / "projects" / "other.yaml"
    file.write_text(file.read_text().replace("deployment: {", "deployment: { canary: { share: 0.2 },"))
    bag = load(two_projects / "continuous_deployment.py")
    assert bag.import_errors == {}
    dag = bag.dags[f"{DEPLOYING}__other"]
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "plan": {"smoke_test", "deploy"},
        "smoke_test": {"canary"},
        "canary": {"analyse"},
        "analyse": {"decide"},
        "decide": {"deploy", "roll_back"},
        "deploy": set(),
        "roll_back": set(),
    }
    assert dag.get_task("canary").share == 0.2  # type: ignore[attr-defined]
    assert dag.get_task("deploy").trigger_rule == "none_failed_min_one_success"
    decide = dag.get_task("decide").python_callable  # type: ignore[attr-defined]
    assert [decide({"decision": said}) for said in ("accept", "take_back")] == ["deploy", "roll_back"]


@pytest.mark.parametrize("flow", [*FLOWS, DEPLOYING])
def test_a_worker_builds_only_the_dag_of_its_task(
    flow: str, two_projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {f"{flow}__flight_delays", f"{flow}__other"} <= set(load(two_projects).dags)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", f"{flow}__other")
    (two_projects / "projects" / "flight_delays.yaml").write_text("name: [")  # a mistake of another team's
    assert set(load(two_projects).dags) == {f"{flow}__other"}


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
        ("before: 1h", "before: an hour", "scoring.before: Value error, 'an hour' is not a span of time"),
        ("scoring: {", "scoring: { alias: latest,", "scoring.alias: .*reserved by MLflow"),
        ("max_age: 2", "max_age: -1", "backtest.max_age: Input should be greater than or equal to 0"),
        ("cadences: [1, 2]", "cadences: []", "backtest.cadences: List should have at least 1 item"),
        ("if_absent: skip", "if_absnt: skip", "deployment.if_absnt: Extra inputs"),
        ("if_absent: skip", "if_absent: ignore", "deployment.if_absent: Input should be 'fail' or 'skip'"),
        (
            "if_absent: skip",
            "if_absent: skip, smoke_test: { latency: 3 }",
            "deployment.smoke_test: Value error, it knows latency_ms, memory_mb, seconds",
        ),
        (
            "if_absent: skip",
            "if_absent: skip, canary: { policy: { request: 3 } }",
            "deployment.canary.policy: Value error, Rollout: the policy has no request",
        ),
        (
            'target: "serving://serving_default"',
            'target: "s3://models", canary: { share: 0.1 }',
            "deployment: .*only a target serving",
        ),
        (
            'target: "serving://serving_default"',
            'target: "serving://a", canary: { share: 1 }',
            "deployment.canary.share: Input should be less than 1",
        ),
        ("name: other", "name: [", "cannot be read"),
    ],
)
def test_a_broken_project_file_is_named_with_its_key(two_projects: Path, old: str, new: str, complaint: str) -> None:
    file = two_projects / "projects" / "other.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    (error,) = load(two_projects / "continuous_training.py").import_errors.values()
    assert re.search(f"ConfigurationError: Project file other.yaml.*{complaint}", error), error.splitlines()[-1]


def test_the_schema_for_editors_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == Project.model_json_schema(), (
        "dags/projects/project.schema.json is stale, write it again: python -c 'import json; "
        "from airflow_mlops.core.projects import Project; print(json.dumps(Project.model_json_schema(), indent=2))' "
        "> dags/projects/project.schema.json"
    )


@pytest.mark.parametrize("name", PROJECTS)
def test_the_schema_for_editors_accepts_the_shipped_projects(name: str) -> None:
    import jsonschema
    import yaml

    text = (DAGS / "projects" / f"{name}.yaml").read_text()
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


def test_a_regression_goes_the_same_way_live_and_as_a_backfill(
    dags: dict[str, DAG],
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    outputs: Callable[..., Any],
    client: MlflowClient,
) -> None:
    minutes = dags["continuous_training__arrival_delay"]
    live, past = (
        run_dag(minutes, run_type=run_type, run_conf={"as_of": as_of})
        for run_type, as_of in (("manual", AS_OF), ("backfill", "2026-03-01T00:00:00+00:00"))
    )
    assert set(states(live).values()) == {"success"}, states(live)
    found = outputs(live)
    assert found["gate"]["decision"] == "promote"
    assert found["gate"]["summary"].startswith("Accepted as the first champion: mean absolute error 18.")
    assert found["evaluate"]["candidate"]["mae"] < found["evaluate"]["baseline"]["mae"]

    judged = outputs(past)
    assert {task for task, state in states(past).items() if state == "skipped"} == {"register", "promote"}
    assert judged["gate"]["decision"] == "reject"  # the winter's first month: no better than a median by hour
    assert judged["gate"]["summary"].startswith("Historical, not registered. Refused: mean absolute error 23.")
    assert judged["train"]["run_type"] == "backfill"
    assert [v.version for v in client.registry.versions("arrival_delay")] == [1]
    check_invariants(client, "arrival_delay")


def test_the_champion_is_made_again_from_its_record(
    runs: Any, dags: dict[str, DAG], run_dag: Callable[..., Any], outputs: Callable[..., Any], client: MlflowClient
) -> None:
    found = outputs(run_dag(dags[REPRODUCE], run_conf={"version": "1"}))["reproduce"]
    assert found["sentence"].startswith("Reproduced: 8 metrics equal to 1e-12, "), found["sentence"]
    assert found["sentence"].endswith("predictions identical; code and data the same, no package differs.")
    assert client.registry.version("flight_delays", 1).tags[tags.REPRODUCED] == found["sentence"]
    assert len(client.tracking.models(outputs(runs[0])["train"]["experiment_id"], {})) == 1
    check_invariants(client, "flight_delays")


def test_a_reproduction_imports_and_reads_what_the_project_file_names(dags: dict[str, DAG]) -> None:
    (task,) = dags[REPRODUCE].tasks
    assert task.functions == ["projects.flight_delays.model", "projects.flight_delays.prepare"]  # type: ignore[attr-defined]
    assert [source["callable"] for source in task.sources] == [  # type: ignore[attr-defined]
        "projects.flight_delays.flights", "projects.flight_delays.weather",
    ]  # fmt: skip


def test_the_backtest_is_started_by_hand_and_asks_what_the_project_says(dags: dict[str, DAG]) -> None:
    dag = dags[BACKTEST]
    assert dag.schedule is None
    (task,) = dag.tasks
    assert (task.task_id, task.model, task.metric) == ("backtest", "flight_delays", "roc_auc")  # type: ignore[attr-defined]
    assert (task.cadences, task.max_age) == ([1, 2], 2)  # type: ignore[attr-defined]
    assert [link.name for link in task.operator_extra_links] == ["Backtest report", "MLflow run"]
    for name in ("from", "to"):
        param = dag.params.get_param(name)
        assert param.schema["title"]
        assert param.resolve(None) is None
        assert param.resolve(AS_OF) == AS_OF
        with pytest.raises(ParamValidationError):
            param.resolve("soon")


@pytest.mark.parametrize("name", PROJECTS)
def test_no_model_of_a_replayed_year_is_asked_about_the_twin_of_its_training(name: str) -> None:
    """The year comes again after 364 days at the earliest."""
    project = load_project(DAGS / "projects" / f"{name}.yaml")
    assert project.backtest.max_age is not None
    asked = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13)]
    windows = [TrainingWindow.from_json(project.window).at(as_of) for as_of in asked]
    for oldest, newest in zip(windows, windows[project.backtest.max_age :], strict=False):
        assert newest.test.end <= oldest.train.start + timedelta(days=364)


def test_the_backtest_asks_the_models_that_the_training_made(
    runs: Any,
    dags: dict[str, DAG],
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    outputs: Callable[..., Any],
) -> None:
    run = run_dag(dags[BACKTEST], run_conf={"from": AS_OF})
    assert states(run) == {"backtest": "success"}
    found = outputs(run)["backtest"]
    assert (found["models"], found["cells"]) == (1, 1)
    assert found["recommendation"]["sentence"].startswith("Cannot tell: there is one model only")


def test_a_date_without_enough_data_behind_it_is_skipped(
    flights: DAG, run_dag: Callable[..., Any], states: Callable[..., Any]
) -> None:
    run = run_dag(flights, run_conf={"as_of": "2013-03-01T00:00:00+00:00"})
    assert set(states(run).values()) == {"skipped"}
    assert run.state == "success"


def test_the_drift_check_compares_the_last_weeks_with_the_training_of_the_champion(
    runs: Any,
    dags: dict[str, DAG],
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    outputs: Callable[..., Any],
) -> None:
    dag = dags["drift_check__flight_delays"]
    check = dag.get_task("check")
    assert check.clusters == "date"  # type: ignore[attr-defined]
    assert check.columns == load_project(DAGS / "projects" / "flight_delays.yaml").training.features  # type: ignore[attr-defined]
    run = run_dag(dag, run_conf={"as_of": AS_OF})
    assert states(run) == dict.fromkeys(("ingest_flights", "ingest_weather", "prepare", "check"), "success")
    found = outputs(run)["check"]
    assert (found["verdict"], found["as_of"]) == ("drift", AS_OF)
    assert found["baseline"] == "the training rows of the champion of flight_delays"
    assert "temp" in {one["column"] for one in found["worst"]}
    assert found["url"].endswith("/artifacts/drift/drift.html")
    assert Path(found["report_uri"]).read_text().startswith("<!doctype html>")
    assert len(json.dumps(found)) < 12_000


def test_the_drift_check_stands_alone(
    dags: dict[str, DAG], run_dag: Callable[..., Any], outputs: Callable[..., Any], tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, shift in (("before", 0), ("now", 40)):
        rows = pa.table({"minutes": [(7 * i) % 101 + shift for i in range(500)], "id": range(500)})
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    form = {
        "baseline": f"{tmp_path}/before.parquet",
        "current": f"{tmp_path}/n*.parquet",
        "name": "minutes",
        "policy": {"ignore": ["id"]},
        "as_of": AS_OF,
    }
    found = outputs(run_dag(dags["drift_check"], run_conf=form))["check"]
    assert (found["verdict"], found["columns"]) == ("drift", 1)
    assert found["worst"][0]["sentence"].startswith("minutes: the median rose from 49 to 89")


def test_the_champion_is_asked_about_the_flights_of_a_day_once(
    runs: Any,
    dags: dict[str, DAG],
    run_dag: Callable[..., Any],
    states: Callable[..., Any],
    outputs: Callable[..., Any],
    client: MlflowClient,
) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    dag = dags["batch_scoring__flight_delays"]
    since = "2026-10-31T00:00:00+00:00"
    run = run_dag(dag, run_conf={"as_of": AS_OF, "since": since})
    assert states(run) == dict.fromkeys(("ingest_flights", "ingest_weather", "prepare", "score"), "success")
    found = outputs(run)["score"]
    champion = client.registry.alias("flight_delays", "champion")
    assert (found["version"], found["interval"], found["new"]) == (champion, f"{since}/{AS_OF}", True)
    rows = pq.read_table(found["uri"], partitioning=None)
    assert 500 < rows.num_rows == found["rows"] < 1500
    assert pc.min(rows["time_hour"]).as_py() == datetime.fromisoformat(since)  # the hour before is its weather's
    first = pc.equal(rows["time_hour"], pc.min(rows["time_hour"]))
    assert rows.filter(first)["inputs"].combine_chunks().field("temp").null_count == 0

    form = {
        "model": "models:/flight_delays@champion",
        "rows": outputs(run)["prepare"]["uri"],
        "at": datetime.now(UTC).isoformat(),
        "keys": ["flight"],
        "as_of": AS_OF,
    }
    alone = outputs(run_dag(dags["batch_scoring"], run_conf=form))["score"]
    assert (alone["mode"], alone["keys"], alone["rows"] > found["rows"]) == ("backfill", ["flight"], True)
