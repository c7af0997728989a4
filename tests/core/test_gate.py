"""The gate's verdicts: what promotes, what does not, and that nothing promotes by accident."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops.core.evaluation import Comparison, Evaluation, evaluate
from airflow_mlops.core.gate import ChampionRule, GatePolicy, Verdict, judge
from airflow_mlops.exceptions import ConfigurationError

POLICY = GatePolicy.from_json(
    {
        "metric": "roc_auc",
        "at_least": {"roc_auc": 0.6},
        "at_most": {"roc_auc": 0.8, "log_loss": 0.6},
        "baseline": {"margin": 0.0},
        "champion": {"rule": "superior", "margin": 0.005},
        "not_worse": {"log_loss": 0.01},
    }
)
REFRESH = replace(POLICY, champion=ChampionRule("non_inferior", 0.005))
NAN = math.nan


def compared(difference: float, se: float = 0.002, metric: str = "roc_auc", candidate: float = 0.72) -> Comparison:
    """A comparison with bounds as a test at the policy's alpha draws them."""
    other = candidate - difference if metric == "roc_auc" else candidate + difference
    half, least = 2.64 * se, 3.48 * se
    bounds = (difference, difference - half, difference + half, se)
    return Comparison(
        metric, candidate, other, *bounds, POLICY.look_alpha, "cluster_bootstrap", 24_810, 28, minimum_detectable=least
    )


def evaluated(difference: float = 0.02, se: float = 0.002, **changes: Any) -> Evaluation:
    """A good candidate, better than the baseline, against version 3."""
    values: dict[str, Any] = {
        "task": "classification",
        "metric": "roc_auc",
        "rows": 24_810,
        "positives": 5_400,
        "clusters": 28,
        "cluster_name": "days",
        "candidate": {"roc_auc": 0.72, "log_loss": 0.5},
        "champion": {"roc_auc": 0.72 - difference, "log_loss": 0.51},
        "champion_version": "3",
        "baseline": {"roc_auc": 0.65, "log_loss": 0.55},
        "comparisons": {
            "champion": {
                "roc_auc": compared(difference, se),
                "log_loss": compared(0.01, metric="log_loss", candidate=0.5),
            },
            "baseline": {"roc_auc": compared(0.07)},
        },
    }
    return Evaluation(**{**values, **changes})


def against(other: str, metric: str, /, **changes: Any) -> Evaluation:
    """The good evaluation with one comparison spoilt."""
    good = evaluated()
    comparisons = {name: dict(found) for name, found in good.comparisons.items()}
    comparisons[other][metric] = replace(comparisons[other][metric], **changes)
    return replace(good, comparisons=comparisons)


def without(other: str, metric: str) -> Evaluation:
    good = evaluated()
    comparisons = {name: dict(found) for name, found in good.comparisons.items()}
    del comparisons[other][metric]
    return replace(good, comparisons=comparisons)


