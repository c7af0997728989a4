"""The buttons of a task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_mlops import links
from airflow_mlops.get_provider_info import get_provider_info
from airflow_mlops.links import BacktestReportLink, DriftReportLink, EndpointLink, MlflowModelVersionLink, MlflowRunLink
from airflow_mlops.operators.registry import RegisterModelOperator


@pytest.mark.parametrize(
    ("link", "attribute"),
    [
        (MlflowRunLink(), "run_url"),
        (MlflowModelVersionLink(), "version_url"),
        (BacktestReportLink(), "report_url"),
        (DriftReportLink(), "report_url"),
        (EndpointLink(), "endpoint_url"),
    ],
)
def test_a_link_is_what_the_operator_found_and_nothing_before(link: MlflowRunLink, attribute: str) -> None:
    assert link.get_link(SimpleNamespace(**{attribute: "http://mlflow/x"}), ti_key=None) == "http://mlflow/x"  # type: ignore[arg-type]
    assert link.get_link(SimpleNamespace(), ti_key=None) == ""  # type: ignore[arg-type]


def test_the_webserver_finds_the_address_in_the_xcom_that_the_worker_wrote() -> None:
    with DAG("links", schedule=None) as dag:
        RegisterModelOperator(task_id="register", model={}, verdict={})
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("register")
    found = {link.name: link.xcom_key for link in task.operator_extra_links}
    assert found == {"MLflow run": "mlflow_run_url", "MLflow model version": "mlflow_version_url"}


def test_every_link_is_announced() -> None:
    announced = {name.rsplit(".", 1)[-1] for name in get_provider_info()["extra-links"]}
    ours = {name for name, kind in vars(links).items() if getattr(kind, "__module__", "") == links.__name__}
    assert announced == {name for name in ours if name.endswith("Link")}
    assert "MlflowRunLink" in announced
