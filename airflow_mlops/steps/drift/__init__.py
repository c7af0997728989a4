"""Drift of a table against its baseline: find both sides, compare them, keep the evidence."""

from airflow_mlops.steps.drift.checking import REPORT, StoredDrift, check, window_path
from airflow_mlops.steps.drift.clusters import CHUNKS, chunked
from airflow_mlops.steps.drift.sides import Sides, find_sides

__all__ = ["CHUNKS", "REPORT", "Sides", "StoredDrift", "check", "chunked", "find_sides", "window_path"]
