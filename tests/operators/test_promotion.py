"""Promotion as a task, and what it tells the DAGs that listen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.promotion import Retraction
from airflow_mlops.operators.promotion import RollbackModelOperator
from airflow_mlops.steps.promotion import pin, promote
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


def test_a_retracted_version_stays_so_and_the_outcome_says_why(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    tasks = make_tasks()
    for word in WORDS[:-1]:
        execute(tasks[word], params={"as_of": "2026-04-01"})
    client.registry.tag_version(model_name, 1, tags.RETRACTED, "it was wrong")
    found = execute(tasks["promote"])
    assert (found["promoted"], found["champion"]) == (False, None)
    assert found["reason"].startswith(f"Version 1 of model {model_name} was retracted (it was wrong)")
    assert client.registry.alias(model_name, "champion") is None


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


class TestRollback:
    @pytest.fixture
    def make_rollback(self, model_name: str) -> Callable[..., RollbackModelOperator]:
        def make_rollback(**changes: Any) -> RollbackModelOperator:
            given = {"model": model_name, "reason": "it fails", "outlets": [AssetAlias(f"{model_name}_champion")]}
            with DAG("incident", schedule=None):
                return RollbackModelOperator(task_id="rollback", **{**given, **changes})

        return make_rollback

    @pytest.fixture
    def three(self, chain: Callable[..., Any], client: MlflowClient, model_name: str) -> None:
        """Three champions, one after the other; all were trained before the first, so that none met another."""
        for as_of in ("2026-03-10", "2026-03-20", "2026-04-01"):
            chain("register", params={"as_of": as_of})
        for version in client.registry.versions(model_name):
            promote(client.registry, name=model_name, version=version.version, reason="better", actor="test")

    def test_it_goes_back_and_the_listeners_hear_of_it(
        self, three: None, make_rollback: Callable[..., Any], execute: Callable[..., Any], events: Callable[..., Any],
        client: MlflowClient, mlflow_uri: str, model_name: str, ti: Any,
    ) -> None:  # fmt: skip
        task = make_rollback(to="{{ params.to }}", reason="{{ params.why }}")
        found = execute(task, params={"to": "previous", "why": "{{ 7 * 7 }}"})
        assert found == {
            "name": model_name,
            "alias": "champion",
            "version": 2,
            "champion": 2,
            "rolled_back": True,
            "retracted": [3],
            "reason": "{{ 7 * 7 }}",
        }
        (event,) = events()
        assert Asset(event.dest_asset_key.name, event.dest_asset_key.uri).uri == f"mlflow://{model_name}/champion"
        assert event.extra == found
        entry = ledger.history(client.registry.model_tags(model_name))[-1]
        assert (entry.previous, entry.champion, entry.actor, entry.reason) == (3, 2, ti.run_url, "{{ 7 * 7 }}")
        (link,) = task.operator_extra_links
        assert link.get_link(task, ti_key=None) == f"{mlflow_uri}/#/models/{model_name}/versions/2"
        check_invariants(client, model_name)

    def test_a_retry_rolls_back_once_and_another_run_once_more(
        self, three: None, make_rollback: Callable[..., Any], execute: Callable[..., Any],
        client: MlflowClient, model_name: str, ti: Any,
    ) -> None:  # fmt: skip
        first = execute(make_rollback())
        ti.try_number = 2
        assert execute(make_rollback()) == first
        retraction = Retraction.of(client.registry.version(model_name, 3))
        assert retraction is not None
        assert retraction.deed == f"{ti.run_url}/tasks/t"
        ti.run_url = "http://airflow/dags/d/runs/another"
        assert execute(make_rollback())["champion"] == 1
        check_invariants(client, model_name)

    def test_the_old_promotion_repeated_brings_nothing_back(
        self, chain: Callable[..., Any], three: None, make_rollback: Callable[..., Any], execute: Callable[..., Any],
        make_tasks: Callable[..., Any], client: MlflowClient, model_name: str, events: Callable[..., Any],
    ) -> None:  # fmt: skip
        execute(make_rollback())
        found = execute(make_tasks()["promote"])  # of the version that was registered last
        assert (found["version"], found["champion"], found["promoted"]) == (3, 2, False)
        assert "was retracted (it fails)" in found["reason"]
        assert events() == []
        check_invariants(client, model_name)

    def test_a_backfill_rolls_nothing_back(
        self, three: None, make_rollback: Callable[..., Any], execute: Callable[..., Any], events: Callable[..., Any],
        dag_run: Any, client: MlflowClient, model_name: str,
    ) -> None:  # fmt: skip
        before = client.registry.versions(model_name)
        with pytest.raises(AirflowSkipException, match="rolls nothing back"):
            execute(make_rollback(to=1), dag_run(run_type="backfill"))
        assert client.registry.versions(model_name) == before
        assert events() == []

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({}, "no champion before version 1"),
            ({"to": "9"}, "Version 9 of model .* cannot be gone back to"),
            ({"to": "yesterday"}, "write 'previous', a version number, or an instant"),
            ({"model": "absent-model"}, "Model absent-model has no champion"),
            ({"model": "../x"}, "is not allowed"),
            ({"alias": "latest"}, "reserved by MLflow"),
            ({"reason": ""}, "The reason is empty"),
        ],
    )
    def test_what_a_retry_cannot_mend_fails_at_once(
        self, changes: dict[str, Any], complaint: str, make_rollback: Callable[..., Any], execute: Callable[..., Any],
        client: MlflowClient, model_name: str,
    ) -> None:  # fmt: skip
        client.registry.ensure_model(model_name)
        client.registry.create_version(model_name, "s3://bucket/model", None, {tags.AS_OF: "2026-04-01"})
        promote(client.registry, name=model_name, version=1, reason="better", actor="test")
        with pytest.raises(AirflowFailException, match=complaint):
            execute(make_rollback(**changes))
        assert tags.RETRACTED not in client.registry.version(model_name, 1).tags

    def test_the_word_of_a_person_stands(
        self, three: None, make_rollback: Callable[..., Any], execute: Callable[..., Any],
        client: MlflowClient, model_name: str,
    ) -> None:  # fmt: skip
        pin(client.registry, model_name, 2, reason="the audit", actor="ada")
        check_invariants(client, model_name)
        with pytest.raises(AirflowFailException, match=r"is pinned to version 2 by ada \(the audit\)"):
            execute(make_rollback())
        client.registry.set_alias(model_name, "champion", 3)
        with pytest.raises(AssertionError, match="alias champion points at 3, the pinned version is 2"):
            check_invariants(client, model_name)
