"""Metrics, paired comparisons and the baseline, against scikit-learn, brute force and simulated truth."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from airflow_mlops.core.evaluation import (
    METRICS,
    Comparison,
    Evaluation,
    compare,
    evaluate,
    fit_baseline,
    formulas,
    higher_is_better,
    interval,
    metrics,
)
from airflow_mlops.exceptions import ConfigurationError, DataError

COMPARED = [("classification", name) for name, m in METRICS["classification"].items() if m.better] + [
    ("regression", name) for name, m in METRICS["regression"].items() if m.better
]


def scored(n: int = 400, seed: int = 0, digits: int = 2) -> tuple[Any, Any, Any]:
    """Labels and two models' probabilities, rounded so that many are equal."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(1 - signal))).astype(int)
    first, second = (1 / (1 + np.exp(1 - signal - rng.normal(size=n))) for _ in range(2))
    return y, first.round(digits), second.round(digits)


def valued(n: int = 300, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.normal(10, 3, n)
    return y, y + rng.normal(0, 1, n), y + rng.normal(0, 1, n)


def data_for(task: str) -> tuple[Any, Any, Any]:
    return scored() if task == "classification" else valued()


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_binary_metrics_are_those_of_scikit_learn() -> None:
    y, p, _ = scored()
    found = metrics("classification", y, p)
    assert found == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(y, p),
            "average_precision": sk.average_precision_score(y, p),
            "log_loss": sk.log_loss(y, p),
            "brier": sk.brier_score_loss(y, p),
            "accuracy": sk.accuracy_score(y, p > 0.5),
            "positive_rate": y.mean(),
            "mean_prediction": p.mean(),
            "ece": found["ece"],
        }
    )


def test_calibration_error_is_zero_for_honest_probabilities_and_the_distance_for_others() -> None:
    y = [0, 0, 0, 1] * 100
    assert metrics("classification", y, [0.25] * 400)["ece"] == pytest.approx(0)
    assert metrics("classification", y, [0.65] * 400)["ece"] == pytest.approx(0.4)


def test_multiclass_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    p = rng.dirichlet([1, 1, 1], 300) + np.eye(3)[y] * 0.3
    p /= p.sum(axis=1, keepdims=True)
    assert metrics("classification", y, p) == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(y, p, multi_class="ovr", average="macro"),
            "log_loss": sk.log_loss(y, p),
            "accuracy": sk.accuracy_score(y, p.argmax(axis=1)),
        }
    )


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    y, p, _ = valued()
    assert metrics("regression", y, p) == pytest.approx(
        {
            "mae": sk.mean_absolute_error(y, p),
            "rmse": sk.root_mean_squared_error(y, p),
            "r2": sk.r2_score(y, p),
            "mean_error": (p - y).mean(),
            "mean_prediction": p.mean(),
        }
    )


def test_clustering_is_measured_on_its_features() -> None:
    rng = np.random.default_rng(2)
    features, clusters = rng.normal(size=(60, 2)), np.arange(60) % 3
    features[:, 0] += 8 * clusters
    assert metrics("clustering", features, clusters) == {
        "silhouette": pytest.approx(sk.silhouette_score(features, clusters))
    }


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.integers(0, 4)),
        min_size=2,
        max_size=60,
    )
)
def test_weighted_ranking_metrics_are_those_of_scikit_learn_with_ties_and_rows_left_out(rows: list[Any]) -> None:
    y, p, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if len(set(y[w > 0])) < 2:
        with np.errstate(all="ignore"):
            assert math.isnan(formulas.roc_auc(y, p)(w))
        return
    assert formulas.roc_auc(y, p)(w) == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), abs=1e-10)
    expected = sk.average_precision_score(y, p, sample_weight=w)
    assert formulas.average_precision(y, p)(w) == pytest.approx(expected, abs=1e-10)


