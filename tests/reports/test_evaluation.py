import re
from dataclasses import replace

import numpy as np
import pytest

from airflow_mlops.core.evaluation import Evaluation, evaluate
from airflow_mlops.core.gate import GatePolicy, judge
from airflow_mlops.reports.evaluation import evaluation_page

EVIL = "<script>alert('x')</script>"
POLICY = GatePolicy.from_json({"metric": "roc_auc", "at_most": {"roc_auc": 0.95}, "min_positives": 50})


def evaluated(**facts: object) -> Evaluation:
    rng = np.random.default_rng(0)
    signal, day = rng.normal(size=600), np.arange(600) % 24
    y = (rng.random(600) < 1 / (1 + np.exp(1 - 2 * signal))).astype(int)
    candidate, champion = (1 / (1 + np.exp(1 - signal - rng.normal(0, s, 600))) for s in (0.3, 2))
    found = evaluate(
        "classification",
        "roc_auc",
        y,
        candidate,
        champion=champion,
        baseline=np.full(600, y.mean()),
        clusters=day,
        alpha=POLICY.look_alpha,
        seed=1,
    )
    return replace(found, champion_version="3", cluster_name="days", baseline_by=("carrier", "hour"), **facts)


def nothing() -> Evaluation:
    return evaluate("classification", "roc_auc", [1, 1], [0.1, 0.2], champion=[0.1, 0.3], alpha=0.01, seed=1)


def test_the_page_loads_and_runs_nothing():
    html = evaluation_page(evaluated(), judge(evaluated(), POLICY))
    assert not re.search(r"https?://|//[a-z]|src=|href=|url\(|@import|<script|<link|<iframe|\bon[a-z]+=", html)


def test_everything_from_outside_is_escaped():
    html = evaluation_page(evaluated(data_version=EVIL, champion_excluded=EVIL, test_start=EVIL))
    assert EVIL not in html
    assert html.count("&lt;script&gt;") == 3


def test_the_page_tells_the_verdict_its_checks_and_both_comparisons():
    evaluation = evaluated()
    verdict = judge(evaluation, POLICY)
    html = evaluation_page(evaluation, verdict)
    assert verdict.promote
    assert 'class="card verdict good"' in html
    assert verdict.summary in html
    assert html.count('class="pill good">passed') == len(verdict.checks)
    assert html.count("<svg") == 2
    assert "Version 3" in html
    assert "600 rows (24 days)" in html
    assert "mean by carrier, hour" in html
    assert "bootstrap of whole clusters, alpha 0.0042" in html


def test_without_a_verdict_the_page_shows_the_interval():
    evaluation = evaluated()
    low, high = evaluation.intervals["roc_auc"]
    html = evaluation_page(evaluation)
    assert f"AUC {evaluation.candidate['roc_auc']:.3f}" in html
    assert f"The 95% interval is {low:.3f} to {high:.3f}." in html
    assert "Every check" not in html


@pytest.mark.parametrize("with_verdict", [False, True])
def test_a_test_that_says_nothing_is_a_page_too(with_verdict):
    html = evaluation_page(nothing(), judge(nothing(), POLICY) if with_verdict else None)
    assert 'class="card verdict bad"' in html
    assert "no number" in html
    assert "<svg" not in html
    assert not re.search(r"\bnan\b", html)


def test_the_pictures_stay_inside_their_frame_and_point_the_right_way():
    html = evaluation_page(evaluated())
    drawn = [
        [float(place) for place in found]
        for found in re.findall(
            r'x1="([-\d.]+)" y1="0" x2="([-\d.]+)" y2="0" />\s*<circle class="\w+" cx="([-\d.]+)"', html
        )
    ]
    assert len(drawn) == 2
    for low, high, mid in drawn:
        assert 0 < low < mid < high <= 90


def test_a_regression_without_champion_has_no_column_for_one():
    html = evaluation_page(Evaluation("regression", "mae", 500, {"mae": 2.5}))
    assert "Mean absolute error 2.500" in html
    assert "There is no interval." in html
    assert "Smallest it could have seen" not in html
    assert "The champion" not in html
