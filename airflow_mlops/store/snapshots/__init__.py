"""Immutable, content-addressed snapshots: ``<store>/snapshots/<name>/<id>/``, Parquet first, ``manifest.json`` last."""

from airflow_mlops.store.snapshots.reading import Snapshot, open_snapshot
from airflow_mlops.store.snapshots.writing import write_snapshot

__all__ = ["Snapshot", "open_snapshot", "write_snapshot"]
