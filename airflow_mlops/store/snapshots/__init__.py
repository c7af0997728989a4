"""Immutable, content-addressed snapshots: ``<store>/snapshots/<name>/<id>/``, Parquet first, ``manifest.json`` last."""

from airflow_mlops.store.snapshots.reading import Snapshot, find_snapshot, open_snapshot, snapshots_of
from airflow_mlops.store.snapshots.writing import pin_snapshot, write_snapshot

__all__ = ["Snapshot", "find_snapshot", "open_snapshot", "pin_snapshot", "snapshots_of", "write_snapshot"]
