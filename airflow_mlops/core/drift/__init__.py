"""Drift: has a table changed beyond chance, and by enough to matter? Read from two profiles, never from rows."""

from airflow_mlops.core.drift.judge import check_drift
from airflow_mlops.core.drift.policy import SEVERITIES, DriftPolicy, Severity
from airflow_mlops.core.drift.report import ColumnDrift, DriftReport, DriftVerdict

__all__ = ["SEVERITIES", "ColumnDrift", "DriftPolicy", "DriftReport", "DriftVerdict", "Severity", "check_drift"]
