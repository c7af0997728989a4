"""An evaluation as one page: every metric side by side, and each difference with the range that it may lie in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_mlops.core.evaluation import label
from airflow_mlops.core.evaluation.measures import find
from airflow_mlops.core.gate.sentences import champion_name, sample, show
from airflow_mlops.reports.page import number, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_mlops.core.evaluation import Comparison, Evaluation
    from airflow_mlops.core.gate import Verdict

_TONES: Final = {"promote": "good", "hold": "caution", "inconclusive": "caution", "reject": "bad"}
_HEADLINES: Final = {
    "promote": "The gate lets the candidate through.",
    "hold": "The candidate is not shown to be better.",
    "inconclusive": "This test cannot tell.",
    "reject": "The gate refuses the candidate.",
}
_STATUS: Final = {"passed": "good", "failed": "bad", "undecided": "caution"}
_METHODS: Final = {
    "delong": "DeLong's test",
    "t": "Student's t",
    "bootstrap": "bootstrap of rows",
    "cluster_bootstrap": "bootstrap of whole clusters",
}
#: Half the width of a picture, with a margin left and right of the longest range.
_HALF: Final = 90.0


@dataclass(frozen=True)
class _Difference:
    """A comparison as the table shows it; ``low``, ``mid`` and ``high`` are places in the picture."""

    metric: str
    other: str
    candidate: str
    theirs: str
    difference: str
    bounds: str
    least: str
    how: str
    note: str | None
    drawn: bool
    tone: str
    low: float
    mid: float
    high: float


def evaluation_page(evaluation: Evaluation, verdict: Verdict | None = None) -> str:
    """Render an evaluation, with the gate's checks once there is a verdict."""
    tone, headline, text = _outcome(evaluation, verdict)
    return render(
        "evaluation.html.j2",
        kind="Model evaluation",
        title=f"Candidate on {sample(evaluation)}",
        tone=tone,
        headline=headline,
        text=text,
        facts=_facts(evaluation),
        champion=champion_name(evaluation).capitalize() if evaluation.champion is not None else None,
        metrics=_metrics(evaluation),
        differences=_differences(evaluation),
        checks=[(_STATUS[check.status], check) for check in verdict.checks] if verdict else [],
        half=_HALF,
    )


def _outcome(evaluation: Evaluation, verdict: Verdict | None) -> tuple[str, str, str]:
    if verdict is not None:
        return _TONES[verdict.decision], _HEADLINES[verdict.decision], verdict.summary
    value = evaluation.candidate.get(evaluation.metric, math.nan)
    name = label(evaluation.metric)
    if not math.isfinite(value):
        return "bad", f"The test says nothing of the candidate's {name}.", "No gate lets this pass."
    low, high = evaluation.intervals.get(evaluation.metric, (math.nan, math.nan))
    text = f"The 95% interval is {show(low)} to {show(high)}." if math.isfinite(low) else "There is no interval."
    return "good", f"{name[:1].upper()}{name[1:]} {show(value)}", text


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    facts = [("Task", evaluation.task), ("Test rows", number(evaluation.rows))]
    if evaluation.positives is not None:
        facts.append(("Positives", number(evaluation.positives)))
    if evaluation.clusters is not None:
        facts.append(("Resampled whole", f"{number(evaluation.clusters)} {evaluation.cluster_name or 'clusters'}"))
    facts.append(("Test from, to", f"{evaluation.test_start or 'unknown'}, {evaluation.test_end or 'unknown'}"))
    facts.append(("Data version", evaluation.data_version or "unknown"))
    champion = champion_name(evaluation) if evaluation.champion is not None else "none"
    facts.append(("Champion", evaluation.champion_excluded or champion))
    if evaluation.baseline is not None:
        guess, by = find(evaluation.metric)[1].guess, ", ".join(evaluation.baseline_by)
        facts.append(("Baseline", f"{guess} by {by}" if by else guess))
    return facts


def _metrics(evaluation: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """Name, candidate, its interval, champion and baseline of each metric."""
    return [
        (
            label(name),
            _shown(value),
            _range(*evaluation.intervals.get(name, (math.nan, math.nan))),
            _of(evaluation.champion, name),
            _of(evaluation.baseline, name),
        )
        for name, value in evaluation.candidate.items()
    ]


def _differences(evaluation: Evaluation) -> list[_Difference]:
    names = {"champion": champion_name(evaluation), "baseline": "the baseline"}
    return [
        _difference(comparison, names.get(other, other))
        for other, found in evaluation.comparisons.items()
        for comparison in found.values()
    ]


def _difference(comparison: Comparison, other: str) -> _Difference:
    bounds = (comparison.lower, comparison.difference, comparison.upper)
    drawn = all(map(math.isfinite, bounds))
    longest = max(map(abs, bounds)) or 1.0
    low, mid, high = (round(0.95 * _HALF * bound / longest, 1) if drawn else 0.0 for bound in bounds)
    tone = "good" if comparison.lower > 0 else "bad" if comparison.upper < 0 else "caution"
    return _Difference(
        metric=label(comparison.metric),
        other=other,
        candidate=_shown(comparison.candidate),
        theirs=_shown(comparison.other),
        difference=_shown(comparison.difference, "+"),
        bounds=_range(comparison.lower, comparison.upper, "+"),
        least=_shown(comparison.minimum_detectable),
        how=f"{_METHODS[comparison.method]}, alpha {comparison.alpha:.2g}",
        note=comparison.note,
        drawn=drawn,
        tone=tone,
        low=low,
        mid=mid,
        high=high,
    )


def _of(values: Mapping[str, float] | None, name: str) -> str:
    return "–" if values is None or name not in values else _shown(values[name])


def _range(low: float, high: float, sign: str = "") -> str:
    return f"{show(low, sign)} to {show(high, sign)}" if math.isfinite(low) and math.isfinite(high) else "–"


def _shown(value: float, sign: str = "") -> str:
    return show(value, sign) if math.isfinite(value) else "no number"
