"""What the gate says, as frozen values."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops.core.run_types import historical

if TYPE_CHECKING:
    from collections.abc import Mapping

Decision = Literal["promote", "hold", "reject", "inconclusive"]
Status = Literal["passed", "failed", "undecided"]


@dataclass(frozen=True)
class Check:
    """One question that was asked; ``value`` is None where there is no number to show."""

    name: str
    status: Status
    value: float | None
    threshold: float | None
    reason: str

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)


@dataclass(frozen=True)
class Verdict:
    """The decision on a candidate, why, and every check behind it."""

    decision: Decision
    reason_code: str
    summary: str
    checks: tuple[Check, ...]
    run_type: str = "live"
    as_of: str | None = None

    @property
    def promote(self) -> bool:
        return self.decision == "promote"

    @property
    def historical(self) -> bool:
        """Whether a run about the past asked: its models are judged, and registered only on request."""
        return historical(self.run_type)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "checks": [asdict(check) for check in self.checks], "historical": self.historical}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**values, "checks": tuple(Check(**check) for check in data["checks"])})