# --- the decisions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "evaluation", "decision", "code"),
    [
        pytest.param(POLICY, evaluated(0.02), "promote", "better", id="certainly better"),
        pytest.param(POLICY, evaluated(0.002, se=0.001), "hold", "not_better", id="a test that would have seen it"),
        pytest.param(POLICY, evaluated(0.004, se=0.002), "inconclusive", "cannot_tell", id="too blunt a test"),
        pytest.param(POLICY, evaluated(-0.02), "reject", "worse", id="certainly worse"),
        pytest.param(POLICY, evaluated(0.0, se=0.0), "hold", "not_better", id="the same predictions"),
        pytest.param(REFRESH, evaluated(0.02), "promote", "better", id="better is no refresh"),
        pytest.param(REFRESH, evaluated(0.0, se=0.001), "promote", "refresh", id="not worse"),
        pytest.param(REFRESH, evaluated(0.0, se=0.0), "promote", "refresh", id="the same predictions refresh"),
        pytest.param(REFRESH, evaluated(-0.003, se=0.001), "reject", "worse", id="worse, perhaps by too much"),
        pytest.param(REFRESH, evaluated(-0.002, se=0.002), "inconclusive", "cannot_tell", id="perhaps too much worse"),
        pytest.param(POLICY, evaluated(champion=None, champion_version=None, comparisons={
            "baseline": {"roc_auc": compared(0.07)}}), "promote", "first_champion", id="no champion"),
        pytest.param(POLICY, evaluated(champion=None, champion_excluded="Version 3 was trained on rows of this test.",
            comparisons={"baseline": {"roc_auc": compared(0.07)}}), "promote", "champion_excluded", id="excluded"),
        pytest.param(POLICY, evaluated(rows=400, positives=200), "promote", "better", id="just enough"),
        pytest.param(POLICY, evaluated(rows=99), "inconclusive", "too_few_rows", id="few rows"),
        pytest.param(POLICY, evaluated(positives=199), "inconclusive", "too_few_positives", id="few positives"),
        pytest.param(POLICY, evaluated(positives=24_700), "inconclusive", "too_few_positives", id="few negatives"),
        pytest.param(POLICY, evaluated(candidate={"roc_auc": 0.5, "log_loss": 0.5}), "reject", "not_good_enough"),
        pytest.param(POLICY, evaluated(candidate={"roc_auc": 0.7, "log_loss": 0.7}), "reject", "not_good_enough"),
        pytest.param(POLICY, evaluated(candidate={"roc_auc": 0.9, "log_loss": 0.3}), "reject", "too_good", id="a leak"),
        pytest.param(POLICY, against("baseline", "roc_auc", difference=-0.1, lower=-0.2, upper=0.1), "reject",
            "not_better_than_baseline", id="below the baseline"),
        pytest.param(POLICY, against("baseline", "roc_auc", difference=0.1, lower=-0.2, upper=0.3), "inconclusive",
            "baseline_cannot_tell", id="perhaps above the baseline"),
        pytest.param(POLICY, against("champion", "log_loss", difference=-0.05, lower=-0.06, upper=-0.04), "reject",
            "secondary_worse", id="certainly lossier"),
        pytest.param(POLICY, against("champion", "log_loss", difference=-0.02, lower=-0.05, upper=0.01), "promote",
            "better", id="perhaps lossier"),
        pytest.param(GatePolicy("mae", baseline=None), Evaluation("regression", "mae", 500, {"mae": 2.0}), "promote",
            "first_champion", id="a regression needs no positives"),
    ],
)  # fmt: skip
def test_decisions(policy: GatePolicy, evaluation: Evaluation, decision: str, code: str) -> None:
    verdict = judge(evaluation, policy)
    assert (verdict.decision, verdict.reason_code) == (decision, code)
    assert verdict.promote == (decision == "promote")
    assert all(check.status == "passed" for check in verdict.checks if check.name != "log_loss not worse") or not (
        verdict.promote
    )


def test_a_verdict_tells_the_numbers_in_one_sentence() -> None:
    told = judge(evaluated(-0.005, se=0.0034), POLICY).summary
    assert told == (
        "Undecided: AUC 0.720 against 0.725 of version 3 on the same 24,810 rows (28 days); the difference -0.005 lies "
        "in [-0.014, +0.004], and the smallest this test could have seen is 0.012."
    )
    leak = judge(evaluated(candidate={"roc_auc": 0.9, "log_loss": 0.3}), POLICY).summary
    assert leak == "Refused: AUC 0.900 on 24,810 rows (28 days) is above 0.800, better than is honest: look for a leak."
    first = judge(
        evaluated(champion=None, champion_version=None, comparisons={}), replace(POLICY, baseline=None)
    ).summary
    assert first == (
        "Accepted as the first champion: AUC 0.720 on 24,810 rows (28 days); there is no champion to compare with."
    )


def test_an_excluded_champion_is_named_with_the_reason() -> None:
    evaluation = evaluated(champion=None, champion_excluded="Version 3 saw these rows.", comparisons={})
    assert judge(evaluation, replace(POLICY, baseline=None)).summary == (
        "Accepted without a champion to compare with: AUC 0.720 on 24,810 rows (28 days); Version 3 saw these rows."
    )


def test_the_first_check_that_does_not_hold_decides_and_all_are_told() -> None:
    verdict = judge(evaluated(-0.02, rows=99, positives=50), POLICY)
    assert verdict.reason_code == "too_few_rows"
    assert {check.name: check.status for check in verdict.checks} == {
        "measured": "passed",
        "rows": "undecided",
        "positives": "undecided",
        "roc_auc at least": "passed",
        "roc_auc at most": "passed",
        "log_loss at most": "passed",
        "baseline": "passed",
        "log_loss not worse": "passed",
        "champion": "failed",
    }


def test_a_backfill_is_judged_alike_and_marked_historical() -> None:
    live, historical = judge(evaluated(), POLICY), judge(evaluated(), POLICY, run_type="backfill", as_of="2026-10-01")
    assert (live.historical, historical.historical) == (False, True)
    assert (live.decision, live.checks) == (historical.decision, historical.checks)
    assert historical.to_json()["historical"] is True


@pytest.mark.parametrize("evaluation", [evaluated(), evaluated(rows=0), against("champion", "roc_auc", lower=NAN)])
def test_a_verdict_survives_json(evaluation: Evaluation) -> None:
    verdict = judge(evaluation, POLICY, run_type="backfill", as_of="2026-10-01T00:00:00+00:00")
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict


# --- nothing promotes by accident ------------------------------------------------------------------------------------

