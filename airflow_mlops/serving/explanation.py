"""Which columns moved an answer: each in turn is given the value it usually has (occlusion), and the score compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles import Profile
from airflow_mlops.core.signatures import Column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from airflow_mlops.steps.packages import LoadedModel


def typical_values(profile: Profile, columns: Sequence[Column]) -> dict[str, Any]:
    """Of each column the mean, or the most frequent value, in training; sensitive columns have none."""
    found: dict[str, Any] = {}
    counted = {one.name: one for one in profile.columns}
    for column in columns:
        its = counted.get(column.name)
        if its is None or column.type == "datetime":
            continue
        if its.kind == "numeric" and its.mean is not None:
            found[column.name] = its.mean
        elif its.kind == "categorical" and any(its.counts):
            key = its.plan.keys[max(range(len(its.counts)), key=its.counts.__getitem__)]
            fits = isinstance(key, {"boolean": bool, "string": str}.get(column.type, float))
            if fits or (column.type == "double" and type(key) is int):
                found[column.name] = key
    return found


def explain(model: LoadedModel, rows: pd.DataFrame, typical: Mapping[str, Any]) -> list[dict[str, float]]:
    """Per row and column: how much the score is above what it would be with the column's usual value."""
    import pandas as pd

    names = [name for name in rows.columns if name in typical]
    variants = [rows, *(rows.assign(**{name: typical[name]}).astype(rows.dtypes) for name in names)]
    scores = _scores(model, pd.concat(variants, ignore_index=True), len(rows)).reshape(len(variants), len(rows))
    return [
        {name: float(scores[0, row] - scores[at + 1, row]) for at, name in enumerate(names)} for row in range(len(rows))
    ]


def _scores(model: LoadedModel, rows: pd.DataFrame, first: int) -> np.ndarray:
    """A number per row that can be compared: the prediction, P(the second class), or P(the row's own label)."""
    import numpy as np

    predictions = model.predict(rows)
    if predictions.scores is None:
        return np.asarray(predictions.values, dtype=float)
    chances = model.estimator.predict_proba(rows)
    if chances.shape[1] == 2:
        return predictions.scores
    labels = list(model.estimator.classes_)
    places = [labels.index(label) for label in predictions.values[:first]]
    found: np.ndarray = chances[np.arange(len(rows)), np.tile(places, len(rows) // first)]
    return found
