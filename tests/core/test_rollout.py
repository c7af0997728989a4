"""The verdict on a candidate: how soon, how often wrongly, and in which words."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc, betaln

from airflow_mlops.core.rollout import RolloutPolicy, RolloutVerdict, Side, Traffic, judge_rollout
from airflow_mlops.core.rollout.evidence import SPREAD, log_evidence
from airflow_mlops.exceptions import ConfigurationError, DeploymentError
from bench.rollout import CASES, run

POLICY = RolloutPolicy()
BY_NAME = {case.name: case for case in CASES}


@given(st.integers(0, 60), st.integers(1, 500), st.sampled_from([0.001, 0.01, 0.1, 0.5]))
def test_the_evidence_is_the_formula(hits: int, misses: int, p0: float) -> None:
    a, b, n = *SPREAD, hits + misses
    wanted = (
        betaln(a + hits, b + misses) + math.log(max(1 - betainc(a + hits, b + misses, p0), 1e-300))
        - betaln(a, b) - math.log(1 - betainc(a, b, p0)) - hits * math.log(p0) - misses * math.log(1 - p0)
    )  # fmt: skip
    found = log_evidence(hits, n, p0)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6) or max(found, wanted) < -2


def test_evidence_that_reaches_its_bound_by_chance_is_as_rare_as_promised() -> None:
    """Exactly, by all ways that 600 requests can go, with a look after each."""
    p0, alpha = 0.05, 0.05
    ways, ended = np.zeros(601), 0.0
    ways[0] = 1
    for n in range(1, 601):
        ways[1:] = ways[1:] * (1 - p0) + ways[:-1] * p0
        ways[0] *= 1 - p0
        first = next(k for k in range(n + 2) if k > n or log_evidence(k, n, p0) >= -math.log(alpha))
        ended += ways[first:].sum()
        ways[first:] = 0
    assert 0.005 < ended < alpha


@pytest.mark.parametrize(("name", "least"), [("20 % errors", 0.95), ("ten times slower", 0.95)])
def test_a_bad_candidate_is_caught_within_forty_requests(name: str, least: float) -> None:
    caught = [run(BY_NAME[name], random.Random(i))[0] is not None for i in range(200)]
    assert np.mean(caught) >= least


def test_a_healthy_candidate_stays() -> None:
    case = replace(BY_NAME["healthy"], within=200)
    assert sum(run(case, random.Random(i))[0] is not None for i in range(20)) == 0


def test_a_candidate_is_no_worse_for_what_befalls_both() -> None:
    """A bad hour of the inputs: the champion fails as often."""
    assert judge_rollout(Traffic(Side(900, 270), Side(100, 30), share=0.1), POLICY).decision == "wait"
    assert judge_rollout(Traffic(Side(900, 9), Side(100, 30), share=0.1), POLICY).decision == "take_back"


def test_one_that_fails_always_is_taken_back_at_once() -> None:
    verdict = judge_rollout(Traffic(Side(30, 0), Side(3, 3), share=0.1), POLICY)
    assert (verdict.decision, verdict.reason_code) == ("take_back", "errors")
    assert verdict.summary == (
        "Taken back: it failed 3 of 3 requests (100 %), the champion 0 of 30 (0 %); 1 % is tolerated."
    )


def test_what_was_slow_while_it_warmed_up_does_not_count() -> None:
    warm = Traffic(Side(200, 0, 10), Side(20, 0, 20), share=0.1)
    later = Traffic(Side(4000, 0, 200), Side(450, 0, 40), share=0.1)
    assert judge_rollout(later, POLICY, warm).decision == "accept"
    slow = judge_rollout(replace(later, candidate=Side(450, 0, 200)), POLICY, warm)
    assert (slow.decision, slow.reason_code) == ("take_back", "slow")
    assert "slow on 180 of 430 requests" in slow.summary


def test_it_is_accepted_after_its_budget_and_not_in_doubt() -> None:
    enough = Traffic(Side(4000, 40, 200), Side(400, 4, 20), share=0.1)
    assert judge_rollout(enough, POLICY, Traffic()).decision == "accept"
    few = judge_rollout(replace(enough, candidate=Side(399, 4, 20)), POLICY, Traffic())
    assert few.summary == "Waiting: the candidate had 399 of 400 requests."
    alone = judge_rollout(replace(enough, champion=Side(50, 0, 2)), POLICY, Traffic())
    assert alone.summary == "Waiting: the champion had 50 of 100 requests beside it."
    doubt = judge_rollout(replace(enough, candidate=Side(400, 13, 20)), POLICY, Traffic())
    assert (doubt.decision, doubt.reason_code) == ("wait", "doubt")
    cold = judge_rollout(enough, POLICY)
    assert cold.summary == "Waiting: nothing is known of the candidate after its warm-up."
    unlabelled = judge_rollout(enough, replace(POLICY, labelled=50), Traffic())
    assert unlabelled.summary == "Waiting: the truth of 0 of 50 of the candidate's answers is known."


def test_quality_counts_when_labels_arrive() -> None:
    traffic = Traffic(Side(4000, 0, 0, 1000, 100), Side(400, 0, 0, 100, 40), share=0.1)
    verdict = judge_rollout(traffic, POLICY, Traffic())
    assert (verdict.decision, verdict.reason_code) == ("take_back", "wrong")
    even = replace(traffic, candidate=Side(400, 0, 0, 100, 10))
    assert judge_rollout(even, POLICY, Traffic()).decision == "accept"


def test_a_shadow_is_judged_by_pairs() -> None:
    both = Side(500, 0, 25)
    lost = Traffic(both, both, "shadow", only_candidate=40, only_champion=12)
    assert judge_rollout(lost, POLICY, Traffic()).reason_code == "wrong"
    even = judge_rollout(replace(lost, only_champion=38), POLICY, Traffic())
    assert even.decision == "accept"
    assert "of 78 requests on which one was better, it was the champion on 40" in even.summary


@pytest.mark.parametrize(
    "data",
    [
        {}, {"champion": {}}, {"champion": {}, "candidate": None}, {"champion": {}, "candidate": {"requests": -1}},
        {"champion": {}, "candidate": {"requests": 1, "errors": 2}}, {"champion": {}, "candidate": {"requests": 1.5}},
        {"champion": {}, "candidate": {}, "mode": "blue"}, {"champion": {}, "candidate": {}, "share": 2},
    ],
)  # fmt: skip
def test_counts_that_make_no_sense_are_refused(data: Any) -> None:
    with pytest.raises(DeploymentError):
        Traffic.from_json(data)


@pytest.mark.parametrize("change", [{"alpha": 0}, {"errors": 1}, {"slow": None}, {"requests": 0}, {"doubt": math.nan}])
def test_a_policy_that_cannot_work_is_refused(change: Any) -> None:
    with pytest.raises(ConfigurationError):
        RolloutPolicy.from_json(change)


def test_all_of_it_is_json() -> None:
    traffic = Traffic(Side(10**6, 0), Side(10**5, 10**5), share=0.1)
    verdict = judge_rollout(traffic, POLICY, Traffic())
    assert RolloutVerdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict
    assert Traffic.from_json(json.loads(json.dumps(traffic.to_json()))) == traffic
    assert RolloutPolicy.from_json(POLICY.to_json()) == POLICY
