"""A model and its repetition, compared: the verdict and its sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_mlops.core import tags
from airflow_mlops.core.evaluation.result import null_for_nan
from airflow_mlops.core.reproduction.environment import PackageChange

#: How close a metric must come, absolutely or relatively: room for the order of a sum, not for another model.
EXACT = 1e-12

#: Metrics, and packages, that the sentence names.
_NAMED = 3

CodeComparison = Literal["same", "other", "unknown"]


@dataclass(frozen=True)
class MetricPair:
    """A metric as it was recorded, and of the repetition; NaN where the test says nothing."""

    recorded: float
    now: float

    @property
    def equal(self) -> bool:
        """Whether they are the same number, or both none."""
        if math.isnan(self.recorded) or math.isnan(self.now):
            return math.isnan(self.recorded) and math.isnan(self.now)
        return math.isclose(self.recorded, self.now, rel_tol=EXACT, abs_tol=EXACT)


@dataclass(frozen=True)
class PredictionDifference:
    """Two models' predictions of the same rows.

    :param differing: rows whose predictions are further apart than the tolerance
    :param largest: the largest distance of two predictions; infinite where they cannot be compared
    """

    rows: int
    differing: int
    largest: float

    @property
    def share(self) -> float:
        """Share of the rows that differ."""
        return self.differing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Reproduction:
    """A model that was trained again from its record, and how the two compare.

    :param version: its number where it is registered
    :param metrics: recorded and new, by name; empty where none was recorded
    :param tolerance: how far apart two predictions of one row may be, absolutely or relatively
    :param data_version: of the snapshot, whose rows were hashed again
    :param environment: packages that changed since; None where those of then are unknown
    """

    model: str
    model_id: str
    version: int | None
    metrics: Mapping[str, MetricPair]
    predictions: PredictionDifference
    tolerance: float
    code_then: str
    code_now: str
    data_version: str
    environment: tuple[PackageChange, ...] | None
    seed: int
    threads: int | None
    at: str

    @property
    def reproduced(self) -> bool:
        """Every recorded metric is the same, and every prediction within the tolerance."""
        return not self.predictions.differing and all(pair.equal for pair in self.metrics.values())

    @property
    def code(self) -> CodeComparison:
        """Whether the code is that of then."""
        return compare_code(self.code_then, self.code_now)

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        if self.reproduced:
            return f"Reproduced: {self._equal()}; {self._circumstances()}."
        return f"Not reproduced: {self._unequal()}; {self._circumstances()}.{self._advice()}"

    def to_json(self) -> dict[str, Any]:
        found = {**asdict(self), "reproduced": self.reproduced, "code": self.code, "sentence": self.sentence}
        found["predictions"]["share"] = self.predictions.share
        return null_for_nan(found)

    def _equal(self) -> str:
        numbers = sum(not math.isnan(pair.recorded) for pair in self.metrics.values())
        metrics = f"{numbers} metric{_s(numbers)} equal to {EXACT:g}" if numbers else "no metric was recorded"
        close = "identical" if self.predictions.largest == 0 else f"within {self.tolerance:g}"
        return f"{metrics}, {self.predictions.rows:,} predictions {close}"

    def _unequal(self) -> str:
        unequal = _first([f"{name} {_change(pair)}" for name, pair in self.metrics.items() if not pair.equal])
        differing, rows, largest = self.predictions.differing, self.predictions.rows, self.predictions.largest
        if differing:
            unequal.append(f"{differing:,} of {rows:,} predictions differ by up to {largest:.3g}")
        return ", ".join(unequal)

    def _circumstances(self) -> str:
        told = {
            "same": "code and data the same",
            "other": f"the code differs: {_short(self.code_then)} -> {_short(self.code_now)}, data the same",
            "unknown": "the code of then or now unknown, data the same",
        }[self.code]
        if self.environment is None:
            return f"{told}, the packages of then unknown"
        number = len(self.environment)
        if not number:
            return f"{told}, no package differs"
        named = ", ".join(_first([str(change) for change in self.environment]))
        return f"{told}, {number} package{_s(number)} differ{'s' if number == 1 else ''} ({named})"

    def _advice(self) -> str:
        decisive = self.environment is None or any(change.decisive for change in self.environment)
        if self.code != "same" or decisive:
            return ""
        return " Look for a random choice that takes no random_state, or for data that the estimator reads by itself."


def compare_code(then: str, now: str) -> CodeComparison:
    """Whether two code versions are the same code.

    >>> compare_code("git:1", "git:1"), compare_code("git:1", "git:1+2"), compare_code("unknown", "git:1")
    ('same', 'other', 'unknown')
    """
    if tags.UNKNOWN in (then, now):
        return "unknown"
    return "same" if then == now else "other"


def compare_metrics(recorded: Mapping[str, float | None], now: Mapping[str, float]) -> dict[str, MetricPair]:
    """What was recorded beside what the repetition has; a null is a NaN."""
    return {
        name: MetricPair(math.nan if value is None else value, now.get(name, math.nan))
        for name, value in recorded.items()
    }


def compare_predictions(recorded: Any, now: Any, tolerance: float) -> PredictionDifference:
    """Row by row; of several classes the worst one counts.

    >>> compare_predictions([0.1, 0.2, 0.3], [0.1, 0.2, 0.5], 1e-9)
    PredictionDifference(rows=3, differing=1, largest=0.2)
    """
    import numpy as np

    then, again = (np.asarray(values, dtype=np.float64) for values in (recorded, now))
    if then.shape != again.shape:
        return PredictionDifference(len(then), len(then), math.inf)
    distance = np.where(np.isnan(then) & np.isnan(again), 0.0, np.abs(then - again))
    distance = np.where(np.isnan(distance), np.inf, distance)
    close = distance <= tolerance * np.maximum(1.0, np.nan_to_num(np.abs(then)))
    rows = close if close.ndim == 1 else close.all(axis=1)
    return PredictionDifference(len(then), int((~rows).sum()), float(distance.max(initial=0.0)))


def _change(pair: MetricPair) -> str:
    """Both numbers, with as many digits as it takes to tell them apart."""
    for digits in (4, 8, 17):
        was, now = (f"{value:.{digits}g}" for value in (pair.recorded, pair.now))
        if was != now:
            break
    return f"{was} -> {now}"


def _short(code: str) -> str:
    """A code version that a sentence can hold; what was not committed stays told apart."""
    base, plus, changes = code.partition("+")
    kind, colon, text = base.partition(":")
    return f"{kind}{colon}{text[:12]}{plus}{changes}"


def _first(texts: list[str]) -> list[str]:
    more = len(texts) - _NAMED
    return [*texts[:_NAMED], f"{more} more"] if more > 0 else texts


def _s(number: int) -> str:
    return "" if number == 1 else "s"
