"""The smoke test as a task: what may not answer anybody fails, and leaves its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.operators.smoke import SmokeTestModelOperator
from tests.versions import logistic, make_version


def test_a_version_beyond_its_budget_fails_with_a_report(
    execute: Callable[..., Any], ti: Any, client: MlflowClient, store: UPath, model_name: str
) -> None:
    version = make_version(client, store, model_name, logistic, features=["distance"])
    task = SmokeTestModelOperator(
        task_id="smoke", model=model_name, version={"name": model_name, "version": version.version}, latency_ms="0.0001"
    )
    with pytest.raises(AirflowFailException, match=r"One row takes .* ms, 0\.0001 ms are allowed"):
        execute(task)
    report = ti.pushed["report"]
    assert not report["passed"]
    assert [check["name"] for check in report["checks"] if check["status"] == "failed"] == ["latency"]
    assert client.registry.version(model_name, version.version).tags[tags.SMOKE] == report["summary"]


@pytest.mark.parametrize("version", ["", {}, None, True, {"version": None}])
def test_what_names_no_version_fails(execute: Callable[..., Any], model_name: str, version: Any) -> None:
    with pytest.raises(AirflowFailException, match="names no version"):
        execute(SmokeTestModelOperator(task_id="smoke", model=model_name, version=version))
