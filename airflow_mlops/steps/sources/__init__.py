"""Rows of a source as Arrow batches in a defined order: files, a versioned table, a SQL query, or a function."""

from airflow_mlops.steps.sources.base import Source, as_table, in_order
from airflow_mlops.steps.sources.build import build_source
from airflow_mlops.steps.sources.files import FileSource
from airflow_mlops.steps.sources.function import CallableSource
from airflow_mlops.steps.sources.sql import SqlSource
from airflow_mlops.steps.sources.table import DeltaSource, IcebergSource

__all__ = [
    "CallableSource",
    "DeltaSource",
    "FileSource",
    "IcebergSource",
    "Source",
    "SqlSource",
    "as_table",
    "build_source",
    "in_order",
]
