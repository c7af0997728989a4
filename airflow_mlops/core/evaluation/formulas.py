"""The metrics' formulas: labels and predictions to a value per row, or to a function of row weights.

Weights make a bootstrap cheap (what all replicates share, sorting above all, is done once) and leave one formula for a
metric and its replicates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
    #: From one weight per row to the metric.
    Statistic: TypeAlias = Callable[[Array], float]


def mean(values: Array, weights: Array) -> float:
    """Without BLAS, which would wake threads for it and let the last digits depend on how many."""
    weighted: float = (values * weights).sum() / weights.sum()
    return weighted


def _by_score(y: Array, scores: Array) -> Callable[[Array], tuple[Array, Array]]:
    """Weights to the weight of positives and of negatives at each distinct score, ascending."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    labels, tied = y[order], len(starts) < len(y)

    def split(weights: Array) -> tuple[Array, Array]:
        weights = weights[order]
        positive = weights * labels
        negative = weights - positive
        return (np.add.reduceat(positive, starts), np.add.reduceat(negative, starts)) if tied else (positive, negative)

    return split


def roc_auc(y: Array, prediction: Array) -> Statistic:
    """Area under the ROC curve; one class against the rest, averaged, where there are more than two."""
    import numpy as np

    if prediction.ndim == 2:
        parts = [roc_auc((y == k).astype(np.float64), column) for k, column in enumerate(prediction.T)]
        return lambda weights: float(np.mean([part(weights) for part in parts]))
    split = _by_score(y, prediction)

    def auc(weights: Array) -> float:
        positive, negative = split(weights)
        wins = mean(np.cumsum(negative) - negative / 2, positive)
        return float(wins / negative.sum())

    return auc


def average_precision(y: Array, prediction: Array) -> Statistic:
    import numpy as np

    split = _by_score(y, prediction)

    def precision(weights: Array) -> float:
        positive, negative = (part[::-1] for part in split(weights))
        found = np.cumsum(positive)
        called = found + np.cumsum(negative)
        # The highest scores stand for nothing where a replicate left all their rows out.
        shares = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        return mean(shares, positive)

    return precision


def _classes(prediction: Array) -> Array:
    """A column per class."""
    import numpy as np

    return prediction if prediction.ndim == 2 else np.column_stack([1 - prediction, prediction])


def log_loss(y: Array, prediction: Array) -> Array:
    import numpy as np

    of_label = _classes(prediction)[np.arange(len(y)), y.astype(np.intp)]
    losses: Array = -np.log(np.clip(of_label, np.finfo(np.float64).eps, 1))
    return losses


def accuracy(y: Array, prediction: Array) -> Array:
    import numpy as np

    called: Array = _classes(prediction).argmax(axis=1).astype(np.float64)
    return np.equal(called, y).astype(np.float64)


def ece(y: Array, prediction: Array) -> Statistic:
    """Expected calibration error over ten equal bins."""
    import numpy as np

    bins = np.minimum(prediction * 10, 9).astype(np.intp)
    return lambda weights: float(np.abs(np.bincount(bins, weights * (prediction - y))).sum() / weights.sum())


def rmse(y: Array, prediction: Array) -> Statistic:
    squares = (y - prediction) ** 2
    return lambda weights: mean(squares, weights) ** 0.5


def r2(y: Array, prediction: Array) -> Statistic:
    squares = (y - prediction) ** 2

    def explained(weights: Array) -> float:
        return 1 - mean(squares, weights) / mean((y - mean(y, weights)) ** 2, weights)

    return explained


def silhouette(features: Array, clusters: Array) -> Array:
    from sklearn.metrics import silhouette_samples

    widths: Array = silhouette_samples(features, clusters)
    return widths
