"""Golden predictions: made at training, read wherever the model is to answer."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core import tags
from airflow_mlops.core.golden import Golden, golden_rows
from airflow_mlops.core.packages import Package
from airflow_mlops.core.profiles import Profile
from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import DigestMismatch, PredictionError
from airflow_mlops.steps.packages import LoadedModel, Predictions

if TYPE_CHECKING:
    import pandas as pd

    from airflow_mlops.core.registry import ModelVersion
    from airflow_mlops.core.tracking import Mlflow

#: The file among the artifacts of the run that trained a model.
ARTIFACT: Final = "golden/golden.json"
_log = logging.getLogger(__name__)


def make_golden(estimator: Any, package: Package, baseline: Profile) -> Golden | None:
    """Predictions of made-up rows; None where the model cannot answer rows that nobody ever sent."""
    from threadpoolctl import threadpool_limits

    rows = golden_rows(baseline, package.columns)
    try:
        with threadpool_limits(limits=1):
            found = LoadedModel(package, estimator).predict(frame_of(rows, package.columns))
    except PredictionError as error:
        _log.warning("No golden predictions: %s", error)
        return None
    return Golden(tuple(rows), *plain(found))


def read_golden(client: Mlflow, version: ModelVersion) -> Golden | None:
    """The golden predictions of a version; None where it was trained without.

    :raises DigestMismatch: they are not those that were stored at training
    """
    wanted = version.tags.get(tags.GOLDEN, tags.UNKNOWN)
    if wanted == tags.UNKNOWN:
        return None
    run_id = version.run_id or client.tracking.model(version.model_id or "").run_id or ""
    with tempfile.TemporaryDirectory(prefix="mlops-golden-") as folder:
        client.tracking.download(f"{client.tracking.artifact_uri(run_id)}/{os.path.dirname(ARTIFACT)}", Path(folder))
        try:
            return Golden.from_json(json.loads(Path(folder, os.path.basename(ARTIFACT)).read_text()), wanted)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DigestMismatch(
                f"The golden predictions of version {version.version} of model {version.name} are gone or broken: "
                "train it again."
            ) from error


def plain(found: Predictions) -> tuple[tuple[Any, ...], tuple[float, ...] | None]:
    """Predictions as JSON has them."""
    return tuple(found.values.tolist()), None if found.scores is None else tuple(found.scores.tolist())


def frame_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Golden rows as the model was trained on: text and truth through Arrow, as snapshots come, numbers as floats."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    data: dict[str, Any] = {}
    for column in columns:
        values = [row[column.name] for row in rows]
        if column.type in ("string", "boolean"):
            data[column.name] = pa.array(values, pa.string() if column.type == "string" else pa.bool_()).to_pandas()
        elif column.type == "datetime":
            data[column.name] = pd.to_datetime(pd.Series(values), utc=True, format="ISO8601")
        else:
            data[column.name] = np.array([np.nan if value is None else value for value in values], dtype="f8")
    return pd.DataFrame(data)