BAD_NUMBERS: list[Any] = [NAN, math.inf, -math.inf, None, "0.72", True]
SPOILT = [
    *[evaluated(candidate={"roc_auc": bad, "log_loss": 0.5}) for bad in BAD_NUMBERS],
    *[evaluated(candidate={"roc_auc": 0.72, "log_loss": bad}) for bad in BAD_NUMBERS],
    *[evaluated(champion={"roc_auc": bad, "log_loss": 0.51}) for bad in BAD_NUMBERS],
    *[evaluated(champion={"roc_auc": 0.7, "log_loss": bad}) for bad in BAD_NUMBERS],
    *[evaluated(baseline={"roc_auc": bad}) for bad in BAD_NUMBERS],
    *[
        against(other, "roc_auc", **{name: bad})
        for other in ("champion", "baseline")
        for name in ("candidate", "other", "difference", "lower", "upper", "se", "minimum_detectable", "alpha")
        for bad in (NAN, math.inf, None)
    ],
    against("champion", "log_loss", lower=NAN),
    against("champion", "roc_auc", lower=0.03),
    against("champion", "roc_auc", alpha=0.05),
    without("champion", "roc_auc"),
    without("champion", "log_loss"),
    without("baseline", "roc_auc"),
    evaluated(candidate={}),
    evaluated(candidate={"roc_auc": 0.72}),
    evaluated(candidate={"log_loss": 0.5}),
    evaluated(champion={}),
    evaluated(champion=None),
    evaluated(champion=None, comparisons={"baseline": {"roc_auc": compared(0.07)}}),
    evaluated(baseline=None),
    evaluated(comparisons={}),
    evaluated(rows=0),
    evaluated(rows=-5),
    evaluated(rows=NAN),
    evaluated(rows=True),
    evaluated(positives=None),
    evaluated(positives=NAN),
    evaluated(positives=0),
]


def test_the_good_evaluation_does_promote() -> None:
    assert judge(evaluated(), POLICY).promote
    assert judge(evaluated(), REFRESH).promote


@pytest.mark.parametrize("policy", [POLICY, REFRESH], ids=["superior", "non_inferior"])
@pytest.mark.parametrize("evaluation", SPOILT, ids=range(len(SPOILT)))
def test_what_is_no_number_or_not_there_never_promotes(evaluation: Evaluation, policy: GatePolicy) -> None:
    verdict = judge(evaluation, policy)
    assert verdict.decision in ("reject", "inconclusive")
    json.dumps(verdict.to_json(), allow_nan=False)


def test_a_stricter_comparison_than_asked_for_is_taken() -> None:
    assert judge(against("champion", "roc_auc", alpha=0.001), POLICY).promote


@pytest.mark.parametrize(
    ("y", "candidate"),
    [
        pytest.param([1] * 300, [0.9] * 300, id="one class"),
        pytest.param([], [], id="empty"),
        pytest.param([0, 1] * 300, [0.1, NAN] * 300, id="NaN predictions"),
        pytest.param([0, 1] * 300, [0.1, math.inf] * 300, id="infinite predictions"),
    ],
)
def test_a_real_evaluation_that_says_nothing_never_promotes(y: Any, candidate: Any) -> None:
    policy = GatePolicy("roc_auc", baseline=None, min_positives=0, min_rows=1)
    found = evaluate("classification", "roc_auc", y, candidate, alpha=policy.look_alpha, seed=1)
    assert judge(found, policy).decision == "reject"


anything = st.one_of(st.floats(), st.floats(-1, 1), st.none(), st.booleans(), st.text(max_size=3))


@settings(max_examples=300, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from(["candidate", "other", "difference", "lower", "upper", "se", "minimum_detectable", "alpha"]),
        anything,
        max_size=4,
    ),
    policy=st.sampled_from([POLICY, REFRESH]),
)
def test_whatever_a_comparison_holds_a_promotion_has_a_positive_bound(
    changes: dict[str, Any], policy: GatePolicy
) -> None:
    evaluation = against("champion", "roc_auc", **changes)
    if judge(evaluation, policy).promote:
        found = evaluation.comparisons["champion"]["roc_auc"]
        assert found.lower > (0 if policy is POLICY else -0.005)
        assert found.lower <= found.difference <= found.upper
        assert found.alpha <= policy.look_alpha * 1.001


@settings(max_examples=200, deadline=None)
@given(
    se=st.floats(0, 0.05),
    smaller=st.floats(-0.1, 0.1),
    gain=st.floats(0, 0.1),
    policy=st.sampled_from([POLICY, REFRESH]),
)
def test_a_better_candidate_is_never_judged_worse(se: float, smaller: float, gain: float, policy: GatePolicy) -> None:
    rank = {"reject": 0, "inconclusive": 1, "hold": 1, "promote": 2}
    less, more = (judge(evaluated(difference, se), policy).decision for difference in (smaller, smaller + gain))
    assert rank[less] <= rank[more]


