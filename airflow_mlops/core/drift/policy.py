"""What counts as drift, read strictly: a threshold that means nothing is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from airflow_mlops.exceptions import ConfigurationError

Severity = Literal["none", "small", "medium", "large"]
Correction = Literal["holm", "bh"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class DriftPolicy:
    """When a table has drifted: a column must have changed beyond chance and by enough to matter.

    :param alpha: how often a table without any drift may be called drifted; 0.001 is quiet, 0.05 sensitive
    :param correction: over all tests of the table: ``holm`` keeps that promise, ``bh`` bounds the share
        of false columns
    :param small: smallest effect worth showing, a Jensen-Shannon distance beyond noise: 0 is equal, 1 is disjoint
    :param medium: smallest effect worth acting on
    :param large: an effect that nobody should miss
    :param alarm: severity from which a column makes the verdict ``drift``
    :param nulls: smallest change of the share of nulls (NaN, infinities) that counts
    :param unseen: smallest share of values that the reference never had, beyond what its rare values lead to expect
    :param min_rows: with fewer values on either side nothing is decided
    :param importance: weight of each column for the model; a column without one is reported and never alarms
    :param min_score: with weights: smallest weighted sum of effects that makes the verdict ``drift``
    :param ignore: columns that are left out, such as row numbers, which always grow
    """

    alpha: float = 0.01
    correction: Correction = "holm"
    small: float = 0.02
    medium: float = 0.05
    large: float = 0.1
    alarm: Literal["small", "medium", "large"] = "medium"
    nulls: float = 0.01
    unseen: float = 0.005
    min_rows: int = 200
    importance: Mapping[str, float] = field(default_factory=dict)
    min_score: float = 0.02
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        for key in ("alpha", "small", "medium", "large", "nulls", "unseen", "min_score"):
            if not 0 <= _number(key, getattr(self, key)) < 1:
                raise ConfigurationError(f"Drift policy: {key} {getattr(self, key)} is not between 0 and 1.")
        if not 0 < self.alpha < 0.5:
            raise ConfigurationError(f"Drift policy: alpha {self.alpha} is not between 0 and 0.5.")
        if not self.small <= self.medium <= self.large:
            raise ConfigurationError("Drift policy: small, medium and large must rise in this order.")
        for key, known in (("correction", get_args(Correction)), ("alarm", SEVERITIES[1:])):
            if getattr(self, key) not in known:
                raise ConfigurationError(
                    f"Drift policy: {key} {getattr(self, key)!r} is not one of {', '.join(known)}."
                )
        if isinstance(self.min_rows, bool) or not isinstance(self.min_rows, int) or self.min_rows < 1:
            raise ConfigurationError(f"Drift policy: min_rows {self.min_rows!r} is not a whole number above 0.")
        if not isinstance(self.importance, Mapping):
            raise ConfigurationError(f"Drift policy: importance {self.importance!r} is not a mapping of columns.")
        if any(_number(f"importance {name}", weight) < 0 for name, weight in self.importance.items()):
            raise ConfigurationError("Drift policy: an importance is below 0.")
        if self.importance and not sum(self.importance.values()) > 0:
            raise ConfigurationError("Drift policy: every importance is 0, so nothing could ever drift.")
        if isinstance(self.ignore, str) or not all(isinstance(name, str) for name in self.ignore):
            raise ConfigurationError(f"Drift policy: ignore {self.ignore!r} is not a list of columns.")
        object.__setattr__(self, "ignore", tuple(self.ignore))

    def severity(self, effect: float) -> Severity:
        """How much an effect matters.

        >>> DriftPolicy().severity(0.07)
        'medium'
        """
        return (
            "large"
            if effect >= self.large
            else "medium"
            if effect >= self.medium
            else ("small" if effect >= self.small else "none")
        )

    def weights(self, columns: Sequence[str]) -> dict[str, float]:
        """Importance that adds up to 1 over these columns; empty where none was given.

        >>> DriftPolicy(importance={"a": 3, "b": 1}).weights(["a", "b", "c"])
        {'a': 0.75, 'b': 0.25, 'c': 0.0}
        """
        if not self.importance:
            return {}
        total = sum(self.importance.get(name, 0.0) for name in columns)
        if not total > 0:
            raise ConfigurationError(
                f"Drift policy: importance names none of the compared columns: {', '.join(list(columns)[:20])}."
            )
        return {name: self.importance.get(name, 0.0) / total for name in columns}

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "importance": dict(self.importance), "ignore": list(self.ignore)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> DriftPolicy:
        """Read a policy; nothing at all is the default one.

        >>> DriftPolicy.from_json({"alpha": 0.001}).alpha
        0.001
        >>> DriftPolicy.from_json({"aplha": 0.001})
        Traceback (most recent call last):
        ...
        airflow_mlops.exceptions.ConfigurationError: Drift policy: there is no aplha; it knows alpha, correction, ...
        """
        if data is None:
            return cls()
        if not isinstance(data, Mapping):
            raise ConfigurationError(f"Drift policy: {data!r} is not a mapping.")
        known = [one.name for one in fields(cls)]
        unknown = [str(key) for key in data if key not in known]
        if unknown:
            raise ConfigurationError(f"Drift policy: there is no {', '.join(unknown)}; it knows {', '.join(known)}.")
        return cls(**data)


def worst(severities: Sequence[Severity]) -> Severity:
    """The worst of some.

    >>> worst(["small", "large", "none"]), worst([])
    ('large', 'none')
    """
    return max(severities, key=SEVERITIES.index, default="none")


def _number(what: str, value: Any) -> float:
    """A finite number; a bool and a text compare in surprising ways or not at all."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"Drift policy: {what} {value!r} is not a number.")
    return value
