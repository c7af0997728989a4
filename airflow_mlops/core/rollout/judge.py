"""From the counts of both sides and a policy to the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log
from typing import Final

from airflow_mlops.core.rollout.evidence import log_evidence
from airflow_mlops.core.rollout.policy import RolloutPolicy
from airflow_mlops.core.rollout.traffic import Traffic
from airflow_mlops.core.rollout.verdict import Measure, RolloutVerdict

#: Evidence is told up to this; more says nothing more.
_MOST: Final = 1e12
#: Nothing is known of which side something falls on when one side is worse.
_EVEN: Final = (2.0, 2.0)


def judge_rollout(traffic: Traffic, policy: RolloutPolicy, warm: Traffic | None = None) -> RolloutVerdict:
    """Weigh a candidate after any number of requests, as often as one likes.

    :param warm: an earlier look, with the candidate's warm-up behind it: what was slow until then does not count.
        None while there was none, and then nobody asks how fast it is

    >>> from airflow_mlops.core.rollout import Side
    >>> judge_rollout(Traffic(Side(300, 3), Side(24, 6), share=0.1), RolloutPolicy()).summary
    'Taken back: it failed 6 of 24 requests (25 %), the champion 3 of 300 (1 %); 1 % is tolerated.'
    >>> judge_rollout(Traffic(Side(4000, 40), Side(420, 5), share=0.1), RolloutPolicy(), Traffic()).decision
    'accept'
    """
    measures = tuple(_measures(traffic, policy, warm))
    worse = [measure for measure in measures if measure.status == "worse"]
    if worse:
        summary = f"Taken back: {'; '.join(measure.reason for measure in worse)}."
        return RolloutVerdict("take_back", worse[0].name, summary, measures)
    lack = _lack(traffic, policy, warm)
    if lack:
        return RolloutVerdict("wait", "too_few", f"Waiting: {lack}.", measures)
    doubtful = [measure for measure in measures if measure.status == "doubtful"]
    if doubtful:
        summary = f"Waiting, in doubt: {'; '.join(measure.reason for measure in doubtful)}."
        return RolloutVerdict("wait", "doubt", summary, measures)
    told = "; ".join(measure.reason for measure in measures)
    return RolloutVerdict("accept", "enough", f"Accepted: {told}.", measures)


def _lack(traffic: Traffic, policy: RolloutPolicy, warm: Traffic | None) -> str | None:
    ours, theirs = traffic.candidate, traffic.champion
    if ours.requests < policy.requests:
        return f"the candidate had {ours.requests:,} of {policy.requests:,} requests"
    if theirs.requests < policy.champion_requests:
        return f"the champion had {theirs.requests:,} of {policy.champion_requests:,} requests beside it"
    if warm is None:
        return "nothing is known of the candidate after its warm-up"
    known = max(ours.labelled, traffic.only_candidate + traffic.only_champion)
    if known < policy.labelled:
        return f"the truth of {known:,} of {policy.labelled:,} of the candidate's answers is known"
    return None


def _measures(traffic: Traffic, policy: RolloutPolicy, warm: Traffic | None) -> Iterator[Measure]:
    ours, theirs, chance = traffic.candidate, traffic.champion, traffic.chance
    counts = (ours.errors, ours.requests, theirs.errors, theirs.requests)
    yield _share("errors", "it failed {} requests", counts, policy.errors, chance, policy)
    if warm is not None:
        later = traffic.since(warm)
        ours, theirs = later.candidate, later.champion
        counts = (ours.slow, ours.requests, theirs.slow, theirs.requests)
        yield _share("slow", "it was slow on {} requests", counts, policy.slow, later.chance, policy)
    if traffic.only_candidate or traffic.only_champion:
        yield _pairs(traffic, policy)
    elif traffic.candidate.labelled:
        ours, theirs = traffic.candidate, traffic.champion
        counts = (ours.wrong, ours.labelled, theirs.wrong, theirs.labelled)
        # Labels come late, and for one side later than for the other: what is known is what the chance goes by.
        known = ours.labelled / (ours.labelled + theirs.labelled) if theirs.labelled else 0.999
        yield _share("wrong", "it was wrong on {} answers", counts, policy.wrong, known, policy)


def _share(
    name: str, words: str, counts: tuple[int, int, int, int], tolerated: float | None, chance: float,
    policy: RolloutPolicy,
) -> Measure:  # fmt: skip
    """More than tolerated, and more than the champion: of what befell either, too much befell the candidate."""
    hits, trials, other_hits, others = counts
    against = log_evidence(hits, hits + other_hits, chance, _EVEN)
    evidence = log_evidence(hits, trials, tolerated) if tolerated is not None else against
    reason = f"{words.format(f'{hits:,} of {trials:,}')} ({_percent(hits, trials)})"
    reason += f", the champion {other_hits:,} of {others:,} ({_percent(other_hits, others)})"
    if tolerated is not None:
        reason += f"; {tolerated:.3g} is tolerated" if tolerated < 0.001 else f"; {tolerated * 100:.2g} % is tolerated"
    levels = (policy.alpha, policy.champion_alpha if tolerated is not None else policy.alpha)
    return _measure(
        name, hits / max(trials, 1), other_hits / max(others, 1), (evidence, against), levels, policy, reason
    )


def _pairs(traffic: Traffic, policy: RolloutPolicy) -> Measure:
    """Of the answers that only one of the two got right, too many were the champion's (McNemar's pairs)."""
    lost, won = traffic.only_candidate, traffic.only_champion
    evidence = log_evidence(lost, lost + won, 0.5, _EVEN)
    reason = f"of {lost + won:,} requests on which one was better, it was the champion on {lost:,}"
    both = max(lost + won, 1)
    return _measure(
        "wrong", lost / both, won / both, (evidence, evidence), (policy.alpha, policy.alpha), policy, reason
    )


def _measure(
    name: str, ours: float, theirs: float, evidence: tuple[float, float], levels: tuple[float, float],
    policy: RolloutPolicy, reason: str,
) -> Measure:  # fmt: skip
    worse = all(found >= -log(level) for found, level in zip(evidence, levels, strict=True))
    doubtful = all(found >= log(policy.doubt) for found in evidence)
    first, second = (min(exp(min(found, 60.0)), _MOST) for found in evidence)
    return Measure(name, "worse" if worse else "doubtful" if doubtful else "fine", ours, theirs, first, second, reason)


def _percent(hits: int, trials: int) -> str:
    return f"{float(f'{hits / trials * 100:.2g}'):g} %" if trials else "none"