NOTHING_TO_SAY: list[Any] = [
    pytest.param("classification", [], [], id="empty"),
    pytest.param("classification", [1, 1], [0.2, 0.7], id="positives only"),
    pytest.param("classification", [0, 0], [0.2, 0.7], id="negatives only"),
    pytest.param("classification", [0, 1], [0.2, math.nan], id="NaN prediction"),
    pytest.param("classification", [0, 1], [0.2, math.inf], id="infinite prediction"),
    pytest.param("classification", [0, math.nan], [0.2, 0.4], id="NaN label"),
    pytest.param("classification", [0, 1], [-0.1, 0.4], id="probability below 0"),
    pytest.param("classification", [0, 1], [0.1, 1.4], id="probability above 1"),
    pytest.param("classification", [1, 2], [0.1, 0.4], id="labels 1 and 2"),
    pytest.param("classification", [0, 3], [[0.1, 0.4, 0.5]] * 2, id="a class without a column"),
    pytest.param("classification", [[0], [1]], [0.1, 0.4], id="labels as a matrix"),
    pytest.param("regression", [], [], id="empty regression"),
    pytest.param("regression", [1.0, 2.0], [1.0, math.nan], id="NaN value"),
    pytest.param("regression", [1.0, 2.0], [[1.0], [2.0]], id="values as a matrix"),
    pytest.param("clustering", [[1.0], [2.0], [3.0]], [0, 0, 0], id="one cluster"),
]


@pytest.mark.parametrize(("task", "y", "prediction"), NOTHING_TO_SAY)
def test_a_test_that_says_nothing_has_no_metric(task: str, y: Any, prediction: Any) -> None:
    found = metrics(task, y, prediction)
    assert found
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("task", "y", "prediction"), [case for case in NOTHING_TO_SAY if "clustering" not in case.values]
)
def test_a_test_that_says_nothing_compares_nothing(task: str, y: Any, prediction: Any) -> None:
    name = "roc_auc" if task == "classification" else "rmse"
    found = compare(name, y, prediction, prediction, alpha=0.05, seed=1)
    assert all(map(math.isnan, (found.difference, found.lower, found.upper, found.se, found.minimum_detectable)))
    assert all(map(math.isnan, interval(name, y, prediction, seed=1)))


def test_constant_values_explain_nothing() -> None:
    assert math.isnan(metrics("regression", [2.0, 2.0], [1.0, 2.0])["r2"])


def test_text_labels_and_unequal_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="must be numbers"):
        metrics("classification", ["yes", "no"], [0.1, 0.2])
    with pytest.raises(DataError, match="3, 2 rows"):
        metrics("classification", [0, 1, 1], [0.1, 0.2])
    with pytest.raises(DataError, match="Clusters"):
        compare("mae", [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], clusters=["a"], alpha=0.05, seed=1)
    with pytest.raises(DataError, match="none may be missing"):
        compare("mae", [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], clusters=["a", None], alpha=0.05, seed=1)


def test_what_describes_cannot_decide() -> None:
    with pytest.raises(ConfigurationError, match="describes"):
        higher_is_better("positive_rate")
    with pytest.raises(ConfigurationError, match="unknown: use one of accuracy"):
        compare("auc", [0, 1], [0.1, 0.2], [0.1, 0.2], alpha=0.05, seed=1)
    with pytest.raises(ConfigurationError, match="Task 'ranking'"):
        metrics("ranking", [0], [0])


# --- comparisons -----------------------------------------------------------------------------------------------------


def test_delong_is_its_definition_over_all_pairs() -> None:
    y, first, second = scored(150, seed=3)
    kernels = []
    for p in (first, second):
        gap = p[y == 1][:, None] - p[y == 0][None, :]
        kernels.append((gap > 0) + 0.5 * (gap == 0))
    positive = np.cov([k.mean(axis=1) for k in kernels])
    negative = np.cov([k.mean(axis=0) for k in kernels])
    covariance = positive / (y == 1).sum() + negative / (y == 0).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    found = compare("roc_auc", y, first, second, alpha=0.05, seed=1)
    assert found.method == "delong"
    assert found.se == pytest.approx(variance**0.5, rel=1e-12)
    assert found.candidate == pytest.approx(sk.roc_auc_score(y, first))
    assert found.upper - found.difference == pytest.approx(1.6448536 * found.se)


@pytest.mark.parametrize("name", ["roc_auc", "mae"])
def test_equal_models_are_called_better_as_often_as_alpha_says(name: str) -> None:
    make = scored if name == "roc_auc" else valued
    runs, alpha = 600, 0.05
    better = 0
    for seed in range(runs):
        y, first, second = make(200, seed=seed)
        better += compare(name, y, first, second, alpha=alpha, seed=1).lower > 0
    # Four standard errors of a share of 5 % of 600.
    assert abs(better / runs - alpha) < 4 * (alpha * (1 - alpha) / runs) ** 0.5


