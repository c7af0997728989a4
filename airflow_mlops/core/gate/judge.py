"""From an evaluation and a policy to the verdict. The first check that does not hold decides; all of them are told.

Only where a number is missing nothing else is asked.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_mlops.core.evaluation import Comparison, Evaluation, label
from airflow_mlops.core.evaluation.measures import find
from airflow_mlops.core.gate.sentences import champion_name, sample, show, told
from airflow_mlops.core.gate.verdict import Check, Decision, Status, Verdict
from airflow_mlops.core.run_types import historical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_mlops.core.gate.policy import GatePolicy

_WORDS: Final = {"promote": "Accepted", "hold": "Refused", "reject": "Refused", "inconclusive": "Undecided"}
_HOW: Final = {
    "better": " as better",
    "first_champion": " as the first champion",
    "champion_excluded": " without a champion to compare with",
    "refresh": " as a refresh",
    "worse": " as worse",
    "not_better": " as not better",
}
#: What a verdict about the past begins with.
_PAST: Final = {
    "backfill": "Historical, not registered.",
    "reprocessed": "Historical, not approved: relabelled by reprocess.",
}
_BOUNDS: Final = ("candidate", "other", "difference", "lower", "upper", "se", "minimum_detectable", "alpha")


class _Finding(NamedTuple):
    """A check, and the decision that follows from it; None leaves the decision to the checks after it."""

    check: Check
    decision: Decision | None = None
    reason_code: str = ""


def judge(evaluation: Evaluation, policy: GatePolicy, *, run_type: str = "live", as_of: str | None = None) -> Verdict:
    """Weigh a candidate.

    >>> from airflow_mlops.core.evaluation import Evaluation
    >>> from airflow_mlops.core.gate import GatePolicy
    >>> found = Evaluation("regression", "mae", 500, {"mae": 2.5})
    >>> judge(found, GatePolicy("mae", baseline=None, at_most={"mae": 2.0})).summary
    'Refused: mean absolute error 2.500 on 500 rows is above 2.000.'
    """
    findings = [_measured(evaluation, policy)]
    if not findings[0].decision:
        findings += [
            *_enough(evaluation, policy),
            *_thresholds(evaluation, policy),
            *_baseline(evaluation, policy),
            *_secondary(evaluation, policy),
            _champion(evaluation, policy),
        ]
    decisive = next((found for found in findings if found.decision), findings[-1])
    decision = decisive.decision or "inconclusive"
    how = _WORDS[decision] + _HOW.get(decisive.reason_code, "")
    if historical(run_type):
        how = f"{_PAST[run_type]} {how.replace(_HOW['first_champion'], ' by itself')}"
    checks = tuple(found.check for found in findings)
    return Verdict(decision, decisive.reason_code, f"{how}: {decisive.check.reason}", checks, run_type, as_of)


def _measured(evaluation: Evaluation, policy: GatePolicy) -> _Finding:
    """Is there a number wherever one is asked for?"""
    rows = _number(evaluation.rows)
    if not rows > 0:
        return _Finding(Check("measured", "failed", rows, None, "the test has no rows."), "reject", "empty")
    for name in dict.fromkeys([policy.metric, *policy.at_least, *policy.at_most, *policy.not_worse]):
        if name not in evaluation.candidate:
            reason = f"{label(name)} was not measured."
            return _Finding(Check("measured", "failed", None, None, reason), "reject", "metric_missing")
        if not math.isfinite(_number(evaluation.candidate[name])):
            reason = f"{label(name)} of the candidate on {sample(evaluation)} is not a finite number."
            return _Finding(Check("measured", "failed", None, None, reason), "reject", "metric_not_finite")
    return _Finding(Check("measured", "passed", rows, None, f"every metric is a number, on {sample(evaluation)}."))


def _enough(evaluation: Evaluation, policy: GatePolicy) -> Iterator[_Finding]:
    """Are there enough rows, and enough of the rarer class?"""
    rows = _number(evaluation.rows)
    yield _enough_of("rows", "test rows", rows, policy.min_rows)
    if evaluation.task == "classification":
        positives = _number(evaluation.positives)
        rarer = min(positives, rows - positives) if math.isfinite(positives) else math.nan
        yield _enough_of("positives", "test rows of the rarer class", rarer, policy.min_positives)


def _enough_of(name: str, what: str, found: float, least: int) -> _Finding:
    counted = f"{found:,.0f}" if math.isfinite(found) else "an unknown number of"
    if found >= least:
        return _Finding(Check(name, "passed", found, least, f"{counted} {what}, at least {least:,} wanted."))
    reason = f"{counted} {what} say too little, at least {least:,} are wanted."
    return _Finding(Check(name, "undecided", found, least, reason), "inconclusive", f"too_few_{name}")


def _thresholds(evaluation: Evaluation, policy: GatePolicy) -> Iterator[_Finding]:
    """Is the candidate good enough by itself, and not too good to be true?"""
    for name, least in policy.at_least.items():
        value = _number(evaluation.candidate.get(name))
        yield _threshold(evaluation, name, value, least, "at least", value >= least)
    for name, most in policy.at_most.items():
        value = _number(evaluation.candidate.get(name))
        yield _threshold(evaluation, name, value, most, "at most", value <= most)


def _threshold(evaluation: Evaluation, name: str, value: float, limit: float, bound: str, holds: bool) -> _Finding:
    found = f"{label(name)} {show(value)} on {sample(evaluation)}"
    if holds:
        return _Finding(Check(f"{name} {bound}", "passed", value, limit, f"{found} is {bound} {show(limit)}."))
    reason, code = f"{found} is {'below' if bound == 'at least' else 'above'} {show(limit)}", "not_good_enough"
    if _too_good(name, bound):
        reason, code = f"{reason}, better than is honest: look for a leak", "too_good"
    return _Finding(Check(f"{name} {bound}", "failed", value, limit, f"{reason}."), "reject", code)


def _too_good(name: str, bound: str) -> bool:
    better = find(name)[1].better
    return better == ("higher" if bound == "at most" else "lower")


def _baseline(evaluation: Evaluation, policy: GatePolicy) -> Iterator[_Finding]:
    """Is the candidate better than the simple baseline?"""
    if policy.baseline is None:
        return
    rule, margin = policy.baseline.rule, policy.baseline.margin
    comparison = evaluation.comparisons.get("baseline", {}).get(policy.metric)
    flaw = _flaw(comparison, evaluation.baseline, policy.metric, policy)
    if comparison is None or flaw:
        yield _incomparable("baseline", f"the baseline: {flaw}", margin)
        return
    reason = told(comparison, "the baseline", evaluation)
    if comparison.lower > margin or (rule == "ahead" and comparison.difference > margin):
        yield _Finding(Check("baseline", "passed", comparison.difference, margin, reason))
    elif comparison.difference > margin:
        check = Check("baseline", "undecided", comparison.difference, margin, reason)
        yield _Finding(check, "inconclusive", "baseline_cannot_tell")
    else:
        check = Check("baseline", "failed", comparison.difference, margin, reason)
        yield _Finding(check, "reject", "not_better_than_baseline")


def _secondary(evaluation: Evaluation, policy: GatePolicy) -> Iterator[_Finding]:
    """Is no other metric certainly worse than the champion's by more than its margin?"""
    if not _opposed(evaluation):
        return
    for name, margin in policy.not_worse.items():
        comparison = evaluation.comparisons.get("champion", {}).get(name)
        flaw = _flaw(comparison, evaluation.champion, name, policy)
        if comparison is None or flaw:
            yield _incomparable(f"{name} not worse", f"the champion by {label(name)}: {flaw}", -margin)
            continue
        status: Status = "passed" if comparison.lower >= -margin else "undecided"
        check = Check(
            f"{name} not worse",
            status,
            comparison.difference,
            -margin,
            told(comparison, champion_name(evaluation), evaluation),
        )
        if comparison.upper < -margin:
            yield _Finding(replace(check, status="failed"), "reject", "secondary_worse")
        else:
            yield _Finding(check)


