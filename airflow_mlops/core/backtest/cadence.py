"""What age costs, and what retraining more often gains.

Under a cadence of k periods the model in force is k ages old in turn, and at any moment each of them is as likely:
so what a cadence is worth on a window is the mean over k ages on it, which is the mean over all k phases of the
cadence too. Quarterly does not depend on which quarter it begins in. Cadences are compared on windows where all these
cells are there, window by window, so that an easy or a hard month is one for both.

The witnesses are the windows, not their rows: what matters is how much the gain differs between months, and rows of
one window meet the same models and the same weather. Intervals are Student's t over windows (95 %, two-sided), which
are wide where there are few. Neighbouring windows share models; where a model is only lucky it counts for one side in
one window and for the other side in the next ones, which makes the test the more careful. Simulated without drift, 12
or 24 windows and four cadences gave a false gain in 1 of 100 backtests with such luck, and in 6 without.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev

from airflow_mlops.core.backtest.plan import BacktestSpec, Plan
from airflow_mlops.core.backtest.result import Age, Answer, Backtest, Cell, Gain
from airflow_mlops.core.backtest.sentences import recommend
from airflow_mlops.core.evaluation import higher_is_better

#: Two windows can agree by chance.
MIN_WINDOWS = 3
#: What matters where nobody says: this share of the freshest models' metric.
_MARGIN = 0.01

#: The metric of each window by the age of the model.
Matrix = Mapping[int, Mapping[int, float]]


def conclude(
    model: str,
    metric: str,
    made: Plan,
    spec: BacktestSpec,
    cells: Sequence[Cell],
    *,
    rows: Mapping[int, int] | None = None,
    left_out: Iterable[str] = (),
) -> Backtest:
    """From the scored cells to a recommendation.

    :param rows: of each window, by its number
    """
    matrix: dict[int, dict[int, float]] = {window.number: {} for window in made.windows}
    for cell in cells:
        if math.isfinite(cell.value):
            matrix[cell.number][cell.age] = cell.value
    sign = 1.0 if higher_is_better(metric) else -1.0
    fresh = [ages[min(ages)] for ages in matrix.values() if ages]
    margin = spec.margin or _MARGIN * abs(fmean(fresh) if fresh else math.nan)
    cadences = sorted(set(spec.cadences or (made.period.cadences if made.period else ())))
    gains = [gain_of(matrix, *pair, delay=made.delay, sign=sign, margin=margin) for pair in combinations(cadences, 2)]
    untried = [
        f"{made.period.cadence(every).capitalize()}: no window has models of {made.period.age(made.delay)} "
        f"to {made.period.age(made.delay + every - 1)}."
        for every in cadences
        if made.period and not any(gain.windows for gain in gains if every in (gain.faster, gain.slower))
    ]
    kept = [gain for gain in gains if gain.windows]
    return Backtest(
        model=model,
        metric=metric,
        period=made.period,
        delay=made.delay,
        margin=margin,
        models=made.models,
        windows=made.windows,
        rows=[(rows or {}).get(window.number, 0) for window in made.windows],
        cells=cells,
        decay=decay_of(matrix, sign),
        gains=kept,
        recommendation=recommend(metric, made.period, kept, margin),
        left_out=[*made.left_out, *left_out, *untried],
    )


def decay_of(matrix: Matrix, sign: float) -> list[Age]:
    """By age, the mean difference to the freshest model of the same window.

    >>> found = decay_of({1: {0: 0.75}, 2: {0: 0.75, 1: 0.5}, 3: {0: 0.5, 1: 0.25}}, 1.0)
    >>> [(one.age, one.difference, one.windows) for one in found]
    [(0, 0.0, 3), (1, -0.25, 2)]
    """
    ages = sorted({age for found in matrix.values() for age in found})
    paired = {age: [sign * (f[age] - f[0]) for f in matrix.values() if age in f and 0 in f] for age in ages}
    return [Age(age, *interval(found), len(found)) for age, found in paired.items() if found]


def gain_of(matrix: Matrix, faster: int, slower: int, *, delay: int, sign: float, margin: float) -> Gain:
    """One cadence against a slower one, on the windows that have models of all ages that both would use.

    >>> matrix = {window: {1: 0.75 + window / 100, 2: 0.7, 3: 0.65} for window in range(5)}
    >>> found = gain_of(matrix, 1, 3, delay=1, sign=1.0, margin=0.005)
    >>> round(found.difference, 3), found.windows, found.answer
    (0.063, 5, 'gain')
    """

    def level(ages: Mapping[int, float], every: int) -> float:
        return fmean(ages[delay + age] for age in range(every))

    whole = [ages for ages in matrix.values() if all(delay + age in ages for age in range(slower))]
    found = [sign * (level(ages, faster) - level(ages, slower)) for ages in whole]
    difference, lower, upper = interval(found)
    answer: Answer = "cannot_tell"
    if len(found) >= MIN_WINDOWS and lower > 0:
        answer = "gain"
    elif len(found) >= MIN_WINDOWS and upper < margin:
        answer = "nothing"
    return Gain(faster, slower, difference, lower, upper, len(found), answer)


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of independent differences with its 95 % interval; without bounds where there are fewer than two.

    >>> [round(value, 2) for value in interval([0.1, 0.2, 0.3])]
    [0.2, -0.05, 0.45]
    """
    from scipy.special import stdtrit

    n = len(differences)
    middle = fmean(differences) if n else math.nan
    half = float(stdtrit(n - 1, 0.975)) * stdev(differences) / n**0.5 if n > 1 else math.nan
    return middle, middle - half, middle + half
