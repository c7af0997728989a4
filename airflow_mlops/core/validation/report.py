"""The verdict on what Great Expectations found: counts only, no value of any row; a crashed check is no pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_mlops.core.validation.suite import Expectation, Severity
from airflow_mlops.exceptions import ValidationFailed

Status = Literal["passed", "failed", "crashed"]
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True)
class ExpectationOutcome:
    """What one check found, without any value of a row."""

    type: str
    column: str | None
    severity: Severity
    status: Status
    unexpected_count: int | None
    unexpected_percent: float | None
    element_count: int | None
    message: str

    @classmethod
    def of(cls, check: Expectation, found: Mapping[str, Any] | None, types: Mapping[str, str]) -> ExpectationOutcome:
        """Judge what Great Expectations returned for a check (None: nothing); ``types`` are the table's columns."""
        status: Status = "crashed" if found is None or raised(found) else "passed" if found["success"] else "failed"
        counts = (found or {}).get("result") or {}
        unexpected, elements = _count(counts.get("unexpected_count")), _count(counts.get("element_count"))
        percent = counts.get("unexpected_percent")
        percent = float(percent) if percent is not None and math.isfinite(percent) else None
        if status == "crashed":
            message = _why_crashed(check, types)
        elif status == "failed":
            message = _how_failed(unexpected, elements, percent)
        else:
            message = _how_passed(elements, _count(counts.get("missing_count")))
        return cls(
            check.type, ", ".join(check.columns) or None, check.severity, status, unexpected, percent, elements, message
        )

    @classmethod
    def of_rows(cls, rows: int, min_rows: int) -> ExpectationOutcome:
        """Enough rows? Great Expectations finds nothing wrong with an empty table: no value in it is null.

        >>> ExpectationOutcome.of_rows(0, 1).message
        'the table has 0 rows, at least 1 wanted'
        """
        status: Status = "passed" if rows >= min_rows else "failed"
        message = f"the table has {rows:,} rows, at least {min_rows:,} wanted"
        return cls("min_rows", None, Severity.CRITICAL, status, None, None, rows, message)

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.type} on {self.column}" if self.column else self.type


@dataclass(frozen=True)
class ValidationReport:
    """The verdict on one snapshot: small, JSON-able and safe to show.

    Where rows were split off, it is about the snapshot of the rest, which is what goes on; the snapshot of the others
    is ``quarantine_uri``, and both were ``split_from`` one.
    """

    suite: str
    suite_version: str
    suite_digest: str
    snapshot_uri: str
    data_version: str
    as_of: str
    rows: int
    outcomes: tuple[ExpectationOutcome, ...]
    report_uri: str = ""
    result_uri: str = ""
    quarantined: int = 0
    quarantine_uri: str = ""
    split_from: str = ""

    @property
    def failures(self) -> tuple[ExpectationOutcome, ...]:
        """What did not pass, the blocking ones first."""
        return tuple(sorted((o for o in self.outcomes if o.status != "passed"), key=lambda o: _RANK[o.severity]))

    @property
    def success(self) -> bool:
        """Whether every single check passed, whatever its severity."""
        return not self.failures

    @property
    def blocked(self) -> bool:
        """Whether a critical check did not pass, or rows that should have been split off are still there."""
        return any(self.blocks(outcome) for outcome in self.failures)

    def blocks(self, outcome: ExpectationOutcome) -> bool:
        """Whether an outcome of this report is one that keeps the data back."""
        if outcome.status == "passed" or outcome.severity not in (Severity.CRITICAL, Severity.QUARANTINE):
            return False
        return outcome.severity is Severity.CRITICAL or outcome.status == "crashed" or not self.quarantine_uri

    @property
    def warnings(self) -> int:
        """How many checks of severity warning did not pass."""
        return sum(outcome.severity is Severity.WARNING for outcome in self.failures)

    @property
    def summary(self) -> str:
        """One line for a person."""
        rows, total = f"{self.rows:,} rows", len(self.outcomes)
        if self.success:
            return f"Suite {self.suite}: all {total} checks hold on {rows}."
        if self.quarantine_uri:
            rows += f" after {self.quarantined:,} were quarantined"
        verdict = "blocks the data" if self.blocked else "passes the data with a remark"
        worst = next((one for one in self.failures if self.blocks(one)), self.failures[0])
        return (
            f"Suite {self.suite} {verdict}: {len(self.failures)} of {total} checks do not hold on {rows}; "
            f"{worst.label}: {worst.message}."
        )

    def ensure_passed(self) -> None:
        """Raise if the data is blocked, saying which check, which column, how many rows and where the report is."""
        if self.blocked:
            first, *others = sorted(self.failures, key=lambda one: not self.blocks(one))
            also = "".join(f"\n{o.severity.value}: {o.label}: {o.message}" for o in others)
            raise ValidationFailed(
                f"{first.label}: {first.message} (suite {self.suite}, {self.rows:,} rows). "
                f"Look at {self.report_uri}, then mend the data or the suite.{also}"
            )

    def to_json(self) -> dict[str, Any]:
        verdict = {"success": self.success, "blocked": self.blocked, "warnings": self.warnings, "summary": self.summary}
        outcomes = [{**asdict(outcome), "severity": outcome.severity.value} for outcome in self.outcomes]
        return {**asdict(self), "outcomes": outcomes, **verdict}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ValidationReport:
        facts = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        outcomes = [ExpectationOutcome(**{**o, "severity": Severity(o["severity"])}) for o in data["outcomes"]]
        return cls(**{**facts, "outcomes": tuple(outcomes)})


def raised(found: Mapping[str, Any]) -> bool:
    """Whether a check crashed; Great Expectations says so flat, or once per metric.

    >>> raised({"exception_info": {"metric 1": {"raised_exception": True, "exception_message": "no such column"}}})
    True
    """
    info = found.get("exception_info") or {}
    return any(bool(part.get("raised_exception")) for part in [info, *info.values()] if isinstance(part, Mapping))


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _why_crashed(check: Expectation, types: Mapping[str, str]) -> str:
    missing = [name for name in (*check.columns, *check.condition_columns) if name not in types]
    if missing:
        more = f" and {len(types) - 20} more" if len(types) > 20 else ""
        return f"column {', '.join(missing)} is missing; the table has {', '.join(list(types)[:20])}{more}"
    on = ", ".join(f"{name} ({types[name]})" for name in check.columns)
    return f"the check could not run{' on column ' + on if on else ''}"


def _how_failed(unexpected: int | None, elements: int | None, percent: float | None) -> str:
    if not unexpected:
        return "what was observed lies outside what is expected"
    if elements is None:
        return f"{unexpected:,} distinct values break it"
    return f"{unexpected:,} of {elements:,} rows break it" + (f" ({percent:.3g}%)" if percent is not None else "")


def _how_passed(elements: int | None, missing: int | None) -> str:
    if elements is not None and elements == (missing or 0):
        return "it holds, but there was nothing to check" + (": every value is null" if elements else "")
    return "it holds"
