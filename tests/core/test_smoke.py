"""What breaks clients, in words for each column, and predictions that moved."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from airflow_mlops.core.golden import Golden
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.smoke import Check, SmokeBudget, SmokeReport, breaks, budget_checks, golden_check
from airflow_mlops.exceptions import ConfigurationError

A, B = Column("a", "double"), Column("b", "string", False)


@pytest.mark.parametrize(
    ("new", "old", "told"),
    [
        ([A, B], [A, B], []),
        ([B, A], [A, B], []),
        ([A, B, Column("c", "double", False)], [A, B], []),
        ([Column("a", "double", False), B], [A, B], []),
        ([A], [Column("a", "long")], []),
        ([A, B, Column("c", "double")], [A, B], ["c: is new and needs a value, the champion has no such column."]),
        ([A], [A, B], ["b: is gone, the champion has it."]),
        ([A, Column("b", "string")], [A, B], ["b: needs a value, the champion does not."]),
        ([Column("a", "long"), B], [A, B], ["a: takes long, the champion double."]),
        ([Column("a", "string"), B], [A, B], ["a: takes string, the champion double."]),
        ([A, Column("b", "boolean", False)], [A, B], ["b: takes boolean, the champion string."]),
    ],
)
def test_what_breaks_is_told_by_column(new: list[Column], old: list[Column], told: list[str]) -> None:
    assert list(breaks(new, old, "the champion")) == told


def test_a_column_that_a_log_leaves_out_breaks_nothing() -> None:
    assert list(breaks([A, B], [B], "what is sent", {"a"})) == []


@pytest.mark.parametrize(
    ("values", "scores", "status"),
    [
        ((1.0, 2.0), None, "passed"),
        ((1.0, 2.0 + 5e-10), None, "passed"),
        ((1.0, 2.0 + 5e-9), None, "failed"),
        ((1.0,), None, "failed"),
        ((1.0, "2.0"), None, "failed"),
        ((1.0, math.nan), None, "failed"),
        ((1.0, 2.0), (0.1, 0.2), "failed"),
    ],
)
def test_predictions_are_those_of_training(values: Any, scores: Any, status: str) -> None:
    assert golden_check(Golden(({}, {}), (1.0, 2.0)), values, scores).status == status


def test_scores_count_too_and_labels_are_exact() -> None:
    kept = Golden(({}, {}), ("no", "yes"), (0.2, 0.8))
    assert golden_check(kept, ["no", "yes"], [0.2, 0.8]).status == "passed"
    moved = golden_check(kept, ["no", "yes"], [0.2, 0.81])
    assert moved.reason == "Golden predictions: score of row 1 is 0.81, at training it was 0.8."
    assert golden_check(kept, ["no", "no"], [0.2, 0.8]).status == "failed"
    assert golden_check(Golden(({},), (True,)), [1], None).status == "failed"
    assert golden_check(None, ["no"], None).status == "skipped"


def test_a_budget_is_kept_or_not() -> None:
    latency, memory = budget_checks(SmokeBudget(latency_ms=10, memory_mb=100), 12.34, 99)
    assert (latency.status, latency.reason) == ("failed", "One row takes 12.3 ms, 10 ms are allowed.")
    assert (memory.status, memory.reason) == ("passed", "It takes 99 MB, 100 MB are allowed.")
    with pytest.raises(ConfigurationError, match="memory_mb 0 is not"):
        SmokeBudget(memory_mb=0)


def test_a_report_says_what_failed() -> None:
    report = SmokeReport("m", 3, "d", (Check("loads", "passed", "It loads."), Check("golden", "failed", "It moved.")))
    assert not report.passed
    assert report.summary == "Refused: version 3 of model m: It moved."
    assert SmokeReport.from_json(json.loads(json.dumps(report.to_json()))) == report
