"""The instant a run is about (as-of), and the half-open windows of event time that follow from it.

Time rules, the same everywhere: an instant without a zone is UTC; everything is kept in UTC; a span of days or weeks
counts calendar days in the window's own time zone (so that a window starts at midnight on both sides of a clock
change), a span of hours counts elapsed hours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_mlops.exceptions import ConfigurationError, NotEnoughData

_SPAN = re.compile(r"(\d{1,6})\s*([hdw])")
_UNIT = {"h": "hours", "d": "days", "w": "weeks"}


def instant(value: str | date | datetime, what: str = "as_of") -> datetime:
    """Read an instant; without a zone it is UTC, a date is its first moment.

    >>> instant("2026-11-01T02:00:00+01:00").isoformat()
    '2026-11-01T01:00:00+00:00'
    >>> instant("2026-11-01").isoformat()
    '2026-11-01T00:00:00+00:00'
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ConfigurationError(
                f"{what} {value!r} is not a date or time: write it as 2026-11-01T00:00:00+00:00."
            ) from error
    elif not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    utc = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    return datetime.fromisoformat(utc.isoformat())  # a plain datetime: pendulum's, of Airflow, divides otherwise


def resolve_as_of(
    *,
    explicit: str | date | datetime | None = None,
    data_interval_start: datetime | None = None,
    data_interval_end: datetime | None = None,
    partition_date: datetime | None = None,
    logical_date: datetime | None = None,
    run_after: datetime | None = None,
) -> datetime:
    """The one meaning of time for every kind of run.

    An explicit as-of wins; then the end of a data interval that is not empty; then the partition's date, the logical
    date, and the moment from which the run may run. The order is that of the facts that Airflow gives each kind: a bare
    cron string gives intervals of no width, partitioned runs have a date but no interval, asset-triggered runs neither.

    >>> day = datetime(2026, 11, 1, tzinfo=UTC)
    >>> resolve_as_of(data_interval_start=datetime(2026, 10, 1), data_interval_end=day, run_after=day) == day
    True
    >>> resolve_as_of(data_interval_start=day, data_interval_end=day, logical_date=day, run_after=day) == day
    True
    """
    if explicit not in (None, "", "None"):
        return instant(explicit)
    if data_interval_start and data_interval_end and instant(data_interval_start) < instant(data_interval_end):
        return instant(data_interval_end)
    for candidate in (partition_date, logical_date, run_after):
        if candidate:
            return instant(candidate)
    raise ConfigurationError("This run has no date at all: give it an as_of, such as 2026-11-01T00:00:00+00:00.")


