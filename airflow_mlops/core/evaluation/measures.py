"""The metrics of each task: what they are called, which way is better, and their values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_mlops.core.evaluation import formulas
from airflow_mlops.exceptions import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_mlops.core.evaluation.formulas import Array, Statistic


Guess = Literal["mean", "median"]


@dataclass(frozen=True)
class Metric:
    """What a number is called, which way is better, and how it comes about.

    :param better: None for a figure that describes and does not judge
    :param statistic: from labels and predictions to a function of row weights: what all weights share is done once
    :param rows: for a mean over rows: the value of each
    :param binary: it needs exactly two classes
    :param guess: the constant that does best by it, which a baseline predicts
    """

    label: str
    better: Literal["higher", "lower"] | None
    statistic: Callable[[Array, Array], Statistic]
    rows: Callable[[Array, Array], Array] | None = None
    binary: bool = False
    guess: Guess = "mean"


def mean_over_rows(
    label: str,
    better: Literal["higher", "lower"] | None,
    rows: Callable[[Array, Array], Array],
    *,
    binary: bool = False,
    guess: Guess = "mean",
) -> Metric:
    """A metric that is the mean of one value per row."""

    def statistic(y: Array, prediction: Array) -> Statistic:
        values = rows(y, prediction)
        return lambda weights: formulas.mean(values, weights)

    return Metric(label, better, statistic, rows, binary, guess)


def metrics(task: str, y: Any, prediction: Any) -> dict[str, float]:
    """Every metric of a task; NaN where the test says nothing.

    :param y: labels 0 and 1, class numbers for more classes, values for regression, features for clustering
    :param prediction: P(1), one column of probabilities per class, values, numbers of the clusters

    >>> found = metrics("classification", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> found["roc_auc"], found["accuracy"]
    (0.75, 0.75)
    >>> metrics("classification", [1, 1], [0.1, 0.4])["roc_auc"]
    nan
    """
    import numpy as np

    if task not in METRICS:
        raise ConfigurationError(f"Task {task!r} has no metrics: use one of {', '.join(METRICS)}.")
    truth, predicted = arrays(y, prediction)
    wanted = {name: metric for name, metric in METRICS[task].items() if not (metric.binary and predicted.ndim > 1)}
    if not informative(task, truth, predicted):
        return dict.fromkeys(wanted, math.nan)
    weights = np.ones(len(truth))
    with np.errstate(all="ignore"):
        found = {name: metric.statistic(truth, predicted)(weights) for name, metric in wanted.items()}
    return {name: float(value) if math.isfinite(value) else math.nan for name, value in found.items()}


def find(name: str) -> tuple[str, Metric]:
    """A metric, and the task that it belongs to."""
    for task, known in METRICS.items():
        if name in known:
            return task, known[name]
    names = sorted({name for known in METRICS.values() for name in known})
    raise ConfigurationError(f"Metric {name!r} is unknown: use one of {', '.join(names)}.")


def higher_is_better(name: str) -> bool:
    """Which way is better.

    >>> higher_is_better("roc_auc"), higher_is_better("log_loss")
    (True, False)
    """
    metric = find(name)[1]
    if metric.better is None:
        raise ConfigurationError(f"Metric {name!r} describes and does not judge: none of its values is better.")
    return metric.better == "higher"


def label(name: str) -> str:
    """How sentences call a metric.

    >>> label("roc_auc")
    'AUC'
    """
    return find(name)[1].label


def arrays(*columns: Any) -> list[Array]:
    """Columns of numbers, equally long."""
    import numpy as np

    try:
        found = [np.asarray(column).astype(np.float64) for column in columns]
    except (TypeError, ValueError) as error:
        raise DataError(f"Labels and predictions must be numbers, and classes numbered 0, 1, …: {error}.") from error
    if len({len(column) for column in found}) > 1:
        raise DataError(f"Labels and predictions differ in length: {', '.join(str(len(c)) for c in found)} rows.")
    return found


def informative(task: str, y: Array, prediction: Array, *, binary: bool = False) -> bool:
    """Whether a test says anything: rows, finite numbers, probabilities that are some, more than one class."""
    import numpy as np

    if (y.ndim > 1 and task != "clustering") or (prediction.ndim > 1 and (binary or task != "classification")):
        return False
    if not (len(y) and np.isfinite(y).all() and np.isfinite(prediction).all()):
        return False
    if task == "classification":
        present = set(np.unique(y).tolist())
        possible = set(range(prediction.shape[1] if prediction.ndim > 1 else 2))
        return len(present) > 1 and present <= possible and bool((prediction >= 0).all() and (prediction <= 1).all())
    return task != "clustering" or 1 < len(np.unique(prediction)) < len(y)


#: Names are scikit-learn's scorer names where it has them. A project may add its own under its task.
METRICS: Final[dict[str, dict[str, Metric]]] = {
    "classification": {
        "roc_auc": Metric("AUC", "higher", formulas.roc_auc),
        "log_loss": mean_over_rows("log loss", "lower", formulas.log_loss),
        "accuracy": mean_over_rows("accuracy", "higher", formulas.accuracy),
        "average_precision": Metric("average precision", "higher", formulas.average_precision, binary=True),
        "brier": mean_over_rows("Brier score", "lower", lambda y, p: (p - y) ** 2, binary=True),
        "ece": Metric("calibration error", "lower", formulas.ece, binary=True),
        "positive_rate": mean_over_rows("share of positives", None, lambda y, p: y, binary=True),
        "mean_prediction": mean_over_rows("mean prediction", None, lambda y, p: p, binary=True),
    },
    "regression": {
        "mae": mean_over_rows("mean absolute error", "lower", lambda y, p: abs(p - y), guess="median"),
        "rmse": Metric("root mean squared error", "lower", formulas.rmse),
        "r2": Metric("R²", "higher", formulas.r2),
        "mean_error": mean_over_rows("mean error", None, lambda y, p: p - y),
        "mean_prediction": mean_over_rows("mean prediction", None, lambda y, p: p),
    },
    "clustering": {"silhouette": mean_over_rows("silhouette", "higher", formulas.silhouette)},
}