@settings(max_examples=100, deadline=None)
@given(difference=st.floats(-0.1, 0.1), se=st.floats(0, 0.05))
def test_the_verdict_is_a_function_of_the_evaluation(difference: float, se: float) -> None:
    evaluation = evaluated(difference, se)
    again = Evaluation.from_json(json.loads(json.dumps(evaluation.to_json())))
    assert judge(evaluation, POLICY) == judge(again, POLICY)
    if judge(evaluation, POLICY).promote:
        assert judge(evaluation, REFRESH).promote


def test_equal_models_are_hardly_ever_promoted_and_a_better_one_is() -> None:
    """Monthly retrains of an equal model: point values would promote half of them."""
    policy = GatePolicy("roc_auc", baseline=None, min_positives=50)
    runs, promoted, ahead, found = 400, 0, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        signal = rng.normal(size=500)
        y = (rng.random(500) < 1 / (1 + np.exp(1 - 1.5 * signal))).astype(int)
        first, second, better = (1 / (1 + np.exp(-signal - rng.normal(0, s, 500))) for s in (1, 1, 0.3))
        equal = evaluate("classification", "roc_auc", y, first, champion=second, alpha=policy.look_alpha, seed=seed)
        promoted += judge(equal, policy).promote
        ahead += equal.comparisons["champion"]["roc_auc"].difference > 0
        if seed < 50:
            real = evaluate("classification", "roc_auc", y, better, champion=second, alpha=policy.look_alpha, seed=seed)
            found += judge(real, policy).promote
    assert 0.4 < ahead / runs < 0.6
    # At 0.0042 a look 1.7 of 400 are expected; more than 6 come once in a thousand times.
    assert promoted <= 6
    assert found >= 40


# --- the policy is read strictly -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["0.6", True, NAN, math.inf, -math.inf, None, [0.6]])
@pytest.mark.parametrize(
    "place",
    [
        lambda x: {"at_least": {"roc_auc": x}},
        lambda x: {"at_most": {"roc_auc": x}},
        lambda x: {"not_worse": {"log_loss": x}},
        lambda x: {"baseline": {"margin": x}},
        lambda x: {"champion": {"margin": x}},
        lambda x: {"alpha": x},
        lambda x: {"min_rows": x},
        lambda x: {"min_positives": x},
        lambda x: {"looks_per_year": x},
    ],
    ids=["at_least", "at_most", "not_worse", "baseline", "champion", "alpha", "min_rows", "min_positives", "looks"],
)
def test_a_threshold_that_is_no_finite_number_is_refused(place: Any, bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="number"):
        GatePolicy.from_json({"metric": "roc_auc", **place(bad)})


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({}, "name the metric"),
        ({"metric": 5}, "name the metric"),
        ("roc_auc", "not a mapping"),
        ({"metric": "auc"}, "'auc' is unknown"),
        ({"metric": "positive_rate"}, "describes"),
        ({"metric": "roc_auc", "at_lest": {"roc_auc": 0.6}}, "policy has no at_lest; it knows metric, at_least"),
        ({"metric": "roc_auc", "at_least": {"auc": 0.6}}, "'auc' is unknown"),
        ({"metric": "roc_auc", "at_least": 0.6}, "not a mapping"),
        ({"metric": "roc_auc", "not_worse": ["log_loss"]}, "not a mapping"),
        ({"metric": "roc_auc", "not_worse": {"log_loss": -0.1}}, "below 0"),
        ({"metric": "roc_auc", "baseline": {"margin": -0.1}}, "below 0"),
        ({"metric": "roc_auc", "baseline": {"margins": 0.1}}, "baseline has no margins"),
        ({"metric": "roc_auc", "champion": {"rule": "equal"}}, "'equal' is not one of superior, non_inferior"),
        ({"metric": "roc_auc", "champion": None}, "not a mapping"),
        ({"metric": "roc_auc", "champion": {"margin": -1}}, "below 0"),
        ({"metric": "roc_auc", "alpha": 0}, "between"),
        ({"metric": "roc_auc", "alpha": 0.5}, "between"),
        ({"metric": "roc_auc", "looks_per_year": 0}, "below 1"),
        ({"metric": "roc_auc", "min_rows": 0}, "below 1"),
        ({"metric": "roc_auc", "min_positives": 12.5}, "whole number"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(policy: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GatePolicy.from_json(policy)


@pytest.mark.parametrize("policy", [POLICY, REFRESH, GatePolicy("mae", baseline=None)])
def test_a_policy_survives_json(policy: GatePolicy) -> None:
    assert GatePolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


def test_alpha_is_shared_over_the_looks_of_a_year() -> None:
    assert GatePolicy("roc_auc").look_alpha == pytest.approx(0.05 / 12)
    assert GatePolicy("roc_auc", alpha=0.1, looks_per_year=4).look_alpha == pytest.approx(0.025)
