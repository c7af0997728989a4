"""Every model of a plan on every window that it had not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.backtest import Cell, Plan
from airflow_mlops.core.evaluation import metrics
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.exceptions import NotEnoughData, SnapshotError, TrainingError
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.evaluation import classes_of, encoded, predict
from airflow_mlops.steps.rows import features_of, labelled
from airflow_mlops.store.snapshots import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Matrix:
    """The scored cells, the rows of each window by its number, and what could not be scored."""

    cells: Sequence[Cell]
    rows: Mapping[int, int]
    left_out: Sequence[str]


def score(
    made: Plan,
    models: Mapping[str, TrainedModel],
    metric: str,
    *,
    load: Callable[[TrainedModel], Any],
    read: Callable[[str], Snapshot],
    budget: CpuBudget,
) -> Matrix:
    """Load every model once, and read the rows of one window at a time."""
    with budget("io"):
        estimators = {past.model_id: load(models[past.model_id]) for past in made.models.values()}
    cells: list[Cell] = []
    rows: dict[int, int] = {}
    left_out: list[str] = []
    for window in made.windows:
        own = models[made.models[window.number].model_id]
        try:
            with budget("read"):
                table = labelled(read(own.facts[tags.SNAPSHOT]).table(bounds=window.bounds), own.spec)
        except (NotEnoughData, SnapshotError, TrainingError) as error:
            left_out.append(f"Window {window.as_of:%Y-%m-%d}: {error}")
            continue
        rows[window.number] = table.num_rows
        for age, past in made.judged(window).items():
            try:
                with budget("predict"):
                    value = _value(estimators[past.model_id], models[past.model_id], table, metric)
                cells.append(Cell(window.number, age, value))
            except TrainingError as error:
                left_out.append(f"Model of {past.as_of:%Y-%m-%d} on window {window.as_of:%Y-%m-%d}: {error}")
    return Matrix(cells, rows, left_out)


def _value(estimator: Any, model: TrainedModel, rows: pa.Table, metric: str) -> float:
    """NaN where the window says nothing."""
    from threadpoolctl import threadpool_limits

    classes = classes_of(estimator, model.spec)
    with threadpool_limits(limits=1):  # on a busy machine threads of a prediction wait for each other: 15 times the CPU
        predicted = predict(estimator, model.spec, features_of(rows, model.features))
    truth = encoded(rows, model.spec, classes)[model.spec.target]
    return metrics(model.spec.task, truth, predicted)[metric]
