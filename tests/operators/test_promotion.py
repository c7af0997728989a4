"""Promotion as a task, and what it tells the DAGs that listen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.testing.invariants import check_invariants

WORDS = ("ingest", "prepare", "train", "evaluate", "gate", "register", "promote")


@pytest.fixture
def events(ti: Any, make_tasks: Callable[..., Any]) -> Callable[[], list[Any]]:
    """What the last task sent."""

    def sent() -> list[Any]:
        accessors = ti.context["outlet_events"]
        return [event for outlet in accessors for event in accessors[outlet].asset_alias_events]

    return sent


def test_the_first_model_becomes_champion_and_the_listeners_hear_of_it(
    chain: Callable[..., Any], events: Callable[..., Any], client: MlflowClient, model_name: str, ti: Any
) -> None:
    found = chain()
    assert found["promote"] == {
        "name": model_name,
        "alias": "champion",
        "version": 1,
        "champion": 1,
        "promoted": True,
        "reason": found["gate"]["summary"],
        "as_of": "2026-04-01T00:00:00+00:00",
    }
    (event,) = events()
    assert event.source_alias_name == f"{model_name}_champion"
    assert Asset(event.dest_asset_key.name, event.dest_asset_key.uri).uri == f"mlflow://{model_name}/champion"
    assert event.extra == found["promote"]
    (entry,) = ledger.history(client.registry.model_tags(model_name))
    assert (entry.champion, entry.actor, entry.reason) == (1, ti.run_url, found["gate"]["summary"])
    assert entry.evidence["model_id"] == found["train"]["model_id"]
    check_invariants(client, model_name)


def test_a_retry_tells_it_again_and_writes_nothing_twice(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], events: Callable[..., Any],
    client: MlflowClient, model_name: str,
) -> None:  # fmt: skip
    tasks = make_tasks()
    for word in WORDS:
        first = execute(tasks[word], params={"as_of": "2026-04-01"})
    assert len(events()) == 1
    assert execute(make_tasks()["promote"]) == first
    assert len(events()) == 1
    assert len(ledger.history(client.registry.model_tags(model_name))) == 1
    assert len(client.registry.versions(model_name)) == 1


def test_an_older_as_of_does_not_displace_a_newer_one_and_tells_nobody(
    chain: Callable[..., Any], events: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    chain()
    found = chain(params={"as_of": "2026-03-10"})
    assert (found["promote"]["version"], found["promote"]["champion"]) == (2, 1)
    assert not found["promote"]["promoted"]
    assert events() == []
    check_invariants(client, model_name)


def test_a_backfill_that_promotes_on_request_tells_nobody(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], events: Callable[..., Any], dag_run: Any
) -> None:
    tasks = make_tasks()
    for word in WORDS[:-1]:
        execute(tasks[word], params={"as_of": "2026-04-01"})
    assert execute(tasks["promote"], dag_run(run_type="backfill"))["promoted"]
    assert events() == []


def test_a_task_without_outlets_promotes_too(chain: Callable[..., Any], events: Callable[..., Any]) -> None:
    assert chain(promote={"outlets": []})["promote"]["promoted"]
    assert events() == []


def test_a_reason_of_ones_own_stands_in_the_ledger_as_it_was_written(
    chain: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    hostile = "{{ 7 * 7 }}'; DROP TABLE aliases; --"
    params = {"as_of": "2026-04-01", "reason": hostile}
    chain(params=params, promote={"reason": "{{ params.reason }}"})
    (entry,) = ledger.history(client.registry.model_tags(model_name))
    assert entry.reason == hostile


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"alias": "latest"}, "reserved by MLflow"),
        ({"alias": "{{ 'a b' }}"}, "is not allowed"),
        ({"version": {"name": "absent-model", "version": 1, "verdict": "", "model_id": "m"}}, "absent-model"),
        ({"version": {"name": "../x", "version": 1, "verdict": "", "model_id": "m"}}, "is not allowed"),
        ({"version": {"version": 1}}, "not the output of the registration task"),
        ({"version": None}, "not the output of the registration task"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once(
    changes: dict[str, Any], complaint: str, chain: Callable[..., Any]
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        chain(promote=changes)


def test_a_retracted_version_is_not_promoted(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    tasks = make_tasks()
    for word in WORDS[:-1]:
        execute(tasks[word], params={"as_of": "2026-04-01"})
    client.registry.tag_version(model_name, 1, tags.RETRACTED, "it was wrong")
    with pytest.raises(AirflowFailException, match="was retracted or superseded"):
        execute(tasks["promote"])


def test_the_buttons_open_run_and_version(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], mlflow_uri: str, model_name: str
) -> None:
    tasks = make_tasks()
    for word in WORDS:
        execute(tasks[word], params={"as_of": "2026-04-01"})
    version = f"{mlflow_uri}/#/models/{model_name}/versions/1"
    links = {
        word: [link.get_link(task, ti_key=None) for link in task.operator_extra_links] for word, task in tasks.items()
    }
    assert links["register"] == [links["train"][0], version]
    assert links["promote"] == [version]
    assert links["gate"] == links["evaluate"] == links["train"]
