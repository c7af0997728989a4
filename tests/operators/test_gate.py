"""The gate as a task: green whatever it says, and readable without a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags

STRICT = {"metric": "roc_auc", "at_least": {"roc_auc": 0.99}, "min_rows": 50, "min_positives": 20}


def test_a_good_model_is_promoted_and_the_sentence_is_everywhere(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], ti: Any, client: MlflowClient
) -> None:
    tasks = make_tasks()
    for word in ("ingest", "prepare", "train", "evaluate", "gate"):
        found = execute(tasks[word], params={"as_of": "2026-04-01"})
    assert found["decision"] == "promote"
    sentence = found["summary"]
    assert sentence.startswith("Accepted as the first champion: AUC")
    assert tasks["gate"].verdict == ti.pushed["verdict"] == sentence
    assert tasks["gate"].overwrite_rtif_after_execution
    facts = client.tracking.model(ti.returned["train"]["model_id"]).tags
    assert (facts[tags.VERDICT], facts[tags.VERDICT_SUMMARY]) == ("promote", sentence)


def test_a_refusal_is_a_green_task_with_a_reason(chain: Callable[..., Any], client: MlflowClient) -> None:
    found = chain("gate", gate={"policy": STRICT})
    assert found["gate"]["decision"] == "reject"
    assert found["gate"]["reason_code"] == "not_good_enough"
    assert "is below 0.990" in found["gate"]["summary"]
    assert client.tracking.model(found["train"]["model_id"]).tags[tags.VERDICT] == "reject"


def test_a_backfill_is_told_as_history(chain: Callable[..., Any], dag_run: Any) -> None:
    found = chain("gate", dag_run(run_type="backfill"))
    assert found["gate"]["historical"]
    assert found["gate"]["summary"].startswith("Historical, not registered.")


def test_a_live_run_that_a_backfill_reprocesses_says_so_and_leaves_the_live_verdict_alone(
    chain: Callable[..., Any], client: MlflowClient, dag_run: Any
) -> None:
    live = chain("gate", dag_run(run_type="scheduled", run_id="scheduled__2026-04-01"))
    again = chain("gate", dag_run(run_type="backfill", run_id="scheduled__2026-04-01"))
    assert again["gate"]["run_type"] == "reprocessed"
    assert again["gate"]["summary"].startswith("Historical, not approved: relabelled by reprocess. Accepted")
    assert again["train"]["model_id"] == live["train"]["model_id"]
    kept = client.tracking.model(live["train"]["model_id"]).tags
    assert kept[tags.VERDICT_SUMMARY] == live["gate"]["summary"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"policy": {"metric": "roc_auc", "at_leest": {}}}, "at_leest"),
        ({"policy": {"metric": "roc_auk"}}, "roc_auk"),
        ({"policy": None}, "metric"),
        ({"policy": {"metric": "roc_auc", "at_least": {"roc_auc": "{{ 'high' }}"}}}, "high"),
        ({"evaluation": {"rows": 3}}, "not the output of the evaluation task"),
        ({"evaluation": None}, "not the output of the evaluation task"),
    ],
)
def test_a_gate_that_means_nothing_fails(changes: dict[str, Any], complaint: str, chain: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        chain("gate", gate=changes)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_number_that_is_none_never_promotes(
    value: float | None, make_tasks: Callable[..., Any], execute: Callable[..., Any], ti: Any
) -> None:
    tasks = make_tasks()
    for word in ("ingest", "prepare", "train", "evaluate"):
        execute(tasks[word], params={"as_of": "2026-04-01"})
    ti.returned["evaluate"]["candidate"]["roc_auc"] = value
    found = execute(tasks["gate"])
    assert (found["decision"], found["reason_code"]) == ("reject", "metric_not_finite")
