"""Which rows of a snapshot train a model and which judge it, as scikit-learn takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.exceptions import NotEnoughData, TrainingError
from airflow_mlops.store.snapshots import Snapshot

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


def training_rows(snapshot: Snapshot, spec: TrainingSpec) -> pa.Table:
    """The rows that a model may be fitted on: the training window, or a seeded share where data has no time."""
    windows = snapshot.manifest.bounds
    return snapshot.table(bounds=windows.train) if windows else _random_split(snapshot, spec)[0]


def held_out_rows(snapshot: Snapshot, spec: TrainingSpec) -> pa.Table:
    """The rows that a model of this spec never sees."""
    windows = snapshot.manifest.bounds
    return snapshot.table(bounds=windows.test) if windows else _random_split(snapshot, spec)[1]


def labelled(table: pa.Table, spec: TrainingSpec) -> pa.Table:
    """Rows with a label.

    :raises NotEnoughData: there is none
    :raises TrainingError: a label is NaN or infinite
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if spec.target is None:
        return table
    rows = table.filter(pc.is_valid(table[spec.target]))
    if rows.num_rows == 0:
        raise NotEnoughData(f"Model {spec.model}: no row of this window has a label in {spec.target}.")
    if pa.types.is_floating(rows[spec.target].type) and not pc.all(pc.is_finite(rows[spec.target])).as_py():
        raise TrainingError(
            f"Model {spec.model}: target {spec.target} holds NaN or infinity: clean it in the preparation."
        )
    return rows


def features_of(rows: pa.Table, features: list[str]) -> pd.DataFrame:
    """Feature columns in the model's order."""
    missing = [name for name in features if name not in rows.column_names]
    if missing:
        raise TrainingError(f"The snapshot has no column {', '.join(missing)}, which the model needs.")
    frame: pd.DataFrame = rows.select(features).to_pandas()
    return frame


def target_of(rows: pa.Table, spec: TrainingSpec) -> np.ndarray | None:
    """Labels, or None for a task without."""
    return rows[spec.target].to_numpy() if spec.target else None


def _random_split(snapshot: Snapshot, spec: TrainingSpec) -> tuple[pa.Table, pa.Table]:
    from sklearn.model_selection import train_test_split

    table = labelled(snapshot.table(), spec)
    labels: Any = table[spec.target].to_pylist() if spec.task == "classification" and spec.target else None
    try:
        train, test = train_test_split(
            range(table.num_rows), test_size=spec.test_size, random_state=spec.seed, stratify=labels
        )
    except ValueError as error:
        raise TrainingError(f"Model {spec.model}: the rows cannot be split into train and test: {error}") from error
    return table.take(sorted(train)), table.take(sorted(test))
