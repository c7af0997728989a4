"""The reference DAG in a real Airflow on PostgreSQL, with a project of its own: only files are brought, no DAG code."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core import ledger
from airflow_mlops.store.snapshots import open_snapshot
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.servers import AirflowApi, LocalStack, local_stack
from tests.integration.retrains import month, wait_for

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
DAG = "continuous_training__pulse"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    folder = tmp_path_factory.mktemp("stack")
    dags = folder / "dags"
    (dags / "projects").mkdir(parents=True)
    shutil.copy(HERE.parent.parent / "dags" / "continuous_training.py", dags)
    shutil.copy(HERE.parent.parent / "dags" / ".airflowignore", dags)
    shutil.copy(HERE / "pulse" / "listener.py", dags)
    for name in ("pulse.py", "pulse.yaml", "pulse.suite.yaml"):
        shutil.copy(HERE / "pulse" / name, dags / "projects")
    with local_stack(folder / "servers", dags) as running:
        yield running


@pytest.fixture(scope="module")
def api(stack: LocalStack) -> AirflowApi:
    api = stack.airflow.api
    deadline = time.monotonic() + 120
    while not (api.has_dag(DAG) and api.has_dag("listener")):
        assert not api.import_errors()
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return api


@pytest.fixture(scope="module")
def client(stack: LocalStack) -> Iterator[MlflowClient]:
    with MlflowClient(MlflowSettings(stack.mlflow.url)) as client:
        yield client


@pytest.fixture(scope="module")
def story(stack: LocalStack, api: AirflowApi) -> dict[str, str]:
    """A backfill, the live runs of the same as-of in three ways, and one of a later as-of. Run ids by name."""
    api.pause("listener", False)
    live = month(0)
    stack.airflow.cli(
        *("backfill", "create", "--dag-id", DAG, "--max-active-runs", "3"),
        *("--from-date", month(-4).isoformat(), "--to-date", month(-2).isoformat(), "--run-backwards"),
    )
    api.pause(DAG, False)
    past = wait_all(api, [run["dag_run_id"] for run in api.runs(DAG, run_type="backfill")])
    scheduled = wait_all(api, [run["dag_run_id"] for run in wait_for(lambda: api.runs(DAG, run_type="scheduled"))])
    manual = wait_all(api, [api.trigger(DAG, {"as_of": live.isoformat()})])
    dated = wait_all(api, [api.trigger(DAG, logical_date=datetime.now(UTC).isoformat())])
    later = wait_all(api, [api.trigger(DAG, {"as_of": month(1).isoformat(), "note": "more data"})])
    names = ["backfill 1", "backfill 2", "backfill 3", "scheduled", "manual as_of", "manual dated", "later"]
    return dict(zip(names, [*past, *scheduled, *manual, *dated, *later], strict=True))


def wait_all(api: AirflowApi, run_ids: list[str]) -> list[str]:
    for run_id in run_ids:
        run = api.wait(DAG, run_id, seconds=300)
        states = {task["task_id"]: task["state"] for task in api.tasks(DAG, run_id)}
        assert run["state"] == "success", (run_id, states)
    return run_ids


def test_the_same_as_of_is_the_same_window_data_and_model_whatever_the_run(
    api: AirflowApi, story: dict[str, str]
) -> None:
    same = [story[name] for name in ("scheduled", "manual as_of", "manual dated")]
    prepared = [api.xcom(DAG, run_id, "prepare") for run_id in same]
    trained = [api.xcom(DAG, run_id, "train") for run_id in same]
    assert {entry["as_of"] for entry in prepared} == {month(0).isoformat()}
    assert len({json.dumps(entry["windows"], sort_keys=True) for entry in prepared}) == 1
    assert len({entry["uri"] for entry in prepared}) == 1
    assert len({entry["model_id"] for entry in trained}) == 1
    assert [entry["created"] for entry in trained] == [True, False, False]


def test_every_as_of_trains_one_model_and_repeats_add_no_version(client: MlflowClient, story: dict[str, str]) -> None:
    models = client.tracking.models(client.tracking.experiment_id("pulse"), {})
    assert sorted(model.tags["mlops.as_of"] for model in models) == [month(n).isoformat() for n in (-3, -2, -1, 0, 1)]
    versions = client.registry.versions("pulse")
    assert [version.tags["mlops.as_of"] for version in versions] in (
        [month(0).isoformat()],
        [month(0).isoformat(), month(1).isoformat()],
    )


def test_a_backfill_judges_and_registers_nothing(api: AirflowApi, client: MlflowClient, story: dict[str, str]) -> None:
    for name in ("backfill 1", "backfill 2", "backfill 3"):
        states = {task["task_id"]: task["state"] for task in api.tasks(DAG, story[name])}
        assert states["gate"] == "success"
        assert (states["register"], states["promote"]) == ("skipped", "skipped")
        assert "not registered" in api.xcom(DAG, story[name], "gate", "verdict")
        assert api.xcom(DAG, story[name], "train")["run_type"] == "backfill"
    registered = {version.tags["mlops.run_type"] for version in client.registry.versions("pulse")}
    assert registered == {"live"}


def test_the_champion_is_told_by_live_runs_alone(api: AirflowApi, story: dict[str, str]) -> None:
    promoted = [
        run_id
        for run_id in story.values()
        if {task["task_id"]: task["state"] for task in api.tasks(DAG, run_id)}["promote"] == "success"
    ]
    asset = api.get("/assets", uri_pattern="mlflow://pulse/champion")["assets"][0]
    events = api.get("/assets/events", asset_id=asset["id"], limit=100)["asset_events"]
    told = {event["source_run_id"] for event in events}
    assert told
    assert told <= set(promoted)
    assert not told & {story[name] for name in story if name.startswith("backfill")}


def test_an_asset_triggered_run_has_an_as_of_too(api: AirflowApi, story: dict[str, str]) -> None:
    run = wait_for(lambda: api.runs("listener"))[0]
    ended = api.wait("listener", run["dag_run_id"], seconds=120)
    assert (ended["run_type"], ended["logical_date"], ended["state"]) == ("asset_triggered", None, "success")
    as_of = api.xcom("listener", run["dag_run_id"], "ingest")["as_of"]
    assert datetime.fromisoformat(as_of) == datetime.fromisoformat(ended["run_after"])


def test_the_verdict_and_the_links_are_readable_in_the_ui(
    api: AirflowApi, stack: LocalStack, story: dict[str, str]
) -> None:
    run_id = story["scheduled"]
    assert "AUC" in api.xcom(DAG, run_id, "gate", "verdict")
    assert "first champion" in api.xcom(DAG, run_id, "gate", "verdict")
    links = api.get(f"/dags/{DAG}/dagRuns/{run_id.replace('+', '%2B')}/taskInstances/register/links")["extra_links"]
    assert links["MLflow model version"] == f"{stack.mlflow.url}/#/models/pulse/versions/1"
    assert links["MLflow run"].startswith(f"{stack.mlflow.url}/#/experiments/")


def test_a_model_is_traced_to_its_raw_rows(api: AirflowApi, client: MlflowClient, story: dict[str, str]) -> None:
    version = client.registry.version("pulse", 1)
    prepared = open_snapshot(UPath(version.tags["mlops.snapshot"]))
    raw = open_snapshot(UPath(prepared.manifest.parents[0]))
    made = {"prepare": "projects.pulse.prepare", "kwargs": {}, "inputs": ["beats"], "order_by": None}
    assert prepared.manifest.source == made
    assert raw.manifest.source["callable"] == "projects.pulse.beats"
    assert version.tags["mlops.airflow_run_url"].startswith("http")
    assert version.tags["mlops.code_version"] == prepared.manifest.code_version != "unknown"


def test_what_must_always_hold_holds(client: MlflowClient, story: dict[str, str]) -> None:
    entries = ledger.history(client.registry.model_tags("pulse"))
    assert entries[0].champion == 1
    assert entries[0].actor.startswith("http")
    check_invariants(client, "pulse")
