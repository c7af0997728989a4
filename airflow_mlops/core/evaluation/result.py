"""What an evaluation found, as frozen values; a NaN travels as null, because JSON has no other word for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Method = Literal["delong", "t", "bootstrap", "cluster_bootstrap"]


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows.

    ``difference`` is positive where the candidate is better, whichever way the metric points. ``lower`` and ``upper``
    are one-sided bounds at ``alpha`` each; ``minimum_detectable`` is the true difference that this test would have
    shown four times out of five.
    """

    metric: str
    candidate: float
    other: float
    difference: float
    lower: float
    upper: float
    se: float
    alpha: float
    method: Method
    n: int
    clusters: int | None
    minimum_detectable: float
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        return null_for_nan(asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        return cls(**{key: value if key in _MAY_BE_NULL else _number(value) for key, value in data.items()})


_MAY_BE_NULL = ("clusters", "note")


@dataclass(frozen=True)
class Evaluation:
    """A candidate, the champion and a simple baseline on the same test rows.

    :param positives: rows labelled 1, or those of the rarest of more than two classes; None where there are no classes
    :param clusters: how many groups of rows were resampled as wholes, and
    :param cluster_name: what one is called in the plural (``days``)
    :param champion_excluded: why the champion in force was not compared
    :param baseline_by: the columns whose group means are the baseline
    :param comparisons: of the candidate, under ``champion`` and ``baseline``, by metric
    :param intervals: the candidate's own, by metric
    """

    task: str
    metric: str
    rows: int
    candidate: Mapping[str, float]
    positives: int | None = None
    clusters: int | None = None
    cluster_name: str | None = None
    data_version: str | None = None
    test_start: str | None = None
    test_end: str | None = None
    champion: Mapping[str, float] | None = None
    champion_version: str | None = None
    champion_excluded: str | None = None
    baseline: Mapping[str, float] | None = None
    baseline_by: tuple[str, ...] = ()
    comparisons: Mapping[str, Mapping[str, Comparison]] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return null_for_nan(asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Read back what :meth:`to_json` wrote.

        >>> found = Evaluation("classification", "roc_auc", 2, {"roc_auc": math.nan})
        >>> found.to_json()["candidate"], Evaluation.from_json(found.to_json()).candidate
        ({'roc_auc': None}, {'roc_auc': nan})
        """
        values = dict(data)
        for name in ("candidate", "champion", "baseline"):
            if values.get(name) is not None:
                values[name] = {metric: _number(value) for metric, value in values[name].items()}
        values["baseline_by"] = tuple(values.get("baseline_by", ()))
        values["comparisons"] = {
            other: {metric: Comparison.from_json(one) for metric, one in found.items()}
            for other, found in values.get("comparisons", {}).items()
        }
        intervals = values.get("intervals", {})
        values["intervals"] = {metric: (_number(low), _number(high)) for metric, (low, high) in intervals.items()}
        return cls(**values)


def null_for_nan(value: dict[str, Any]) -> dict[str, Any]:
    """Plain JSON: every number that is none becomes null.

    >>> null_for_nan({"a": (1.0, math.nan), "b": math.inf})
    {'a': [1.0, None], 'b': None}
    """
    return {key: _plain(one) for key, one in value.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    """The way back, where only numbers stand."""
    return math.nan if value is None else value
