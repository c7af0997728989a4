from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.windows import TrainingWindow, Windows, instant, resolve_as_of
from airflow_mlops.exceptions import ConfigurationError, NotEnoughData

NOV = datetime(2026, 11, 1, tzinfo=UTC)
OCT = datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 1, 5, tzinfo=UTC)

#: What Airflow 3.3 gives a task for each kind of run, and the as-of that it means.
FULL = {"data_interval_start": OCT, "data_interval_end": NOV}
EMPTY = {"data_interval_start": NOV, "data_interval_end": NOV}
RUNS = {
    "scheduled, data interval": ({**FULL, "logical_date": OCT, "run_after": NOV}, NOV),
    "scheduled, trigger timetable": ({**EMPTY, "logical_date": NOV, "run_after": NOV}, NOV),
    "manual with a logical date": ({**FULL, "logical_date": NOV, "run_after": NOW}, NOV),
    "manual without a logical date": ({"run_after": NOW}, NOW),
    "asset-triggered": ({"run_after": NOW}, NOW),
    "partitioned": ({"partition_date": NOV, "run_after": NOW}, NOV),
    "backfill": ({**FULL, "logical_date": OCT, "run_after": NOV}, NOV),
    "backfill of a partition": ({"partition_date": NOV, "run_after": NOV}, NOV),
}


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_run_has_one_as_of(kind: str) -> None:
    facts, expected = RUNS[kind]
    assert resolve_as_of(**facts) == expected


@pytest.mark.parametrize("kind", RUNS)
def test_an_explicit_as_of_wins_over_every_kind_of_run(kind: str) -> None:
    assert resolve_as_of(explicit="2026-05-01T00:00:00+00:00", **RUNS[kind][0]) == datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("empty", [None, "", "None"])
def test_an_empty_field_of_the_trigger_form_is_no_as_of(empty: str | None) -> None:
    assert resolve_as_of(explicit=empty, run_after=NOW) == NOW


def test_a_run_without_any_date_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="give it an as_of"):
        resolve_as_of()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-01", NOV),
        ("2026-11-01T00:00:00", NOV),
        ("2026-11-01T01:00:00+01:00", NOV),
        (" 2026-11-01T00:00:00Z ", NOV),
        (date(2026, 11, 1), NOV),
        (datetime(2026, 11, 1), NOV),
        (datetime(2026, 10, 31, 20, tzinfo=timezone(timedelta(hours=-4))), NOV),
    ],
)
def test_an_instant_without_a_zone_is_utc(written: object, meant: datetime) -> None:
    assert instant(written) == meant  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", ["yesterday", "2026-13-01", "{{ ds }}", "2026-11-01; drop table"])
def test_a_bad_instant_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="as_of"):
        instant(bad)


instants = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
spans = st.builds("{}{}".format, st.integers(1, 400), st.sampled_from("hdw"))
maybe_zero = st.builds("{}{}".format, st.integers(0, 30), st.sampled_from("hd"))
zones = st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])


@given(
    as_of=instants,
    lookback=spans,
    test=spans,
    gap=maybe_zero,
    delay=maybe_zero,
    validation=st.none() | spans,
    zone=zones,
)
def test_windows_are_disjoint_ordered_and_end_before_the_label_delay(
    as_of: datetime, lookback: str, test: str, gap: str, delay: str, validation: str | None, zone: str
) -> None:
    window = TrainingWindow(
        lookback=lookback, test=test, gap=gap, label_delay=delay, validation=validation, timezone=zone
    )
    windows = window.at(as_of)
    assert windows.train.start < windows.train.end <= windows.test.start < windows.test.end <= as_of
    if windows.validation:
        assert windows.train.end <= windows.validation.start < windows.validation.end == windows.test.start
    assert Windows.from_json(windows.to_json()) == windows
    assert window.at(as_of) == windows


@given(as_of=instants, zone=zones)
def test_days_are_calendar_days_on_both_sides_of_a_clock_change(as_of: datetime, zone: str) -> None:
    local = as_of.astimezone(ZoneInfo(zone)).replace(hour=12, minute=0, second=0, microsecond=0)
    windows = TrainingWindow(lookback="200d", test="28d", timezone=zone).at(local.astimezone(UTC))
    starts = {windows.train.start, windows.train.end, windows.test.end}
    assert {moment.astimezone(ZoneInfo(zone)).hour for moment in starts} == {12}


def test_hours_are_elapsed_hours_across_a_clock_change() -> None:
    as_of = datetime(2026, 3, 29, 12, tzinfo=UTC)  # the night on which Berlin loses an hour
    windows = TrainingWindow(lookback="24h", test="24h", timezone="Europe/Berlin").at(as_of)
    assert windows.test.start == as_of - timedelta(hours=24)


def test_an_expanding_window_keeps_its_start() -> None:
    window = TrainingWindow(start="2026-01-01", test="28d")
    assert window.at(NOV).train.start == window.at(NOW).train.start == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments",
    [
        {"test": "28d"},
        {"test": "28d", "lookback": "10d", "start": "2026-01-01"},
        {"test": "28d", "lookbak": "10d"},
    ],
)
def test_a_window_that_cannot_be_meant_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        TrainingWindow.from_json(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"test": "28", "lookback": "10d"},
        {"test": "-1d", "lookback": "10d"},
        {"test": "0d", "lookback": "10d"},
        {"test": "1d", "lookback": "10d", "timezone": "Mars/Olympus"},
        {"test": "0d", "start": "2026-01-01"},
        {"test": "1d", "start": "soon"},
    ],
)
def test_an_empty_or_unreadable_window_is_refused_at_its_as_of(arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        TrainingWindow.from_json(arguments).at(NOV)


@pytest.mark.parametrize(("start", "enough"), [("2026-09-30", True), ("2026-10-01", False), ("2027-01-01", False)])
def test_a_date_before_an_expanding_window_has_begun_has_too_little_behind_it(start: str, enough: bool) -> None:
    window = TrainingWindow(start=start, test="28d", gap="1d", label_delay="2d")  # trains until 1 October
    if enough:
        assert window.at(NOV).train.end == OCT
        return
    with pytest.raises(NotEnoughData, match="The training window is empty at 2026-11-01"):
        window.at(NOV)
