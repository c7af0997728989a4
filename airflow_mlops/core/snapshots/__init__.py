"""Snapshots as plain values: the manifest, the data version, and the names of types."""

from airflow_mlops.core.snapshots.manifest import DataFile, Manifest
from airflow_mlops.core.snapshots.types import as_scalar, check_schema, describe_schema, difference, read_type
from airflow_mlops.core.snapshots.version import DataVersion, canonical_json, digest

__all__ = [
    "DataFile",
    "DataVersion",
    "Manifest",
    "as_scalar",
    "canonical_json",
    "check_schema",
    "describe_schema",
    "difference",
    "digest",
    "read_type",
]