def _champion(evaluation: Evaluation, policy: GatePolicy) -> _Finding:
    """Does the candidate replace the champion?"""
    rule, margin = policy.champion.rule, policy.champion.margin
    threshold = -margin if rule == "non_inferior" else 0.0
    if not _opposed(evaluation):
        value = _number(evaluation.candidate.get(policy.metric))
        code, why = "first_champion", "there is no champion to compare with"
        if evaluation.champion_excluded:
            code, why = "champion_excluded", evaluation.champion_excluded.rstrip(".")
        reason = f"{label(policy.metric)} {show(value)} on {sample(evaluation)}; {why}."
        return _Finding(Check("champion", "passed", value, None, reason), "promote", code)
    comparison = evaluation.comparisons.get("champion", {}).get(policy.metric)
    flaw = _flaw(comparison, evaluation.champion, policy.metric, policy)
    if comparison is None or flaw:
        return _incomparable("champion", f"{champion_name(evaluation)}: {flaw}", threshold)
    status, decision, code = _weigh(comparison, rule, margin)
    reason = told(comparison, champion_name(evaluation), evaluation)
    return _Finding(Check("champion", status, comparison.difference, threshold, reason), decision, code)


def _weigh(comparison: Comparison, rule: str, margin: float) -> tuple[Status, Decision, str]:
    if comparison.lower > 0:
        return "passed", "promote", "better"
    if rule == "non_inferior" and comparison.lower > -margin:
        return "passed", "promote", "refresh"
    if comparison.upper < 0:
        return "failed", "reject", "worse"
    if comparison.minimum_detectable > margin:
        return "undecided", "inconclusive", "cannot_tell"
    return "failed", "hold", "not_better"


def _opposed(evaluation: Evaluation) -> bool:
    """Whether there is a champion to weigh against; one that is named but was not measured counts, and then blocks."""
    if evaluation.champion is not None or evaluation.comparisons.get("champion"):
        return True
    return evaluation.champion_version is not None and not evaluation.champion_excluded


def _flaw(
    comparison: Comparison | None, values: Mapping[str, float] | None, name: str, policy: GatePolicy
) -> str | None:
    """Why a comparison decides nothing."""
    if comparison is None:
        return "there is no comparison"
    if not math.isfinite(_number((values or {}).get(name))):
        return f"its {label(name)} is not a finite number"
    if not all(math.isfinite(_number(getattr(comparison, bound))) for bound in _BOUNDS):
        return "the test gave no bounds"
    if not comparison.lower <= comparison.difference <= comparison.upper:
        return "the bounds contradict each other"
    if comparison.alpha > policy.look_alpha * (1 + 1e-9):
        return f"the test was made at alpha {comparison.alpha:.2g}, the policy asks for {policy.look_alpha:.2g}"
    return None


def _incomparable(name: str, why: str, threshold: float) -> _Finding:
    check = Check(name, "undecided", None, threshold, f"the candidate cannot be compared with {why}.")
    return _Finding(
        check, "inconclusive", "baseline_not_comparable" if name == "baseline" else "champion_not_comparable"
    )


def _number(value: Any) -> float:
    """A number or NaN: text, truth and nothing are no numbers."""
    return math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
