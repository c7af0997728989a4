"""Is one model better than another? Answered on the same rows, with an error that knows which rows belong together."""

from __future__ import annotations

import math
from functools import reduce
from operator import sub
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from airflow_mlops.core.evaluation.measures import arrays, find, higher_is_better, informative, metrics
from airflow_mlops.core.evaluation.result import Comparison, Evaluation, Method
from airflow_mlops.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from airflow_mlops.core.evaluation.formulas import Array, Statistic

    Codes: TypeAlias = npt.NDArray[np.intp]

#: The standard error of a thousand replicates is known to 2 %: more of them would not change a verdict.
REPLICATES: Final = 1000
#: Fewer groups than this say little about how much groups differ.
_FEW_CLUSTERS: Final = 10
_POWER: Final = 0.8


def compare(
    metric: str,
    y: Any,
    candidate: Any,
    other: Any,
    *,
    clusters: Any = None,
    alpha: float,
    seed: int,
    replicates: int = REPLICATES,
) -> Comparison:
    """Compare the predictions of two models for the same rows.

    Independent rows: DeLong's test for a binary AUC, Student's t for a mean over rows, a bootstrap for the rest. With
    ``clusters`` (for each row its day, its customer, …) whole clusters are resampled, whatever the metric. The bounds
    are Student's t times the bootstrap's standard error: quantiles of the replicates are noisy at the small alpha of a
    gate, and too narrow with a few dozen clusters.

    >>> found = compare("mae", [1.0, 2.0, 4.0], [1.0, 2.5, 4.0], [2.0, 3.5, 4.0], alpha=0.05, seed=1)
    >>> found.method, round(found.difference, 3), found.lower < 0 < found.upper
    ('t', 0.667, True)
    """
    sign = 1.0 if higher_is_better(metric) else -1.0
    truth, *predictions = arrays(y, candidate, other)
    found = _spread(metric, truth, predictions, clusters, seed, replicates)
    ours, theirs = found.values
    difference, critical = sign * (ours - theirs), _critical(1 - alpha, found.freedom)
    few = found.clusters is not None and found.clusters < _FEW_CLUSTERS
    return Comparison(
        metric=metric,
        candidate=ours,
        other=theirs,
        difference=difference,
        lower=difference - critical * found.se,
        upper=difference + critical * found.se,
        se=found.se,
        alpha=alpha,
        method=found.method,
        n=len(truth),
        clusters=found.clusters,
        minimum_detectable=(critical + NormalDist().inv_cdf(_POWER)) * found.se,
        note=f"only {found.clusters} clusters: the bounds are rough" if few else None,
    )


def interval(
    metric: str,
    y: Any,
    prediction: Any,
    *,
    clusters: Any = None,
    level: float = 0.95,
    seed: int,
    replicates: int = REPLICATES,
) -> tuple[float, float]:
    """The two-sided interval of one model's metric, by the same means as :func:`compare`.

    >>> low, high = interval("accuracy", [0, 1] * 50, [0.2, 0.9] * 40 + [0.9, 0.2] * 10, seed=1)
    >>> round(low, 2), round(high, 2)
    (0.72, 0.88)
    """
    higher_is_better(metric)
    truth, predicted = arrays(y, prediction)
    found = _spread(metric, truth, [predicted], clusters, seed, replicates)
    half = _critical((1 + level) / 2, found.freedom) * found.se
    return found.values[0] - half, found.values[0] + half


def evaluate(
    task: str,
    metric: str,
    y: Any,
    candidate: Any,
    *,
    champion: Any = None,
    baseline: Any = None,
    clusters: Any = None,
    secondary: Sequence[str] = (),
    alpha: float,
    seed: int,
) -> Evaluation:
    """Everything that the gate reads, from labels and predictions; what these do not know is added with ``replace``.

    :param metric: the primary metric; it and ``secondary`` are compared and get intervals
    """
    truth, predicted = arrays(y, candidate)
    names = list(dict.fromkeys([metric, *secondary]))
    others = {name: p for name, p in (("champion", champion), ("baseline", baseline)) if p is not None}
    return Evaluation(
        task=task,
        metric=metric,
        rows=len(truth),
        candidate=metrics(task, y, candidate),
        positives=_positives(truth, predicted) if task == "classification" else None,
        clusters=None if clusters is None else _codes(clusters, len(truth))[1],
        champion=metrics(task, y, champion) if champion is not None else None,
        baseline=metrics(task, y, baseline) if baseline is not None else None,
        comparisons={
            other: {name: compare(name, y, candidate, p, clusters=clusters, alpha=alpha, seed=seed) for name in names}
            for other, p in others.items()
        },
        intervals={name: interval(name, y, candidate, clusters=clusters, seed=seed) for name in names},
    )


