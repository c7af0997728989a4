"""What a project asks of a candidate, read strictly: a threshold that means nothing is an error, no open gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from airflow_mlops.core.evaluation import higher_is_better
from airflow_mlops.core.evaluation.measures import find
from airflow_mlops.exceptions import ConfigurationError

Rule = Literal["superior", "non_inferior"]
T = TypeVar("T")


@dataclass(frozen=True)
class BaselineRule:
    """The candidate is better than the simple baseline by more than ``margin``.

    ``superior``: beyond doubt, by the paired test. ``ahead``: on these rows, without a proof, for tests of a few days
    whose doubt is wider than any gain; the verdict still prints how wide.
    """

    rule: Literal["superior", "ahead"] = "superior"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in ("superior", "ahead"):
            raise ConfigurationError(f"Gate: baseline rule {self.rule!r} is not one of superior, ahead.")
        _at_least("baseline margin", self.margin, 0)


@dataclass(frozen=True)
class ChampionRule:
    """When a candidate replaces the champion.

    ``superior``: it is better. ``non_inferior``: it is not worse by more than ``margin``, a refresh; such small losses
    add up over the months, so pair it with ``at_least``. Either way ``margin`` is the difference that matters, in units
    of the metric: a test that could not have seen it is inconclusive.
    """

    rule: Rule = "superior"
    margin: float = 0.005

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise ConfigurationError(f"Gate: champion rule {self.rule!r} is not one of {', '.join(get_args(Rule))}.")
        _at_least("champion margin", self.margin, 0)


@dataclass(frozen=True)
class GatePolicy:
    """The checks of a gate.

    :param metric: the primary metric, by which candidate, champion and baseline are compared
    :param at_least: lowest value allowed, by metric
    :param at_most: highest value allowed, by metric; for an AUC a ceiling that only a leak would pass
    :param baseline: None for no comparison with the baseline
    :param not_worse: other metrics, and by how much each may be worse than the champion's; what is certainly worse than
        that is refused
    :param min_rows: with fewer test rows nothing is decided
    :param min_positives: the same for rows of the rarer class, which are what a classifier is judged by
    :param alpha: how often, in a year, a candidate that is no better may be promoted
    :param looks_per_year: the candidates that share this risk
    """

    metric: str
    at_least: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    baseline: BaselineRule | None = field(default_factory=BaselineRule)
    champion: ChampionRule = field(default_factory=ChampionRule)
    not_worse: Mapping[str, float] = field(default_factory=dict)
    min_rows: int = 100
    min_positives: int = 200
    alpha: float = 0.05
    looks_per_year: int = 12

    def __post_init__(self) -> None:
        for name in (self.metric, *_mapping("not_worse", self.not_worse)):
            higher_is_better(name)
        for key in ("at_least", "at_most"):
            for name, value in _mapping(key, getattr(self, key)).items():
                find(name)
                _at_least(f"{key} {name}", value, -math.inf)
        for name, margin in self.not_worse.items():
            _at_least(f"not_worse {name}", margin, 0)
        for key, least in (("min_rows", 1), ("min_positives", 0), ("looks_per_year", 1)):
            if not isinstance(getattr(self, key), int):
                raise ConfigurationError(f"Gate: {key} {getattr(self, key)!r} is not a whole number.")
            _at_least(key, getattr(self, key), least)
        _at_least("alpha", self.alpha, 0)
        if not 0 < self.alpha < 0.5:
            raise ConfigurationError(f"Gate: alpha {self.alpha} is not between 0 and 0.5.")

    @property
    def look_alpha(self) -> float:
        """The alpha of one comparison.

        >>> round(GatePolicy("roc_auc").look_alpha, 5)
        0.00417
        """
        return self.alpha / self.looks_per_year

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GatePolicy:
        """Read a project's gate.

        >>> GatePolicy.from_json({"metric": "roc_auc", "at_most": {"roc_auc": 0.8}}).at_most
        {'roc_auc': 0.8}
        >>> GatePolicy.from_json({"metric": "roc_auc", "at_least": {"roc_auc": "0.6"}})
        Traceback (most recent call last):
        ...
        airflow_mlops.exceptions.ConfigurationError: Gate: at_least roc_auc '0.6' is not a number.
        """
        values = dict(_mapping("policy", data))
        if isinstance(values.get("metric"), str):
            if values.get("baseline") is not None:
                values["baseline"] = _read(BaselineRule, values["baseline"], "baseline")
            if "champion" in values:
                values["champion"] = _read(ChampionRule, values["champion"], "champion")
            return _read(cls, values, "policy")
        raise ConfigurationError("Gate: name the metric that decides, for example 'roc_auc'.")


def _read(kind: type[T], data: Any, where: str) -> T:
    values = _mapping(where, data)
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise ConfigurationError(f"Gate: {where} has no {', '.join(unknown)}; it knows {', '.join(known)}.")
    return kind(**values)


def _mapping(where: str, data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"Gate: {where} is not a mapping but {data!r}.")
    return data


def _at_least(what: str, value: Any, least: float) -> None:
    """Refuse what is no finite number: a bool and a text too, which compare in surprising ways or not at all."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"Gate: {what} {value!r} is not a number.")
    if value < least:
        raise ConfigurationError(f"Gate: {what} {value} is below {least}.")
