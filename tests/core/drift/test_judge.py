"""The verdict: what alarms, what does not, and in which words."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops.core.drift import DriftPolicy, DriftReport, check_drift
from airflow_mlops.core.drift.branching import branch
from airflow_mlops.core.drift.selection import narrowed
from airflow_mlops.core.polling import AwaitedDrift, DriftWindow, judge_drift
from airflow_mlops.core.profiles import Profile, Profiler, fit_plan
from airflow_mlops.exceptions import ConfigurationError, DriftFound, ProfileError

N = 4000


def rows(seed: int = 0, n: int = N, **columns) -> pa.RecordBatch:
    """A window without drift, and what a test puts in the place of its columns."""
    g = np.random.default_rng(seed)
    usual = {
        "delay": np.round(g.gamma(2, 10, n)),
        "carrier": np.array(["AA", "UA", "DL"])[g.integers(0, 3, n)],
        "late": g.random(n) < 0.2,
        "tail": np.array([f"N{i}" for i in range(3000)])[g.integers(0, 3000, n)],
    }
    return pa.record_batch({name: pa.array(values) for name, values in {**usual, **columns}.items()})


def profile(plan, batch: pa.RecordBatch) -> Profile:
    profiler = Profiler(plan)
    profiler.update(batch)
    return profiler.profile()


@pytest.fixture(scope="module")
def reference() -> Profile:
    batch = rows(1)
    return profile(fit_plan([batch]), batch)


def found(reference: Profile, policy: DriftPolicy | None = None, seed: int = 2, n: int = N, **columns) -> DriftReport:
    return check_drift(reference, profile(reference.plan, rows(seed, n, **columns)), policy)


def test_without_drift_nothing_is_said(reference):
    report = found(reference)
    assert (report.verdict, report.severity, report.drifted) == ("ok", "none", ())
    assert report.summary.startswith("No drift: none of 4 columns changed in a way that matters (4,000 rows against")
    report.ensure_ok()


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"delay": np.arange(N) % 40 + 30}, "delay: the median rose from 17 to 49, and the share up to 29 fell from"),
        ({"carrier": ["AA"] * 3000 + ["UA"] * 1000}, "carrier: the share of DL fell from 3"),
        ({"carrier": (["AA", "UA", "DL"] * N)[: N - 80] + ["XX"] * 80}, "carrier: 2% of the rows hold values that the"),
        ({"late": [None] * 400 + [False] * 2900 + [True] * 700}, "late: the share of nulls rose from 0% to 10%"),
        ({"late": [True] * 2000 + [False] * 2000}, "late: the share of true rose from"),
        ({"tail": ["N1"] * 2000 + ["N2"] * 2000}, "tail: the share of N"),
    ],
)  # fmt: skip
def test_what_changed_is_found_and_told(reference, columns, sentence):
    report = found(reference, **columns)
    assert report.verdict == "drift"
    (first,) = report.drifted
    assert first.sentence.startswith(sentence), first.sentence
    assert report.columns[0] == first
    with pytest.raises(DriftFound, match="mend the feed, or retrain"):
        report.ensure_ok("store/report.html")


def test_the_tail_is_told_by_its_share():
    g = np.random.default_rng(0)
    x = g.normal(size=20_000)
    base = pa.record_batch({"x": x})
    reference = profile(fit_plan([base]), base)
    y = g.normal(size=20_000)
    report = check_drift(reference, profile(reference.plan, pa.record_batch({"x": np.where(y > 2.33, 10 * y, y)})))
    assert report.severity == "medium"
    assert report.drifted[0].sentence.startswith("x: the share above ")


def test_one_value_among_thousands_that_becomes_frequent_is_found(reference):
    tails = rows(2)["tail"].to_pylist()
    for value in ("new", "N7"):
        report = found(reference, tail=[value if i % 100 == 0 else tail for i, tail in enumerate(tails)])
        assert [column.name for column in report.drifted] == ["tail"]
        assert "tail: one of its many values rose from 0." in report.columns[0].sentence
    kinds = [column for column in reference.columns if column.plan.name == "tail"]
    assert [column.plan.buckets > 0 for column in kinds] == [True]


def test_a_significant_trifle_is_no_drift():
    """Of a million rows any difference is certain."""
    counts = np.array([500_000, 500_000])
    base = pa.record_batch({"x": np.repeat([0, 1], counts)})
    reference = profile(fit_plan([base]), base)
    now = profile(reference.plan, pa.record_batch({"x": np.repeat([0, 1], counts + np.array([5000, -5000]))}))
    (column,) = check_drift(reference, now).columns
    assert next(test for test in column.tests if test.what == "shape").adjusted < 1e-6
    assert (column.severity, column.sentence) == ("none", "x: changed too little to matter")


def test_a_large_effect_of_few_rows_is_no_drift(reference):
    report = found(reference, DriftPolicy(min_rows=5), n=30, delay=[0.0, 30.0] * 15)
    assert report.verdict == "drift"
    chance = found(reference, DriftPolicy(min_rows=5), n=30)
    assert chance.verdict == "ok"
    assert any(column.measures.get("ks", 0) > 0.1 for column in chance.columns)


def test_too_little_is_no_ok(reference):
    report = found(reference, n=150)
    assert report.verdict == "insufficient"
    assert report.summary.startswith("Cannot tell: 150 rows against 4,000 of the reference, and fewer than 200")
    assert not any(column.judged for column in report.columns)
    assert "too few values to compare, 4,000 in the reference and 150 now" in report.columns[0].sentence


def test_a_column_that_went_away_is_drift_though_no_value_is_left(reference):
    report = found(reference, delay=pa.array([None] * N, pa.float64()))
    assert report.drifted[0].sentence == "delay: the share of nulls rose from 0% to 100%"


def test_nan_and_infinity_are_not_nulls():
    base = pa.record_batch({"x": np.random.default_rng(0).normal(size=N)})
    reference = profile(fit_plan([base]), base)
    broken = np.random.default_rng(1).normal(size=N)
    broken[:200], broken[200:400] = np.nan, np.inf
    report = check_drift(reference, profile(reference.plan, pa.record_batch({"x": broken})))
    told = report.drifted[0].sentence
    assert "the share of NaN rose from 0% to 5%" in told
    assert "the share of infinities rose from 0% to 5%" in told
    assert "null" not in told


def test_times_move_on_and_withheld_values_stay_withheld():
    moments = pa.array(range(N), pa.timestamp("s"))
    base = pa.record_batch({"at": moments, "name": ["SECRET-1"] * N})
    plan = fit_plan([base], sensitive=["name"])
    later = pa.record_batch({"at": pa.array(range(10**9, 10**9 + N), pa.timestamp("s")), "name": ["SECRET-2"] * N})
    report = check_drift(profile(plan, base), profile(plan, later))
    at = next(column for column in report.columns if column.name == "at")
    assert at.severity == "none"
    assert (
        at.sentence
        == "at: 2001-09-09 01:46 to 2001-09-09 02:53, in the reference 1970-01-01 00:00 to 1970-01-01 01:06: "
        "time moves on"
    )
    assert "SECRET" not in json.dumps(report.to_json())


def test_what_matters_comes_first_and_importance_decides(reference):
    changed = {"delay": np.arange(N) % 40 + 30, "late": [True] * 1400 + [False] * 2600}
    assert [c.name for c in found(reference, **changed).drifted] == ["delay", "late"]
    needed = found(reference, DriftPolicy(importance={"late": 9, "carrier": 1}), **changed)
    assert [c.name for c in needed.drifted] == ["late", "delay"]
    assert (needed.verdict, needed.severity) == ("drift", "large")
    assert needed.score == pytest.approx(0.9 * needed.drifted[0].effect)
    # What no model reads is reported, and alarms nobody.
    ignored = found(reference, DriftPolicy(importance={"carrier": 1}), **changed)
    assert (ignored.verdict, len(ignored.drifted), ignored.score) == ("ok", 2, 0)


@pytest.mark.parametrize(
    "policy",
    [
        {"alpha": 0}, {"alpha": 0.6}, {"alpha": "0.01"}, {"small": 0.2}, {"correction": "none"}, {"alarm": "none"},
        {"min_rows": 0}, {"min_rows": True}, {"importance": {"delay": -1}}, {"importance": {"delay": 0}},
        {"importance": [1]}, {"ignore": "delay"}, {"alhpa": 0.01}, {"nulls": float("nan")},
    ],
)  # fmt: skip
def test_a_policy_that_means_nothing_is_refused(policy):
    with pytest.raises(ConfigurationError, match="Drift policy"):
        DriftPolicy.from_json(policy)


def test_importance_of_columns_that_are_not_there_is_refused(reference):
    with pytest.raises(ConfigurationError, match="names none of the compared columns"):
        found(reference, DriftPolicy(importance={"dalay": 1}))


def test_everything_survives_json(reference):
    report = found(reference, late=[True] * N)
    assert DriftReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    policy = DriftPolicy(importance={"late": 1.0}, ignore=["tail"])
    assert DriftPolicy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


def test_profiles_of_different_plans_are_not_compared(reference):
    other = rows(3)
    with pytest.raises(ProfileError):
        check_drift(reference, profile(fit_plan([other], columns=["delay"]), other))


def test_clusters_that_vary_by_themselves_are_no_drift():
    """Each of two hundred days has a level of its own; 40 more days are no drift, though rows by themselves say so."""
    g = np.random.default_rng(5)

    def days(count: int) -> list[pa.RecordBatch]:
        return [pa.record_batch({"x": g.normal(g.normal(), 0.5, 50)}) for _ in range(count)]

    plan = fit_plan(days(200))
    alarms = {"plain": 0, "clustered": 0}
    for _ in range(10):
        chunks = [profile(plan, pa.Table.from_batches(days(20)).combine_chunks().to_batches()[0]) for _ in range(10)]
        reference = chunks[0].merge(*chunks[1:])
        now = profile(plan, pa.Table.from_batches(days(20)).combine_chunks().to_batches()[0])
        alarms["plain"] += check_drift(reference, now).verdict == "drift"
        alarms["clustered"] += check_drift(reference, now, chunks=chunks).verdict == "drift"
    assert alarms["plain"] >= 8
    assert alarms["clustered"] <= 1
    moved = profile(plan, pa.record_batch({"x": g.normal(4, 0.5, 2000)}))
    assert check_drift(reference, moved, chunks=chunks).verdict == "drift"


def test_chunks_must_be_the_reference(reference):
    parts = [profile(reference.plan, rows(i, 500)) for i in range(5)]
    with pytest.raises(ConfigurationError, match="do not add up"):
        check_drift(reference, parts[0], chunks=parts)
    with pytest.raises(ConfigurationError, match="two chunks"):
        check_drift(reference, parts[0], chunks=parts[:2])


def test_fewer_columns_of_a_profile(reference):
    fewer = narrowed(reference, ["delay", "late"], ["late"])
    assert [column.name for column in fewer.columns] == ["delay"]
    with pytest.raises(ConfigurationError, match="no column dalay"):
        narrowed(reference, ["dalay"], [])
    with pytest.raises(ConfigurationError, match="no column is left"):
        narrowed(reference, ["late"], ["late"])


@pytest.mark.parametrize("count", [1, 12])
def test_xcom_stays_small(count):
    names = [f"column_{i}_{'x' * 200}" for i in range(60)]
    base = pa.record_batch({name: np.arange(400.0) for name in names})
    reference = profile(fit_plan([base]), base)
    now = profile(reference.plan, pa.record_batch({name: np.arange(400.0) + 500 for name in names}))
    report = check_drift(reference, now)
    assert len(report.drifted) == 60
    assert len(json.dumps(report.short())) < 15_000


def window(day: int, severity: str, verdict: str = "") -> DriftWindow:
    return DriftWindow(
        f"2026-01-{day:02}T00:00:00+00:00", verdict or ("drift" if severity != "none" else "ok"), severity, "…"
    )


@pytest.mark.parametrize(
    ("seen", "awaited", "state"),
    [
        ([], {}, "wait"),
        ([window(1, "large")], {}, "wait"),
        ([window(1, "large"), window(2, "none"), window(3, "medium")], {}, "done"),
        ([window(3, "medium"), window(1, "large"), window(2, "none")], {}, "done"),
        ([window(1, "large"), window(2, "large"), window(3, "none"), window(4, "none")], {}, "wait"),
        ([window(1, "large"), window(2, "none", "insufficient"), window(3, "large")], {"n": 2}, "done"),
        ([window(1, "small"), window(2, "small")], {}, "wait"),
        ([window(1, "small"), window(2, "small")], {"severity": "small"}, "done"),
        ([window(1, "large"), window(2, "large")], {"since": "2026-01-01"}, "wait"),
        ([window(2, "large"), window(3, "large")], {"since": "2026-01-01"}, "done"),
        ([window(1, "large")], {"k": "1", "n": "1"}, "done"),
    ],
)
def test_drift_that_lasts(seen, awaited, state):
    assert judge_drift(seen, AwaitedDrift("flights", **awaited)).state == state


@pytest.mark.parametrize("awaited", [{"k": 3, "n": 2}, {"k": 0}, {"k": "two"}, {"severity": "none"}, {"since": "soon"}])
def test_a_wait_that_cannot_end_is_refused(awaited):
    with pytest.raises(ConfigurationError):
        AwaitedDrift("flights", **awaited)


def test_branches():
    tasks = {"large": ["page", "retrain"], "small": "look", "insufficient": "wait"}
    cases = {("drift", "large"): ["page", "retrain"], ("drift", "medium"): ["look"], ("ok", "none"): []}
    assert {key: branch(*key, tasks) for key in cases} == cases
    assert branch("insufficient", "none", tasks) == ["wait"]
    for wrong in ({}, {"huge": "x"}):
        with pytest.raises(ConfigurationError, match="tasks are named for"):
            branch("ok", "none", wrong)