def day_like(seed: int, days: int = 24, per_day: int = 25) -> tuple[Any, Any, Any, Any]:
    """Two equally good models whose errors, and the labels, share what happened on the day."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    signal = rng.normal(size=len(day))
    y = (rng.random(len(day)) < 1 / (1 + np.exp(1 - signal - rng.normal(size=days)[day]))).astype(int)
    first, second = (1 / (1 + np.exp(-signal - rng.normal(size=days)[day])) for _ in range(2))
    return y, first, second, day


def test_rows_that_share_a_day_make_delong_far_too_sure_and_the_cluster_bootstrap_not() -> None:
    runs, alpha = 150, 0.05
    naive, clustered = 0, 0
    for seed in range(runs):
        y, first, second, day = day_like(seed)
        naive += compare("roc_auc", y, first, second, alpha=alpha, seed=seed).lower > 0
        clustered += (
            compare("roc_auc", y, first, second, clusters=day, alpha=alpha, seed=seed, replicates=150).lower > 0
        )
    assert naive / runs > 2.5 * alpha
    assert clustered / runs < alpha + 3 * (alpha * (1 - alpha) / runs) ** 0.5


def test_the_cluster_bootstrap_is_what_repeating_the_rows_gives() -> None:
    y, first, second, day = day_like(7, days=12)
    replicates, drawn = 60, []
    rng = np.random.default_rng(5)
    for _ in range(replicates):
        rows = np.concatenate([np.flatnonzero(day == d) for d in rng.integers(0, 12, 12)])
        drawn.append(sk.roc_auc_score(y[rows], first[rows]) - sk.roc_auc_score(y[rows], second[rows]))
    found = compare("roc_auc", y, first, second, clusters=day, alpha=0.05, seed=5, replicates=replicates)
    assert found.method == "cluster_bootstrap"
    assert found.clusters == 12
    assert found.se == pytest.approx(np.std(drawn, ddof=1) * (12 / 11) ** 0.5, abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "brier"])
def test_the_bootstrap_of_single_rows_agrees_with_the_closed_form(name: str) -> None:
    y, first, second = scored(500, seed=4)
    closed = compare(name, y, first, second, alpha=0.05, seed=1)
    drawn = compare(name, y, first, second, clusters=np.arange(500), alpha=0.05, seed=1, replicates=2000)
    assert (closed.method, drawn.method) == ("t", "cluster_bootstrap")
    assert drawn.se == pytest.approx(closed.se, rel=0.08)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    runs, held = 200, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(20), 20)
        p = np.full(400, 0.4)
        wrong = rng.beta(2, 4, 20)[day]
        low, high = interval(
            "accuracy", (rng.random(400) < wrong).astype(int), p, clusters=day, seed=seed, replicates=200
        )
        held += low <= 2 / 3 <= high
    assert 0.90 <= held / runs <= 0.985


def test_an_interval_of_a_mean_is_that_of_student() -> None:
    y, p, _ = valued(40)
    errors = np.abs(y - p)
    expected = stats.t.interval(0.9, 39, errors.mean(), stats.sem(errors))
    assert interval("mae", y, p, level=0.9, seed=1) == pytest.approx(expected)


def test_the_minimum_detectable_difference_is_found_four_times_out_of_five() -> None:
    runs, n, alpha = 600, 60, 0.05 / 12
    rng = np.random.default_rng(9)
    y, base = np.zeros(n), np.full(n, 10.0)
    least = np.mean(
        [compare("mae", y, base + rng.normal(size=n), base, alpha=alpha, seed=1).minimum_detectable for _ in range(50)]
    )
    found = [
        compare("mae", y, base + rng.normal(size=n) - least, base, alpha=alpha, seed=1).lower > 0 for _ in range(runs)
    ]
    assert 0.72 < np.mean(found) < 0.87


@pytest.mark.parametrize(("task", "name"), COMPARED)
@pytest.mark.parametrize("clustered", [False, True])
def test_swapping_the_models_turns_the_comparison_round(task: str, name: str, clustered: bool) -> None:
    y, first, second = data_for(task)
    clusters = np.arange(len(y)) % 15 if clustered else None
    one = compare(name, y, first, second, clusters=clusters, alpha=0.01, seed=3, replicates=100)
    two = compare(name, y, second, first, clusters=clusters, alpha=0.01, seed=3, replicates=100)
    assert one.se > 0
    assert (one.difference, one.lower, one.upper) == pytest.approx((-two.difference, -two.upper, -two.lower))
    assert one.se == pytest.approx(two.se)


@pytest.mark.parametrize(("task", "name"), COMPARED)
def test_the_sign_says_which_model_is_better(task: str, name: str) -> None:
    y, first, _ = data_for(task)
    worse = np.full(len(y), 0.9) if task == "classification" else first + 9
    assert compare(name, y, first, worse, alpha=0.05, seed=1, replicates=50).difference > 0


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "log_loss"])
def test_the_same_seed_gives_the_same_comparison_whatever_the_order_of_the_rows(name: str) -> None:
    y, first, second, day = day_like(1)
    one = compare(name, y, first, second, clusters=day, alpha=0.01, seed=3, replicates=100)
    assert one == compare(name, y, first, second, clusters=day, alpha=0.01, seed=3, replicates=100)
    mixed = np.random.default_rng(0).permutation(len(y))
    days = np.array([f"2026-10-{d + 1:02}" for d in day])
    other = compare(
        name, y[mixed], first[mixed], second[mixed], clusters=days[mixed], alpha=0.01, seed=3, replicates=100
    )
    assert (other.difference, other.se) == pytest.approx((one.difference, one.se))


def test_a_model_against_itself_differs_by_nothing() -> None:
    y, first, _ = scored()
    found = compare("roc_auc", y, first, first, alpha=0.05, seed=1)
    assert (found.difference, found.lower, found.upper, found.minimum_detectable) == (0, 0, 0, 0)


def test_few_clusters_are_flagged_and_one_gives_no_bounds() -> None:
    y, first, second = scored()
    few = compare("roc_auc", y, first, second, clusters=np.arange(400) % 6, alpha=0.05, seed=1, replicates=50)
    assert few.note == "only 6 clusters: the bounds are rough"
    many = compare("roc_auc", y, first, second, clusters=np.arange(400) % 10, alpha=0.05, seed=1, replicates=50)
    assert many.note is None
    one = compare("roc_auc", y, first, second, clusters=np.zeros(400), alpha=0.05, seed=1, replicates=50)
    assert math.isfinite(one.difference)
    assert math.isnan(one.lower)
    assert math.isnan(one.upper)


def test_classes_that_most_draws_miss_give_no_bounds() -> None:
    y = np.r_[np.ones(2), np.zeros(58)]
    p = np.linspace(1, 0, 60)
    found = compare("roc_auc", y, p, p[::-1], clusters=np.arange(60) // 2, alpha=0.05, seed=1, replicates=100)
    assert found.candidate == 1
    assert math.isnan(found.se)


def test_a_multiclass_auc_is_bootstrapped() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 200)
    good, bad = np.eye(3)[y] * 0.5 + rng.dirichlet([1, 1, 1], 200) / 2, rng.dirichlet([1, 1, 1], 200)
    found = compare("roc_auc", y, good, bad, alpha=0.01, seed=1, replicates=100)
    assert found.method == "bootstrap"
    assert found.lower > 0
    assert math.isnan(compare("brier", y, good, bad, alpha=0.01, seed=1).lower)


def test_arrow_columns_are_taken_as_they_are() -> None:
    y, first, second = scored()
    days = pa.chunked_array([pa.array(np.arange(400) % 12, pa.int32()).cast(pa.date32())])
    found = compare(
        "roc_auc", pa.chunked_array([y == 1]), pa.array(first), second, clusters=days, alpha=0.1, seed=1, replicates=20
    )
    assert found.clusters == 12
    assert found.candidate == pytest.approx(sk.roc_auc_score(y, first))


# --- baseline --------------------------------------------------------------------------------------------------------


def test_the_baseline_shrinks_each_group_to_the_overall_mean() -> None:
    train = pa.table({"carrier": ["AA"] * 30 + ["UA"] * 10, "hour": [5] * 40, "late": [1] * 15 + [0] * 25})
    baseline = fit_baseline(train, "late", ["carrier", "hour"], prior=10)
    test = pa.table({"hour": [5, 5, 6, 5], "carrier": ["UA", "AA", "AA", None]})
    overall = 15 / 40
    assert baseline.predict(test).tolist() == pytest.approx(
        [10 * overall / 20, (15 + 10 * overall) / 40, overall, overall]
    )


def test_a_baseline_without_columns_is_the_overall_mean() -> None:
    train = pa.table({"minutes": [1.0, 2.0, 6.0], "late": [True, False, True]})
    test = pa.table({"carrier": ["AA", "UA"]})
    assert fit_baseline(train, "minutes").predict(test).tolist() == pytest.approx([3.0, 3.0])
    assert fit_baseline(train, "late").predict(test).tolist() == pytest.approx([2 / 3, 2 / 3])


def test_a_baseline_of_medians_for_absolute_errors() -> None:
    train = pa.table({"hour": [5] * 4 + [21] * 3, "minutes": [-5.0, -3.0, -1.0, 300.0, 0.0, 10.0, 600.0]})
    found = fit_baseline(train, "minutes", ["hour"], prior=1, guess="median").predict(pa.table({"hour": [5, 21, 9]}))
    assert found.tolist() == pytest.approx([4 * -2 / 5, 3 * 10 / 4, 0])  # drawn to 0, the median of all


def test_only_absolute_errors_are_guessed_by_a_median() -> None:
    medians = {name for known in METRICS.values() for name, metric in known.items() if metric.guess == "median"}
    assert medians == {"mae"}


def test_the_guess_is_the_constant_that_does_best_by_its_metric() -> None:
    y = np.random.default_rng(0).lognormal(2, 1, 1000)
    for name, guess in (("mae", np.median(y)), ("rmse", y.mean())):
        tried = [metrics("regression", y, np.full(1000, guess + shift))[name] for shift in (-0.5, 0, 0.5)]
        assert min(tried) == tried[1]


def test_a_baseline_for_more_classes_gives_their_shares() -> None:
    train = pa.table({"kind": ["a", "a", "b", "b"], "y": [0, 0, 1, 2]})
    found = fit_baseline(train, "y", ["kind"], prior=4, classes=3).predict(pa.table({"kind": ["a", "c"]}))
    assert found.tolist() == [pytest.approx([4 / 6, 1 / 6, 1 / 6]), pytest.approx([0.5, 0.25, 0.25])]


def test_a_baseline_of_no_rows_knows_nothing() -> None:
    empty = pa.table({"late": pa.array([], pa.int64())})
    for guess in ("mean", "median"):
        assert np.isnan(fit_baseline(empty, "late", guess=guess).predict(pa.table({"a": [1]}))).all()


# --- the whole evaluation --------------------------------------------------------------------------------------------


def test_an_evaluation_weighs_everything_on_the_same_rows_and_survives_json() -> None:
    y, first, second, day = day_like(2)
    found = evaluate(
        "classification",
        "roc_auc",
        y,
        first,
        champion=second,
        baseline=np.full(len(y), y.mean()),
        clusters=day,
        secondary=["log_loss", "roc_auc"],
        alpha=0.01,
        seed=1,
    )
    assert (found.rows, found.positives, found.clusters) == (600, int(y.sum()), 24)
    assert list(found.comparisons["champion"]) == list(found.intervals) == ["roc_auc", "log_loss"]
    assert found.champion is not None
    assert found.comparisons["champion"]["roc_auc"].other == found.champion["roc_auc"]
    low, high = found.intervals["roc_auc"]
    assert low < found.candidate["roc_auc"] < high
    text = json.dumps(found.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)) == found


def test_nan_travels_as_null_and_comes_back() -> None:
    found = evaluate("classification", "roc_auc", [1, 1], [0.2, 0.4], champion=[0.1, 0.2], alpha=0.01, seed=1)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["candidate"]["roc_auc"] is None
    back = Evaluation.from_json(told)
    assert math.isnan(back.candidate["roc_auc"])
    assert math.isnan(back.comparisons["champion"]["roc_auc"].lower)
    assert all(map(math.isnan, back.intervals["roc_auc"]))
    assert back.comparisons["champion"]["roc_auc"].clusters is None


def test_without_champion_and_baseline_nothing_is_compared() -> None:
    y, p, _ = valued(50)
    found = evaluate("regression", "mae", y, p, alpha=0.01, seed=1)
    assert (found.champion, found.baseline, found.positives, found.clusters) == (None, None, None, None)
    assert found.comparisons == {}


def test_a_comparison_survives_json() -> None:
    y, first, second = scored()
    found = compare("roc_auc", y, first, second, alpha=0.01, seed=1)
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found