class _Spread(NamedTuple):
    values: list[float]
    se: float
    freedom: float
    method: Method
    clusters: int | None


def _spread(name: str, y: Array, predictions: Sequence[Array], clusters: Any, seed: int, replicates: int) -> _Spread:
    """The metric of one model or of two, and the standard error of the one or of the difference."""
    import numpy as np

    task, metric = find(name)
    codes, groups = _codes(clusters, len(y))
    method: Method = "bootstrap" if clusters is None else "cluster_bootstrap"
    with np.errstate(all="ignore"):
        fine = [informative(task, y, p, binary=metric.binary) for p in predictions]
        models = [metric.statistic(y, p) if ok else _unknown for p, ok in zip(predictions, fine, strict=True)]
        values = [float(model(np.ones(len(y)))) for model in models]
        if not all(map(math.isfinite, values)):
            se = math.nan
        elif clusters is None and metric.rows is not None:
            method, se = "t", _standard_error(reduce(sub, [metric.rows(y, p) for p in predictions]))
        elif clusters is None and name == "roc_auc" and all(p.ndim == 1 for p in predictions):
            method, se = "delong", _delong(y, predictions)
        else:
            se = _bootstrap(models, codes, groups, seed, replicates)
    freedom = math.inf if method == "delong" else groups - 1
    return _Spread(values, se, freedom, method, None if clusters is None else groups)


def _unknown(weights: Array) -> float:
    return math.nan


def _delong(y: Array, predictions: Sequence[Array]) -> float:
    """DeLong et al. (1988): positives and negatives each vary around their mean share of wins."""
    wins, safe = zip(*(_win_shares(y, p) for p in predictions), strict=True)
    return math.hypot(_standard_error(reduce(sub, wins)), _standard_error(reduce(sub, safe)))


def _win_shares(y: Array, scores: Array) -> tuple[Array, Array]:
    """For each positive the share of negatives below it, for each negative the share of positives above it; ties half.

    By sorting, as in Sun and Xu (2014): O(n log n) where DeLong's definition compares every pair.
    """
    import numpy as np

    def below(values: Array, others: Array) -> Array:
        others = np.sort(others)
        return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))

    positive, negative = scores[y == 1], scores[y == 0]
    return below(positive, negative), 1 - below(negative, positive)


def _standard_error(values: Array) -> float:
    """Of the mean."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.nan


def _bootstrap(models: Sequence[Statistic], codes: Codes, groups: int, seed: int, replicates: int) -> float:
    """Draw whole groups with replacement; both models see the same draw, which is what pairs them."""
    import numpy as np

    if groups < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    drawn = np.empty(replicates)
    for i in range(replicates):
        weights = np.bincount(rng.integers(0, groups, groups), minlength=groups).astype(np.float64)[codes]
        drawn[i] = reduce(sub, [model(weights) for model in models])
    usable = drawn[np.isfinite(drawn)]
    # A draw may miss one class altogether; where that is common, the rest says nothing either.
    if len(usable) < 0.99 * replicates:
        return math.nan
    return float(usable.std(ddof=1) * (groups / (groups - 1)) ** 0.5)


def _codes(clusters: Any, rows: int) -> tuple[Codes, int]:
    """The number of each row's cluster, and how many there are; without clusters every row is its own."""
    import numpy as np

    if clusters is None:
        return np.arange(rows), rows
    try:
        names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    except TypeError as error:
        raise DataError(f"Clusters must be values of one type, and none may be missing: {error}.") from error
    if codes.shape != (rows,):
        raise DataError(f"Clusters and labels differ in length: {codes.shape} and {rows} rows.")
    return codes, len(names)


def _critical(probability: float, freedom: float) -> float:
    """Quantile of Student's t."""
    if math.isinf(freedom):
        return NormalDist().inv_cdf(probability)
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _positives(y: Array, prediction: Array) -> int:
    if prediction.ndim == 1:
        return int((y == 1).sum())
    return min(int((y == k).sum()) for k in range(prediction.shape[1]))
