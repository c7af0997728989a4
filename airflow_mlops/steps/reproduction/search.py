"""Parameters tried on the training rows of a snapshot, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.evaluation import higher_is_better, metrics
from airflow_mlops.core.evaluation.result import null_for_nan
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.exceptions import ConfigurationError, TrainingError
from airflow_mlops.steps.evaluation import classes_of, predict
from airflow_mlops.steps.rows import features_of, labelled, target_of, training_rows
from airflow_mlops.steps.training import build_estimator

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from airflow_mlops.store.snapshots import Snapshot

#: Splits of the training rows; each set of parameters is fitted that often.
FOLDS = 3


@dataclass(frozen=True)
class Trial:
    """One set of parameters, its value of the metric on each fold, and their mean."""

    params: Mapping[str, Any]
    scores: Sequence[float]
    mean: float


@dataclass(frozen=True)
class Search:
    """What was tried, in the order of trial, and how many sets the space has.

    :param metric: the metric that decided
    :param folds: how the training rows were split
    """

    metric: str
    folds: str
    space: int
    trials: Sequence[Trial]

    @property
    def best(self) -> Trial:
        """The best mean; of equal ones the first, and never one that is no number."""
        sign = 1 if higher_is_better(self.metric) else -1
        able = [trial for trial in self.trials if math.isfinite(trial.mean)]
        if not able:
            raise TrainingError(f"Search: {self.metric} is no number for any of {len(self.trials)} sets of parameters.")
        return max(able, key=lambda trial: sign * trial.mean)

    def to_json(self) -> dict[str, Any]:
        return null_for_nan({**asdict(self), "best": asdict(self.best)})


def search(
    snapshot: Snapshot,
    spec: TrainingSpec,
    space: Mapping[str, Sequence[Any]],
    *,
    metric: str,
    max_fits: int = 60,
    threads: int | None = None,
    build: Callable[..., Any] | None = None,
) -> Search:
    """Try the sets of a space, all or a seeded choice, on folds of the training rows; the test rows are not read.

    Rows with a time are split in its order: each fold is judged on what came after it.

    :param max_fits: fits in all; a space that needs more is sampled
    """
    from sklearn.model_selection import KFold, ParameterGrid, ParameterSampler, TimeSeriesSplit, cross_val_score
    from threadpoolctl import threadpool_limits

    grid = ParameterGrid({name: list(values) for name, values in space.items()})
    number = min(len(grid), max_fits // FOLDS)
    if not number:
        raise ConfigurationError(f"Search: {max_fits} fits do not try one set of parameters, which takes {FOLDS}.")
    chosen = grid if number == len(grid) else ParameterSampler(grid.param_grid[0], number, random_state=spec.seed)
    estimators = [
        (params, build_estimator(replace(spec, params={**spec.params, **params}), build)) for params in chosen
    ]
    rows = _in_time(labelled(training_rows(snapshot, spec), spec), snapshot.manifest.event_time)
    manifest = snapshot.manifest
    features = spec.feature_columns([column["name"] for column in manifest.schema], manifest.event_time)
    inputs, target = features_of(rows, features), target_of(rows, spec)
    timed = manifest.event_time is not None
    folds = TimeSeriesSplit(FOLDS) if timed else KFold(FOLDS, shuffle=True, random_state=spec.seed)
    trials = []
    for params, estimator in estimators:
        try:
            with threadpool_limits(limits=threads):
                scores = cross_val_score(
                    estimator, inputs, target, cv=folds, scoring=_scorer(spec, metric), error_score="raise"
                )
        except (ValueError, TypeError) as error:
            raise TrainingError(f"Search: {spec.estimator} with {params} failed: {redact(error)}.") from None
        trials.append(Trial(params, [float(score) for score in scores], float(scores.mean())))
    return Search(metric, type(folds).__name__, len(grid), trials)


def _in_time(rows: pa.Table, event_time: str | None) -> pa.Table:
    return rows.sort_by(event_time) if event_time else rows


def _scorer(spec: TrainingSpec, metric: str) -> Callable[[Any, Any, np.ndarray], float]:
    """The metric as the evaluation computes it; NaN where a fold's test says nothing."""

    def score(estimator: Any, inputs: Any, target: np.ndarray) -> float:
        classes = classes_of(estimator, spec)
        numbers = {label: number for number, label in enumerate(classes or ())}
        # A class that this fold's training did not hold gets no number, and the metric is none.
        labels = [numbers.get(label, -1) for label in target.tolist()] if classes else target
        return metrics(spec.task, labels, predict(estimator, spec, inputs)).get(metric, math.nan)

    return score
