"""Registration as a task: once, on a good verdict, and never in a backfill."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.testing.invariants import check_invariants

POLICY = {"metric": "roc_auc", "min_rows": 50, "min_positives": 20}
STRICT = {**POLICY, "at_least": {"roc_auc": 0.99}}
#: A refresh is welcome: two fits of the same data are alike.
FRESH = {**POLICY, "champion": {"rule": "non_inferior", "margin": 0.1}}
IF_NEWER = {"promote_backfills": "if_newer"}
INTERVAL = {
    "data_interval_start": datetime(2026, 3, 1, tzinfo=UTC),
    "data_interval_end": datetime(2026, 4, 1, tzinfo=UTC),
}


def registered(client: MlflowClient, name: str) -> tuple[list[Any], dict[str, str], int | None]:
    """All that the registry knows of a model."""
    registry = client.registry
    return registry.versions(name), registry.model_tags(name), registry.alias(name, "champion")


NOTHING: tuple[list[Any], dict[str, str], None] = ([], {}, None)


def test_a_version_is_made_once_and_carries_the_verdict(
    chain: Callable[..., Any], client: MlflowClient, model_name: str, ti: Any
) -> None:
    first = chain("register")["register"]
    again = chain("register")["register"]
    assert (first["created"], again["created"]) == (True, False)
    assert {**first, "created": False} == again
    (version,) = client.registry.versions(model_name)
    assert version.tags[tags.REGISTERED_BY] == ti.run_url
    assert first["verdict"].startswith("Accepted")
    assert not [tag for tag in tags.REQUIRED if not version.tags.get(tag)]


def test_a_refused_model_skips_with_the_gates_sentence_and_leaves_the_registry_alone(
    chain: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    with pytest.raises(AirflowSkipException, match=r"^Refused: AUC .* is below 0\.990"):
        chain("register", gate={"policy": STRICT})
    assert registered(client, model_name) == NOTHING


def test_a_backfill_skips_and_leaves_the_registry_alone(
    chain: Callable[..., Any], client: MlflowClient, model_name: str, dag_run: Any
) -> None:
    backfill = dag_run(run_type="backfill", **INTERVAL)
    with pytest.raises(AirflowSkipException, match="a backfill run registers nothing"):
        chain("register", backfill, {})
    assert registered(client, model_name) == NOTHING
    check_invariants(client, model_name)


def test_a_live_run_registers_the_historical_model_of_its_key(
    chain: Callable[..., Any], client: MlflowClient, model_name: str, dag_run: Any, ti: Any
) -> None:
    with pytest.raises(AirflowSkipException):
        chain("register", dag_run(run_type="backfill", **INTERVAL), {})
    ti.run_url = "http://airflow/dags/d/runs/live"
    found = chain("promote", dag_run(run_type="scheduled", **INTERVAL), {})
    assert found["train"]["run_type"] == "backfill"
    assert found["promote"]["promoted"]
    check_invariants(client, model_name)


def test_a_backfill_registers_on_request_what_is_newer_than_the_champion(
    chain: Callable[..., Any], client: MlflowClient, model_name: str, dag_run: Any, ti: Any
) -> None:
    asked = {"register": IF_NEWER, "gate": {"policy": FRESH}}
    chain("promote", params={"as_of": "2026-04-01"}, **asked)
    ti.run_url = "http://airflow/dags/d/runs/past"
    with pytest.raises(AirflowSkipException, match="version 1 is as new, or newer"):
        chain("promote", dag_run(run_type="backfill"), {"as_of": "2026-03-25"}, **asked)
    found = chain("promote", dag_run(run_type="backfill"), {"as_of": "2026-04-05"}, **asked)
    assert found["gate"]["historical"]
    assert (found["promote"]["champion"], found["promote"]["promoted"]) == (2, True)
    version = client.registry.version(model_name, 2)
    assert version.tags[tags.REQUESTED] == "promote_backfills: if_newer"
    assert "version 1" in version.tags[tags.VERDICT_SUMMARY]
    assert chain("promote", dag_run(run_type="backfill"), {"as_of": "2026-04-05"}, **asked)["register"]["version"] == 2
    check_invariants(client, model_name)


def test_what_is_registered_on_request_is_weighed_against_the_champion_of_now(
    chain: Callable[..., Any], client: MlflowClient, model_name: str, dag_run: Any
) -> None:
    """The backfill's own gate knows no champion at that as-of: it would let the model through."""
    chain("promote", params={"as_of": "2026-04-01"})
    with pytest.raises(AirflowSkipException, match=r"is not registered\. Refused as not better: .* version 1"):
        chain("register", dag_run(run_type="backfill"), {"as_of": "2026-04-05"}, register=IF_NEWER)
    assert [version.version for version in client.registry.versions(model_name)] == [1]
    check_invariants(client, model_name)


def test_an_unknown_wish_is_refused(chain: Callable[..., Any], dag_run: Any) -> None:
    with pytest.raises(AirflowFailException, match="'always' is not one of never, if_newer"):
        chain("register", dag_run(run_type="backfill"), register={"promote_backfills": "always"})


def test_files_that_were_changed_are_not_registered(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    tasks = make_tasks()
    for word in ("ingest", "prepare", "train", "evaluate", "gate"):
        execute(tasks[word], params={"as_of": "2026-04-01"})
    uri = tasks["evaluate"].model["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")
    client.http.put_file(f"{uri}/model.skops", b"something else")
    with pytest.raises(AirflowFailException, match="not those that were trained"):
        execute(tasks["register"])
    assert registered(client, model_name)[0] == []


@pytest.mark.parametrize("changes", [{"verdict": None}, {"verdict": {"decision": "promote"}}, {"model": {"model": 1}}])
def test_what_is_no_output_of_the_tasks_before_fails(changes: dict[str, Any], chain: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match="not the output of the"):
        chain("register", register=changes)
