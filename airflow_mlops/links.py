"""Buttons on a task that lead to MLflow, to a report or to what serves.

Airflow calls ``get_link`` in the worker when the task ends and stores what it returns, so the operator leaves the
address on itself while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class MlflowRunLink(BaseOperatorLink):
    """Opens the MLflow run behind a task."""

    name = "MLflow run"
    xcom_key = "mlflow_run_url"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return getattr(operator, "run_url", "")


class MlflowModelVersionLink(BaseOperatorLink):
    """Opens the registered version behind a task."""

    name = "MLflow model version"
    xcom_key = "mlflow_version_url"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return getattr(operator, "version_url", "")


class BacktestReportLink(BaseOperatorLink):
    """Opens the page of a backtest among the artifacts of its MLflow run."""

    name = "Backtest report"
    xcom_key = "mlflow_backtest_url"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return getattr(operator, "report_url", "")


class DriftReportLink(BaseOperatorLink):
    """Opens the page of a drift check: in MLflow beside a model, else where it lies in the store."""

    name = "Drift report"
    xcom_key = "drift_report_url"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return getattr(operator, "report_url", "")


class EndpointLink(BaseOperatorLink):
    """Opens what a model was deployed to, where it has a page."""

    name = "Endpoint"
    xcom_key = "endpoint_url"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return getattr(operator, "endpoint_url", "")
