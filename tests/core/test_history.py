"""Freshness and volume against history: what is usual, what is not, and what cannot be said yet."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.validation import Severity
from airflow_mlops.core.validation.history import FreshnessPolicy, Past, VolumePolicy, check_freshness, check_volume
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, SuiteError

NOW = instant("2026-11-21")


def days(rows: Sequence[float], lags: Sequence[float] = ()) -> list[Past]:
    """One snapshot a day before now, the last one yesterday."""
    first = NOW - timedelta(days=len(rows))
    return [Past(first + timedelta(days=i), count, lags[i] if lags else None) for i, count in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "status"),
    [(1000, "passed"), (1240, "passed"), (810, "passed"), (1300, "failed"), (700, "failed"), (0, "failed")],
)
def test_a_quarter_more_or_fewer_is_always_usual(rows: int, status: str) -> None:
    outcome = check_volume(rows, days([1000] * 8), NOW, VolumePolicy())
    assert (outcome.status, outcome.severity, outcome.type) == (status, Severity.CRITICAL, "volume")
    assert outcome.element_count == rows


def test_one_outage_in_the_past_makes_no_other_usual() -> None:
    assert check_volume(0, days([1000, 1020, 990, 0, 1010, 985, 1005]), NOW, VolumePolicy()).status == "failed"


def test_what_varies_much_may_vary_much() -> None:
    wild = days([500, 2000, 900, 1500, 700, 1800, 1000, 1300])
    assert check_volume(2500, wild, NOW, VolumePolicy()).status == "passed"
    assert check_volume(2500, days([1000] * 8), NOW, VolumePolicy()).status == "failed"


def test_too_little_history_passes_with_a_remark() -> None:
    outcome = check_volume(3, days([1000] * 5), NOW, VolumePolicy(same="weekday", severity="warn"))
    assert (outcome.status, outcome.severity) == ("passed", Severity.WARNING)
    assert outcome.message == "3 rows, not judged: 0 earlier snapshots of the same weekday, 6 are needed"


def test_weekdays_are_compared_with_weekdays() -> None:
    weeks = days([100 if (NOW - timedelta(days=back)).weekday() == 5 else 1000 for back in range(70, 0, -1)])
    assert NOW.weekday() == 5
    assert check_volume(100, weeks, NOW, VolumePolicy(same="weekday")).status == "passed"
    assert check_volume(100, weeks, NOW, VolumePolicy()).status == "failed"


@given(st.permutations(days([100, 110, 90, 105, 95, 100, 102])), st.integers(0, 300), st.data())
def test_neither_order_nor_the_future_nor_the_present_matter(past: list[Past], rows: int, data: Any) -> None:
    later = data.draw(st.lists(st.integers(0, 100).map(lambda day: Past(NOW + timedelta(days=day), 10**6, 900.0))))
    mixed = data.draw(st.permutations([*past, *later]))
    expected = check_volume(rows, days([100, 110, 90, 105, 95, 100, 102]), NOW, VolumePolicy())
    assert check_volume(rows, mixed, NOW, VolumePolicy()) == expected


def test_snapshots_of_one_as_of_count_once() -> None:
    again = [past for past in days([1000] * 6) for _ in range(5)]
    assert "6 earlier snapshots" in check_volume(1000, again, NOW, VolumePolicy()).message
    assert "5 earlier snapshots" in check_volume(1000, again[:25], NOW, VolumePolicy()).message


DRAWS: list[tuple[Callable[[random.Random], float], float]] = [
    (lambda chance: 10_000 * math.exp(chance.gauss(0, 0.1)), 0.02),
    (lambda chance: 50 + 10 * chance.expovariate(1), 0.05),
]


@pytest.mark.parametrize(("draw", "at_most"), DRAWS)
def test_false_alarms_are_rare_and_a_tenth_of_the_rows_is_found(
    draw: Callable[[random.Random], float], at_most: float
) -> None:
    chance, alarms, found, rounds = random.Random(7), 0, 0, 400
    for _ in range(rounds):
        past = days([draw(chance) for _ in range(12)])
        rows = int(draw(chance))
        alarms += check_volume(rows, past, NOW, VolumePolicy()).status == "failed"
        found += check_volume(rows // 10, past, NOW, VolumePolicy()).status == "failed"
    assert alarms <= at_most * rounds
    assert found >= 0.97 * rounds


@pytest.mark.integration
@pytest.mark.parametrize(
    ("snapshots", "noise", "alarms", "halves"),
    [(12, 0.1, 0.0042, 0.93), (12, 0.3, 0.0083, 0.13), (6, 0.1, 0.0093, 0.86), (6, 0.3, 0.0296, 0.20)],
)
def test_the_figures_of_the_documentation(snapshots: int, noise: float, alarms: float, halves: float) -> None:
    chance, rounds = random.Random(1), 10_000
    found = [0, 0, 0]
    for _ in range(rounds):
        *past, rows = (10_000 * math.exp(chance.gauss(0, noise)) for _ in range(snapshots + 1))
        for i, share in enumerate((1, 0.5, 0)):
            found[i] += check_volume(int(rows * share), days(past), NOW, VolumePolicy()).status == "failed"
    shares = [count / rounds for count in found]
    assert shares == [pytest.approx(alarms, abs=0.004), pytest.approx(halves, abs=0.02), 1.0]


def test_growth_is_no_alarm() -> None:
    assert check_volume(2000, days([1000 * 1.06**i for i in range(12)]), NOW, VolumePolicy()).status == "passed"


def fresh(newest: datetime | None, lags: Sequence[float], **policy: Any) -> Any:
    past = days([1] * len(lags), lags)
    return check_freshness(newest, past, NOW, FreshnessPolicy(**policy), column="at", rows=1)


def test_later_than_usual_is_stale_and_nearer_never_is() -> None:
    usual = [6, 6.2, 5.9, 6.1, 6, 6.3, 5.8]
    assert fresh(NOW - timedelta(hours=6.9), usual).status == "passed"
    assert fresh(NOW - timedelta(minutes=1), usual).status == "passed"
    stale = fresh(NOW - timedelta(hours=30), usual)
    assert (stale.status, stale.column) == ("failed", "at")
    assert stale.message.startswith("the newest event is 30.0 hours old, up to 7.")
    assert fresh(None, usual).message == "there is no event at all"
    assert fresh(NOW - timedelta(hours=30), usual, slack="2d").status == "passed"


def test_the_longest_allowed_lag_needs_no_history() -> None:
    assert fresh(NOW - timedelta(hours=37), [], max_lag="36h").message.endswith("at most 36h is allowed")
    young = fresh(NOW - timedelta(hours=35), [], max_lag="36h")
    assert (young.status, "not judged: 0 earlier snapshots" in young.message) == ("passed", True)


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ({"same": "moon"}, "volume.same 'moon' is unknown"),
        ({"at_least": 1}, "at_least must lie between"),
        ({"last": 3}, "at_least must lie between"),
        ({"slack": 0}, "slack must be above 0"),
        ({"timezone": "Mars"}, "timezone 'Mars'"),
        ({"severity": "loud"}, "Severity 'loud'"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ("much", "volume 'much'"),
    ],
)
def test_what_is_no_policy(policy: Any, complaint: str) -> None:
    with pytest.raises((ConfigurationError, SuiteError), match=complaint):
        VolumePolicy.parse(policy)


@pytest.mark.parametrize("nothing", [None, False, "", "None", "False"])
def test_no_policy_no_check(nothing: Any) -> None:
    assert VolumePolicy.parse(nothing) is None
    assert FreshnessPolicy.parse(True) == FreshnessPolicy()
    assert VolumePolicy.parse({}) == VolumePolicy()
