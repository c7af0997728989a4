"""What a drift check found, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_mlops.core.drift.columns import DriftTest
from airflow_mlops.core.drift.policy import Severity
from airflow_mlops.exceptions import DriftFound

DriftVerdict = Literal["ok", "drift", "insufficient"]
#: Columns that are named where there is room for a few.
_NAMED = 20


@dataclass(frozen=True)
class ColumnDrift:
    """One column: how much it changed, and in which words.

    :param judged: whether anything could be said; else it has too few values, or none that can be compared
    :param effect: of the strongest change that is beyond chance; of the shape where nothing is
    :param weight: its share of the importance; None where no importance was given
    :param measures: the customary numbers, which decide nothing
    """

    name: str
    kind: str
    severity: Severity
    judged: bool
    effect: float
    sentence: str
    weight: float | None = None
    tests: tuple[DriftTest, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "measures": dict(self.measures)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ColumnDrift:
        return cls(**{**data, "tests": tuple(DriftTest(**test) for test in data["tests"])})


@dataclass(frozen=True)
class DriftReport:
    """The verdict on a table.

    :param severity: of the worst column, or by the importance of the columns where one was given
    :param columns: what matters most comes first
    :param policy: what it was judged by
    :param score: the weighted sum of effects; None where no importance was given
    :param clusters: in how many parts of whole clusters the reference told how much rows belong together; 0 for none
    """

    verdict: DriftVerdict
    severity: Severity
    summary: str
    reference_rows: int
    current_rows: int
    columns: tuple[ColumnDrift, ...]
    plan_digest: str
    policy: Mapping[str, Any]
    score: float | None = None
    clusters: int = 0

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that changed, the worst first; the small changes too."""
        return tuple(column for column in self.columns if column.severity != "none")

    def ensure_ok(self, where: str = "") -> None:
        """Raise if the table has drifted, naming the columns."""
        if self.verdict == "drift":
            lines = "".join(f"\n{column.severity}: {column.sentence}" for column in self.drifted[:_NAMED])
            hint = f" Look at {where}, then" if where else " Then"
            raise DriftFound(f"{self.summary}{hint} mend the feed, or retrain on newer rows.{lines}")

    def short(self) -> dict[str, Any]:
        """Small enough for XCom, whatever the number of columns; sentences are cut to a line."""
        told = [
            {"column": c.name, "severity": c.severity, "effect": round(c.effect, 4), "sentence": c.sentence[:300]}
            for c in self.drifted[:_NAMED]
        ]
        counts = {
            "columns": len(self.columns),
            "drifted": len(self.drifted),
            "insufficient": sum(not column.judged for column in self.columns),
        }
        return {
            "verdict": self.verdict,
            "severity": self.severity,
            "summary": self.summary,
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            **counts,
            "worst": told,
            "score": self.score,
        }

    def to_json(self) -> dict[str, Any]:
        columns = [column.to_json() for column in self.columns]
        facts = {key: getattr(self, key) for key in self.__dataclass_fields__ if key != "columns"}
        return {**facts, "policy": dict(self.policy), "columns": columns}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DriftReport:
        facts = {key: data[key] for key in cls.__dataclass_fields__}
        return cls(**{**facts, "columns": tuple(ColumnDrift.from_json(column) for column in data["columns"])})
