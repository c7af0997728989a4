"""What became of a candidate, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Decision = Literal["take_back", "accept", "wait"]


@dataclass(frozen=True)
class Measure:
    """One thing that the candidate is watched for.

    :param evidence: against "no more than tolerated", see :mod:`airflow_mlops.core.rollout.evidence`
    :param champion_evidence: against "no worse than the champion"
    """

    name: str
    status: Literal["worse", "doubtful", "fine"]
    candidate: float
    champion: float
    evidence: float
    champion_evidence: float
    reason: str


@dataclass(frozen=True)
class RolloutVerdict:
    """The decision on a candidate that takes requests, why, and every measure behind it."""

    decision: Decision
    reason_code: str
    summary: str
    measures: tuple[Measure, ...] = ()

    @property
    def decided(self) -> bool:
        return self.decision != "wait"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "measures": [asdict(measure) for measure in self.measures]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RolloutVerdict:
        """Read it back.

        >>> told = RolloutVerdict("wait", "too_few", "Waiting: 3 of 400 requests.")
        >>> RolloutVerdict.from_json(told.to_json()) == told
        True
        """
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**values, "measures": tuple(Measure(**measure) for measure in data["measures"])})
