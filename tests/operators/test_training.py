"""Training as a task: one model for each as-of, data, code and parameters, whatever started the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.operators.training import fair_threads
from airflow_mlops.testing.invariants import check_invariants

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def models_of(client: MlflowClient, name: str) -> list[Any]:
    return client.tracking.models(client.tracking.experiment_id(name), {})


def test_every_kind_of_run_finds_the_model_of_its_as_of(
    chain: Callable[..., Any], dag_run: Any, client: MlflowClient, model_name: str
) -> None:
    kinds = [
        ({"run_type": "backfill", "data_interval_start": MARCH, "data_interval_end": APRIL}, {}),
        ({"run_type": "scheduled", "data_interval_start": MARCH, "data_interval_end": APRIL}, {}),
        ({"run_type": "scheduled", "partition_date": APRIL}, {}),
        ({"run_type": "asset_triggered", "run_after": APRIL}, {}),
        ({"logical_date": APRIL}, {}),
        ({}, {"as_of": "2026-04-01"}),
    ]
    found = [chain("train", dag_run(**dates), params)["train"] for dates, params in kinds]
    assert [each["created"] for each in found] == [True, False, False, False, False, False]
    assert len({each["model_id"] for each in found}) == 1
    assert len(models_of(client, model_name)) == 1
    check_invariants(client, model_name)


def test_another_as_of_seed_parameter_or_code_is_another_model(
    chain: Callable[..., Any], ti: Any, client: MlflowClient, model_name: str
) -> None:
    chain("train")
    chain("train", params={"as_of": "2026-04-02"})
    chain("train", train={"seed": "{{ 1 }}"})
    chain("train", train={"parameters": {"C": 0.5}})
    ti.bundle_instance.version = "v2"
    chain("train")
    assert len(models_of(client, model_name)) == 5


def test_the_model_names_all_that_it_was_made_of(
    chain: Callable[..., Any], client: MlflowClient, ti: Any, model_name: str
) -> None:
    hostile = "{{ 7 * 7 }}'; DROP TABLE models; -- <script>"
    params = {"as_of": "2026-04-01", "note": hostile}
    found = chain("train", params=params, train={"note": "{{ params.note }}", "owner": "ada"})["train"]
    facts = client.tracking.model(found["model_id"]).tags
    assert facts[tags.NOTE] == hostile
    assert facts[tags.OWNER] == "ada"
    assert facts[tags.RUN_URL] == ti.run_url
    assert facts[tags.CODE_VERSION] == "bundle:v1"
    assert facts[tags.CODE_DIRTY] == tags.UNKNOWN
    assert facts[tags.AS_OF] == "2026-04-01T00:00:00+00:00"
    assert not [tag for tag in tags.REQUIRED if tag != tags.METRICS and not facts.get(tag)]
    assert ti.pushed["cpu_seconds"]["fit"] >= 0


def test_only_a_backfill_makes_a_historical_model(chain: Callable[..., Any], dag_run: Any) -> None:
    found = chain("train", dag_run(run_type="backfill", data_interval_start=MARCH, data_interval_end=APRIL), {})
    assert found["train"]["run_type"] == "backfill"
    assert chain("train", params={"as_of": "2026-04-02"})["train"]["run_type"] == "live"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "m'; DROP TABLE models; --"}, "Model name .* is not allowed"),
        ({"model": "{{ params.as_of }}/../x"}, "is not allowed"),
        ({"estimator": "sklearn.linear_model.Logistic"}, "has no 'Logistic'"),
        ({"estimator": "math.pi"}, "not callable"),
        ({"parameters": {"nonsense": 1}}, "nonsense"),
        ({"parameters": {"C": "{{ 'a lot' }}"}}, "'C' parameter"),
        ({"target": "absent"}, "no column absent"),
        ({"features": ["x", "y"]}, "the target y is among the features"),
        ({"features": ["x", "absent"]}, "no column absent"),
        ({"task": "regresion"}, "regresion"),
        ({"seed": "seven"}, "seed 'seven' is not a number"),
        ({"test_size": 1.5}, "test_size 1.5 is not between 0 and 1"),
        ({"trusted": ["os.system"]}, "os.system is not a class"),
        ({"trusted": ["nowhere.Thing"]}, "cannot be imported"),
        ({"snapshot": {"rows": 3}}, "is not a snapshot"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once_and_leaves_no_model(
    changes: dict[str, Any], complaint: str, chain: Callable[..., Any], client: MlflowClient, model_name: str, ti: Any
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        chain("train", train=changes)
    assert models_of(client, model_name) == []
    assert "cpu_seconds" in ti.pushed


def test_a_server_that_is_away_is_left_to_airflows_retries(
    chain: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_mlops.exceptions import ServiceUnavailable

    away = '{"conn_type": "mlflow", "host": "http://127.0.0.1:9", "extra": {"retries": 0}}'
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", away)
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9 did not answer"):
        chain("train", train={"mlflow_conn_id": "away"})


@pytest.mark.parametrize(("cores", "tasks", "threads"), [(8, 4, 2), (2, 4, 1), (2, 32, 1), (None, 1, 1), (8, 0, 8)])
def test_fits_that_run_at_once_share_the_cores(
    cores: int | None, tasks: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", str(tasks))
    assert fair_threads() == threads


@pytest.mark.parametrize(("asked", "threads"), [(None, "2"), ("{{ 1 + 2 }}", "3")])
def test_the_model_names_the_threads_of_its_fit(
    asked: str | None, threads: str, chain: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "4")
    assert chain("train", train={"threads": asked})["train"]["facts"][tags.THREADS] == threads


def test_the_button_opens_the_run_in_mlflow(
    make_tasks: Callable[..., Any], chain: Callable[..., Any], execute: Callable[..., Any], mlflow_uri: str
) -> None:
    found = chain("train")["train"]
    task = make_tasks()["train"]
    execute(task)
    (link,) = task.operator_extra_links
    assert link.get_link(task, ti_key=None) == (
        f"{mlflow_uri}/#/experiments/{found['experiment_id']}/runs/{found['run_id']}"
    )
