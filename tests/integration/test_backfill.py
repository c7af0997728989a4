"""A year of retrains, backwards and four at a time, while dates are cleared and reprocessed: production never moves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core import tags
from airflow_mlops.core.windows import Span, instant
from airflow_mlops.steps.projects import load_project
from airflow_mlops.store.snapshots import open_snapshot
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.servers import LocalStack, local_stack
from tests.integration.retrains import (
    asset_events,
    backfill,
    dag_folder,
    dag_id,
    month,
    registry_dump,
    standing,
    states,
    wait_all,
    wait_for,
    wait_for_backfills,
    wait_for_dag,
)

pytestmark = pytest.mark.integration

#: Names of shipped projects, or ``pulse``, which takes minutes less.
PROJECTS = os.environ.get("AIRFLOW_MLOPS_BACKFILL_PROJECTS", "pulse").split(",")
MONTHS = 12


@dataclass(frozen=True)
class Story:
    """What was there before the backfill, and which runs did what."""

    live: str
    past: list[str]
    reprocessed: list[str]
    cleared: dict[str, str]
    verdicts: list[str]
    registries: dict[str, str]
    told: list[tuple[int, str]]


@pytest.fixture(scope="module", params=PROJECTS)
def project(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, project: str) -> Iterator[LocalStack]:
    folder = tmp_path_factory.mktemp(project)
    # Four tasks at once, on however many cores: the races count here, not the seconds.
    slots = {"AIRFLOW__CORE__PARALLELISM": "4"}
    with local_stack(folder / "servers", dag_folder(folder / "dags", project), env=slots) as running:
        wait_for_dag(running.airflow.api, dag_id(project))
        yield running


@pytest.fixture(scope="module")
def client(stack: LocalStack) -> Iterator[MlflowClient]:
    with MlflowClient(MlflowSettings(stack.mlflow.url)) as client:
        yield client


@pytest.fixture(scope="module")
def story(stack: LocalStack, project: str) -> Story:
    api, dag = stack.airflow.api, dag_id(project)
    registries, verdicts = {}, []

    def live_run_ended() -> None:
        wait_all(api, dag, [live])
        verdicts.append(api.xcom(dag, live, "gate", "verdict"))

    api.pause(dag, False)
    live = wait_for(lambda: api.runs(dag, run_type="scheduled"))[0]["dag_run_id"]
    live_run_ended()
    registries["live"] = registry_dump(stack.postgres)
    api.clear(dag, live)
    live_run_ended()
    cleared = {live: api.run(dag, live)["run_type"]}
    registries["cleared"] = registry_dump(stack.postgres)
    told = asset_events(api, dag)

    options = ("--run-backwards", "--max-active-runs", "4")
    past = backfill(stack, dag, month(-1 - MONTHS), month(-2), *options)
    running, ended = past[-2], past[-1]  # both among the first four, and next to each other
    wait_for(lambda: "running" in states(api, dag, running).values())
    api.clear(dag, running)
    wait_all(api, dag, [ended])
    api.clear(dag, ended)
    wait_all(api, dag, past)
    cleared |= {run_id: api.run(dag, run_id)["run_type"] for run_id in (running, ended)}
    wait_for_backfills(api, dag)
    registries["backfill"] = registry_dump(stack.postgres)

    reprocessed = backfill(stack, dag, month(-3), month(-1), *options, "--reprocess-behavior", "completed")
    wait_all(api, dag, reprocessed)
    live_run_ended()
    registries["reprocess"] = registry_dump(stack.postgres)
    return Story(live, past, reprocessed, cleared, verdicts, registries, told)


def test_every_date_has_one_model(client: MlflowClient, project: str, story: Story) -> None:
    models = standing(client, project)
    assert sorted(instant(model.tags[tags.AS_OF]) for model in models) == [month(n) for n in range(-MONTHS, 1)]
    historical = {model.tags[tags.AS_OF]: model.tags[tags.RUN_TYPE] for model in models}
    assert sorted(historical.values()) == ["backfill"] * MONTHS + ["live"]
    assert client.tracking.open_runs(client.tracking.experiment_id(project), {}) == []


def test_the_registry_is_the_same_to_the_byte(client: MlflowClient, project: str, story: Story) -> None:
    assert f"{project},1," in story.registries["live"]
    assert set(story.registries.values()) == {story.registries["live"]}
    assert client.registry.alias(project, "champion") == 1


def test_listeners_hear_of_live_runs_alone(stack: LocalStack, project: str, story: Story) -> None:
    events = asset_events(stack.airflow.api, dag_id(project))
    assert events == story.told
    assert {run_id for _, run_id in events} == {story.live}


def test_a_historical_run_is_judged_and_registers_nothing(stack: LocalStack, project: str, story: Story) -> None:
    api, dag = stack.airflow.api, dag_id(project)
    for run_id in story.past:
        ended = states(api, dag, run_id)
        assert (ended["gate"], ended["register"], ended["promote"]) == ("success", "skipped", "skipped")
        assert "not registered" in api.xcom(dag, run_id, "gate", "verdict")


def test_a_run_cleared_by_hand_stays_what_it_was(stack: LocalStack, project: str, story: Story) -> None:
    assert sorted(story.cleared.values()) == ["backfill", "backfill", "scheduled"]
    assert not any("relabelled" in verdict for verdict in story.verdicts[:2])
    for run_id in story.cleared:
        tries = [task["try_number"] for task in stack.airflow.api.tasks(dag_id(project), run_id)]
        assert max(tries) > 1


def test_a_reprocessed_live_run_is_none_any_more(stack: LocalStack, project: str, story: Story) -> None:
    api, dag = stack.airflow.api, dag_id(project)
    assert story.live in story.reprocessed
    assert len(story.reprocessed) == 3
    assert api.run(dag, story.live)["run_type"] == "backfill"
    assert "relabelled by reprocess" in story.verdicts[-1]
    assert states(api, dag, story.live)["register"] == "skipped"


def test_no_model_saw_a_row_that_nobody_could_know(stack: LocalStack, client: MlflowClient, project: str) -> None:
    window = load_project(stack.folder.parent / "dags" / "projects" / f"{project}.yaml").window
    zone = ZoneInfo(window.get("timezone", "UTC"))
    for model in standing(client, project):
        snapshot = open_snapshot(UPath(model.tags[tags.SNAPSHOT]))
        column = snapshot.manifest.event_time
        newest = pc.max(snapshot.table([column])[column]).as_py()
        assert newest < Span(window["label_delay"]).before(datetime.fromisoformat(model.tags[tags.AS_OF]), zone)


def test_what_must_always_hold_holds(client: MlflowClient, project: str, story: Story) -> None:
    check_invariants(client, project)
