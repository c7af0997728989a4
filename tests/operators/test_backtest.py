"""A backtest as a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.operators.backtest import BacktestOperator

AS_OFS = ("2026-03-20", "2026-03-27", "2026-04-03")
SHORT = {"window": {"lookback": "60d", "test": "7d"}}


@pytest.fixture
def past(chain: Callable[..., Any]) -> list[str]:
    """Three weekly models; their ids."""
    return [chain("train", params={"as_of": as_of}, ingest=SHORT)["train"]["model_id"] for as_of in AS_OFS]


def test_the_past_is_asked_and_the_task_links_to_the_page(
    past: list[str], model_name: str, execute: Callable[..., Any], ti: Any, client: MlflowClient, tmp_path: Path
) -> None:
    task = BacktestOperator(task_id="backtest", model=model_name, cadences=["{{ 1 }}", 2], max_age="{{ 2 }}")  # type: ignore[list-item, arg-type]
    found = execute(task)
    assert (found["models"], found["windows"], found["cells"], found["metric"]) == (3, 3, 6, "roc_auc")
    assert found["recommendation"]["every"] is None
    assert ti.pushed["recommendation"] == found["recommendation"]["sentence"]
    assert ti.pushed["recommendation"].startswith("Cannot tell: weekly instead of every 2 weeks is worth ")
    run, report = (
        link.get_link(task, ti_key=None) for link in (task.operator_extra_links[1], task.operator_extra_links[0])
    )  # type: ignore[attr-defined]
    assert run == client.run_url(found["experiment_id"], found["run_id"])
    assert report == f"{run}/artifacts/backtest/backtest.html"
    client.tracking.download(client.tracking.artifact_uri(found["run_id"]), tmp_path)
    assert {path.name for path in (tmp_path / "backtest").iterdir()} == {"backtest.html", "backtest.json"}
    assert client.registry.versions(model_name) == []


def test_dates_of_the_trigger_form_narrow_it_down_and_empty_ones_do_not(
    past: list[str], model_name: str, execute: Callable[..., Any]
) -> None:
    dates = {"start": "{{ params['from'] or '' }}", "end": "{{ params['to'] or '' }}"}
    task = BacktestOperator(task_id="backtest", model=model_name, **dates)
    assert execute(task, params={"from": None, "to": None})["models"] == 3
    again = BacktestOperator(task_id="again", model=model_name, **dates)
    assert execute(again, params={"from": "2026-03-27T00:00:00+00:00", "to": None})["models"] == 2


def test_nothing_to_ask_skips(model_name: str, execute: Callable[..., Any]) -> None:
    with pytest.raises(AirflowSkipException, match="backfill its training first"):
        execute(BacktestOperator(task_id="backtest", model=model_name))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"metric": "roc_auk"}, "roc_auk"),
        ({"cadences": ["monthly"]}, "cadence 'monthly' is not a number"),
        ({"cadences": [0]}, "are no numbers of periods"),
        ({"margin": "{{ 'much' }}"}, "margin 'much' is not a number"),
        ({"start": "soon"}, "start 'soon' is not a date or time"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once(
    changes: dict[str, Any], complaint: str, model_name: str, execute: Callable[..., Any]
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        execute(BacktestOperator(task_id="backtest", model=model_name, **changes))
