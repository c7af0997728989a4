"""The verdict: what is beyond chance over the whole table, and large enough to matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_mlops.core.drift.columns import DriftTest, Pair, measures_of, tests_of
from airflow_mlops.core.drift.policy import SEVERITIES, Correction, DriftPolicy, Severity, worst
from airflow_mlops.core.drift.report import ColumnDrift, DriftReport, DriftVerdict
from airflow_mlops.core.drift.sentences import sentence_of
from airflow_mlops.core.profiles import same_plan
from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlops.core.profiles import Profile

#: A column weighs this part of its fair share at least, or it is reported and alarms nobody.
_FAIR = 0.25


def check_drift(
    reference: Profile, current: Profile, policy: DriftPolicy | None = None, chunks: Sequence[Profile] = ()
) -> DriftReport:
    """Compare two profiles of one plan; no row is read.

    :param chunks: the reference in three parts or more, each of whole clusters (days, customers), where rows belong
        together; they must add up to the reference
    :raises ProfileError: the profiles are of different plans
    """
    policy = policy or DriftPolicy()
    same_plan(reference, current)
    pairs = _pairs(reference, current, policy, chunks)
    found = _corrected([tests_of(pair, policy) for pair in pairs], policy.correction)
    weights = policy.weights([pair.plan.name for pair in pairs])
    columns = [
        _column(pair, tests, policy, weights.get(pair.plan.name)) for pair, tests in zip(pairs, found, strict=True)
    ]
    columns.sort(key=_what_matters)
    enough = min(reference.rows, current.rows) >= policy.min_rows and any(column.judged for column in columns)
    score = sum((c.weight or 0.0) * c.effect for c in columns if c.severity != "none") if weights else None
    severity = _severity(columns, policy, score) if enough else "none"
    alarming = SEVERITIES.index(severity) >= SEVERITIES.index(policy.alarm)
    verdict: DriftVerdict = "insufficient" if not enough else "drift" if alarming else "ok"
    return DriftReport(
        verdict=verdict,
        severity=severity,
        summary=_summary(verdict, columns, reference.rows, current.rows, policy),
        reference_rows=reference.rows,
        current_rows=current.rows,
        columns=tuple(columns),
        plan_digest=reference.plan.digest,
        policy=policy.to_json(),
        score=score,
        clusters=len(chunks),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values: the chance that any of these tests errs stays below the level (Holm 1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values: the expected share of false columns stays below the level (Benjamini and Hochberg 1995).

    >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    adjusted, lowest = [0.0] * len(ps), 1.0
    for rank, i in reversed(list(enumerate(sorted(range(len(ps)), key=ps.__getitem__), 1))):
        lowest = min(lowest, ps[i] * len(ps) / rank)
        adjusted[i] = lowest
    return adjusted


def _pairs(reference: Profile, current: Profile, policy: DriftPolicy, chunks: Sequence[Profile]) -> list[Pair]:
    if chunks and len(chunks) < 3:
        raise ConfigurationError(
            "Drift: two chunks of the reference do not tell how much chunks differ; make 5 or more."
        )
    for chunk in chunks:
        same_plan(reference, chunk)
    if chunks and sum(chunk.rows for chunk in chunks) != reference.rows:
        raise ConfigurationError("Drift: the chunks are not the reference: their rows do not add up.")
    parts = zip(*(chunk.columns for chunk in chunks), strict=True) if chunks else [()] * len(reference.columns)
    together = zip(reference.columns, current.columns, parts, strict=True)
    return [Pair(*sides) for sides in together if sides[0].plan.name not in policy.ignore]


def _corrected(tests: list[list[DriftTest]], correction: Correction) -> list[list[DriftTest]]:
    """The same with p-values over all tests of the table."""
    adjust = holm if correction == "holm" else benjamini_hochberg
    adjusted = iter(adjust([test.p for column in tests for test in column]))
    return [[replace(test, adjusted=next(adjusted)) for test in column] for column in tests]


def _column(pair: Pair, tests: list[DriftTest], policy: DriftPolicy, weight: float | None) -> ColumnDrift:
    certain = [test for test in tests if test.adjusted < policy.alpha and test.enough]
    severity = worst([policy.severity(test.effect) for test in certain])
    changes = sorted((t for t in certain if policy.severity(t.effect) != "none"), key=lambda t: -t.effect)
    shape = next((test.effect for test in tests if test.what == "shape"), 0.0)
    measured = "shape" in {test.what for test in tests}
    return ColumnDrift(
        name=pair.plan.name,
        kind=pair.plan.kind,
        severity=severity,
        judged=measured or bool(changes) or not pair.comparable,
        effect=max((test.effect for test in changes), default=shape),
        sentence=sentence_of(pair, changes, certain, policy.min_rows, bool(pair.chunks) and shape >= policy.small),
        weight=weight,
        tests=tuple(tests),
        measures=measures_of(pair, policy) if measured else {},
    )


def _what_matters(column: ColumnDrift) -> tuple[float | str, ...]:
    """What changed first, and of that what the model needs most; then what could not be judged."""
    strength = column.effect * (column.weight if column.weight is not None else 1.0)
    return -SEVERITIES.index(column.severity), column.judged, -strength, -column.effect, column.name


def _severity(columns: Sequence[ColumnDrift], policy: DriftPolicy, score: float | None) -> Severity:
    """Of the table: that of its worst column, or of the worst one that the model needs, once the score is reached."""
    if score is None:
        return worst([column.severity for column in columns])
    needed = worst([c.severity for c in columns if (c.weight or 0.0) * len(columns) >= _FAIR])
    if needed == "none" or score >= policy.min_score:
        return needed
    below: Severity = SEVERITIES[max(0, SEVERITIES.index(policy.alarm) - 1)]
    return min(needed, below, key=SEVERITIES.index)


def _summary(
    verdict: DriftVerdict, columns: Sequence[ColumnDrift], reference: int, current: int, policy: DriftPolicy
) -> str:
    """One line for a person."""
    rows = f"{current:,} rows against {reference:,} of the reference"
    if verdict == "insufficient":
        if min(reference, current) < policy.min_rows:
            return f"Cannot tell: {rows}, and fewer than {policy.min_rows:,} decide nothing."
        return f"Cannot tell: no column has {policy.min_rows:,} values on both sides that can be compared ({rows})."
    changed = [column for column in columns if column.severity != "none"]
    unknown = sum(not column.judged for column in columns)
    also = (
        f" {unknown:,} {'column has' if unknown == 1 else 'columns have'} too few values to compare." if unknown else ""
    )
    if not changed:
        return f"No drift: none of {len(columns):,} columns changed in a way that matters ({rows}).{also}"
    some = f"{len(changed):,} of {len(columns):,} columns changed"
    what = f"Drift: {some}" if verdict == "drift" else f"No drift that calls for action: {some}, a little"
    return f"{what}; first {changed[0].sentence}. ({rows[0].upper()}{rows[1:]}.){also}"