@dataclass(frozen=True)
class Span:
    """A length of time as people write it: ``36h``, ``28d``, ``4w``."""

    text: str

    def before(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The instant this much earlier: elapsed hours, or calendar days in ``zone``."""
        match = _SPAN.fullmatch(self.text.strip())
        if match is None:
            raise ConfigurationError(f"{self.text!r} is not a span of time: write 36h, 28d or 4w.")
        delta = timedelta(**{_UNIT[match[2]]: int(match[1])})
        if match[2] == "h":
            return moment - delta
        # Wall-clock arithmetic; a local time that a clock change skipped or doubled is taken with fold=0.
        return (moment.astimezone(zone) - delta).astimezone(UTC)


@dataclass(frozen=True)
class Bounds:
    """A half-open range ``[start, end)`` of event time."""

    start: datetime
    end: datetime

    def to_json(self) -> list[str]:
        return [self.start.isoformat(), self.end.isoformat()]

    @classmethod
    def from_json(cls, data: list[str]) -> Bounds:
        return cls(instant(data[0]), instant(data[1]))


@dataclass(frozen=True)
class Windows:
    """What one as-of may use: train, then perhaps validation, then test, all before the labels' delay."""

    as_of: datetime
    train: Bounds
    test: Bounds
    validation: Bounds | None = None

    @property
    def whole(self) -> Bounds:
        """From the first training row to the last test row."""
        return Bounds(self.train.start, self.test.end)

    def to_json(self) -> dict[str, Any]:
        return {
            "as_of": self.as_of.isoformat(),
            "train": self.train.to_json(),
            "validation": self.validation and self.validation.to_json(),
            "test": self.test.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Windows:
        validation = data.get("validation")
        return cls(
            instant(data["as_of"]),
            Bounds.from_json(data["train"]),
            Bounds.from_json(data["test"]),
            validation and Bounds.from_json(validation),
        )


@dataclass(frozen=True)
class TrainingWindow:
    """How far a training looks back from its as-of.

    Read backwards from the as-of: ``label_delay`` (labels are not in yet), ``test``, ``validation``, ``gap`` (so that
    no training row is a neighbour of a test row), then ``lookback``; or everything since ``start`` (expanding).
    ``knowledge_time`` names a column: rows that became known at or after the as-of are left out. Where a source names
    its ``key`` too, a later row of the same key corrects an earlier one.

    >>> window = TrainingWindow(lookback="10d", test="2d", label_delay="1d", gap="1d")
    >>> bounds = window.at(datetime(2026, 11, 21, tzinfo=UTC))
    >>> [day.strftime("%d") for day in (bounds.train.start, bounds.train.end, bounds.test.start, bounds.test.end)]
    ['07', '17', '18', '20']
    """

    test: str
    lookback: str | None = None
    start: str | None = None
    validation: str | None = None
    gap: str = "0d"
    label_delay: str = "0d"
    knowledge_time: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if (self.lookback is None) == (self.start is None):
            raise ConfigurationError(
                "A training window needs either lookback (sliding) or start (expanding), not both."
            )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingWindow:
        """Build from a plain dict, as a project file or an operator's argument has it."""
        try:
            return cls(**data)
        except TypeError as error:
            raise ConfigurationError(f"Training window {dict(data)!r}: {error}.") from error

    def at(self, as_of: datetime) -> Windows:
        """The windows of one as-of; the same as-of always gives the same windows.

        :raises NotEnoughData: the training range of an expanding window has not begun yet
        """
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(
                f"Time zone {self.timezone!r} is unknown: use a name such as Europe/Paris."
            ) from error
        test_end = Span(self.label_delay).before(as_of, zone)
        test_start = Span(self.test).before(test_end, zone)
        held_out = Span(self.validation).before(test_start, zone) if self.validation else test_start
        train_end = Span(self.gap).before(held_out, zone)
        train_start = (
            Span(self.lookback).before(train_end, zone) if self.lookback else instant(self.start or "", "start")
        )
        ordered = train_end <= held_out <= test_start < test_end <= as_of
        if not (ordered and train_start < train_end):
            # Of an expanding window only the date is at fault: a later one has something behind it.
            kind = NotEnoughData if ordered and self.start else ConfigurationError
            raise kind(
                f"The training window is empty at {as_of.isoformat()}: train [{train_start.isoformat()}, "
                f"{train_end.isoformat()}), test [{test_start.isoformat()}, {test_end.isoformat()})."
            )
        validation = Bounds(held_out, test_start) if self.validation else None
        return Windows(as_of, Bounds(train_start, train_end), Bounds(test_start, test_end), validation)


@dataclass(frozen=True)
class Interval:
    """The rows from an instant to the as-of, for those who score and do not train.

    >>> found = Interval("2026-11-20").at(datetime(2026, 11, 21, tzinfo=UTC))
    >>> found.whole.to_json()
    ['2026-11-20T00:00:00+00:00', '2026-11-21T00:00:00+00:00']
    """

    since: str
    before: str = "0h"
    knowledge_time: str | None = None
    timezone: str = "UTC"

    def at(self, as_of: datetime) -> Windows:
        """What one as-of may use: nothing is held out.

        :raises ConfigurationError: it ends before it begins
        """
        since = instant(self.since, "since")
        if since >= as_of:
            raise ConfigurationError(f"The interval from {since.isoformat()} to {as_of.isoformat()} is empty.")
        start = Span(self.before).before(since, ZoneInfo(self.timezone))
        return Windows(as_of, Bounds(start, as_of), Bounds(as_of, as_of))


def window_of(data: Mapping[str, Any]) -> TrainingWindow | Interval:
    """The window that a plain dict describes: an interval if it has ``since``."""
    if "since" not in data:
        return TrainingWindow.from_json(data)
    try:
        return Interval(**data)
    except TypeError as error:
        raise ConfigurationError(f"Interval {dict(data)!r}: {error}.") from error
