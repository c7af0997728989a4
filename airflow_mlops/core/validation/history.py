"""Whether data is as fresh, and as much, as it was at earlier as-ofs.

What is usual is the median of the last comparable snapshots; how far from it is too far follows from their own spread
(the median of the absolute deviations, which single outages do not move), but never less than a slack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_mlops.core.validation.report import ExpectationOutcome
from airflow_mlops.core.validation.suite import Severity
from airflow_mlops.core.windows import Span, instant
from airflow_mlops.exceptions import ConfigurationError

Same = Literal["any", "hour", "weekday", "day", "month"]

#: What makes two as-ofs comparable.
_SAME: Final[Mapping[str, Callable[[datetime], object]]] = {
    "any": lambda moment: None,
    "hour": lambda moment: moment.hour,
    "weekday": lambda moment: moment.weekday(),
    "day": lambda moment: moment.day,
    "month": lambda moment: moment.month,
}
#: The median absolute deviation of a normal distribution, in its standard deviations, is one over this.
_SIGMA: Final = 1.4826


@dataclass(frozen=True)
class Past:
    """What a snapshot of an earlier as-of was like.

    :param rows: in a window as long as the one now
    :param lag: hours from its newest event to its as-of
    """

    as_of: datetime
    rows: float
    lag: float | None = None


@dataclass(frozen=True)
class HistoryPolicy:
    """Which earlier snapshots count, and how far from them is too far.

    :param last: so many of the comparable ones, the newest
    :param at_least: with fewer nothing is judged
    :param same: compare with as-ofs of the same hour, weekday, day of the month, or month
    :param timezone: of that hour or day
    :param width: how many standard deviations, of a spread that is estimated robustly, are still usual
    :param severity: of an unusual one
    """

    kind: ClassVar[str]

    last: int = 12
    at_least: int = 6
    same: Same = "any"
    timezone: str = "UTC"
    width: float = 4.0
    severity: str = "critical"

    def __post_init__(self) -> None:
        if self.same not in _SAME:
            raise ConfigurationError(f"{self.kind}.same {self.same!r} is unknown: use one of {', '.join(_SAME)}.")
        if not 2 <= self.at_least <= self.last or self.width <= 0:
            raise ConfigurationError(f"{self.kind}: at_least must lie between 2 and last, and width be above 0.")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(f"{self.kind}.timezone {self.timezone!r} is unknown.") from error
        Severity.parse(self.severity)

    @classmethod
    def parse(cls, value: Any) -> Self | None:
        """Read a policy: a mapping of its parameters, True for the defaults, nothing for no check."""
        if value in (None, False, "", "None", "False"):
            return None
        if value in (True, "True"):
            return cls()
        try:
            return cls(**value)
        except TypeError as error:
            raise ConfigurationError(f"{cls.kind} {value!r}: {str(error).split(') ')[-1]}.") from error

    def comparable(self, earlier: Iterable[Past], as_of: datetime) -> tuple[Past, ...]:
        """The snapshots to compare with, the newest first; of later ones, and of the same as-of, none.

        >>> days = [Past(instant(f"2026-11-{day:02}"), 100) for day in range(1, 29)]
        >>> [past.as_of.day for past in VolumePolicy(same="weekday").comparable(days, instant("2026-11-22"))]
        [15, 8, 1]
        """
        zone, key = ZoneInfo(self.timezone), _SAME[self.same]
        wanted = key(as_of.astimezone(zone))
        before: dict[datetime, list[Past]] = {}
        for past in earlier:
            if past.as_of < as_of and key(past.as_of.astimezone(zone)) == wanted:
                before.setdefault(past.as_of, []).append(past)
        return tuple(_one(before[moment]) for moment in sorted(before, reverse=True)[: self.last])

    @property
    def whom(self) -> str:
        return "earlier snapshots" if self.same == "any" else f"earlier snapshots of the same {self.same}"


@dataclass(frozen=True)
class VolumePolicy(HistoryPolicy):
    """How many rows are usual. Half as many and twice as many are equally far off.

    :param slack: a share more, or the same factor fewer, is always usual
    """

    kind = "volume"
    slack: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slack <= 0:
            raise ConfigurationError("volume.slack must be above 0.")


@dataclass(frozen=True)
class FreshnessPolicy(HistoryPolicy):
    """How far the newest event usually lies before the as-of.

    :param slack: so much later than usual is always usual, such as ``1h``
    :param max_lag: at most so far before the as-of whatever is usual, such as ``36h``; needs no history
    """

    kind = "freshness"
    slack: str = "1h"
    max_lag: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = _hours(self.slack), self.max_lag and _hours(self.max_lag)


def check_volume(rows: int, earlier: Iterable[Past], as_of: datetime, policy: VolumePolicy) -> ExpectationOutcome:
    """Whether a snapshot has about as many rows as those before it.

    >>> before = [Past(instant(f"2026-11-{day:02}"), 1000 + day % 3) for day in range(1, 9)]
    >>> check_volume(90, before, instant("2026-11-09"), VolumePolicy()).message
    '90 rows, 801 to 1,251 are usual (8 earlier snapshots)'
    """
    past = policy.comparable(earlier, as_of)
    if len(past) < policy.at_least:
        return _outcome(policy, rows, True, f"{rows:,} rows, not judged: {_too_few(policy, past)}")
    logs = [math.log1p(each.rows) for each in past]
    middle, spread = median(logs), _spread(logs)
    reach = max(policy.width * spread, math.log1p(policy.slack))
    low, high = (max(math.expm1(middle + side * reach), 0.0) for side in (-1, 1))
    usual = f"{math.ceil(low):,} to {math.floor(high):,} are usual ({len(past)} {policy.whom})"
    return _outcome(policy, rows, math.ceil(low) <= rows <= math.floor(high), f"{rows:,} rows, {usual}")


def check_freshness(
    newest: datetime | None,
    earlier: Iterable[Past],
    as_of: datetime,
    policy: FreshnessPolicy,
    *,
    column: str,
    rows: int,
) -> ExpectationOutcome:
    """Whether the newest event lies about as far before the as-of as it did at earlier ones; nearer is never wrong.

    >>> before = [Past(instant(f"2026-11-{day:02}"), 1, lag=6) for day in range(1, 9)]
    >>> check_freshness(instant("2026-11-08T06:00Z"), before, instant("2026-11-09"), FreshnessPolicy(), column="at",
    ...                 rows=1).message
    'the newest event is 18.0 hours old, up to 7.0 are usual (8 earlier snapshots)'
    """
    if newest is None:
        return _outcome(policy, rows, False, "there is no event at all", column)
    lag = (as_of - newest) / timedelta(hours=1)
    told = f"the newest event is {lag:,.1f} hours old"
    if policy.max_lag and lag > _hours(policy.max_lag):
        return _outcome(policy, rows, False, f"{told}, at most {policy.max_lag} is allowed", column)
    past = [each for each in policy.comparable(earlier, as_of) if each.lag is not None]
    if len(past) < policy.at_least:
        return _outcome(policy, rows, True, f"{told}, not judged: {_too_few(policy, past)}", column)
    lags = [each.lag for each in past if each.lag is not None]
    most = median(lags) + max(policy.width * _spread(lags), _hours(policy.slack))
    usual = f"up to {most:,.1f} are usual ({len(past)} {policy.whom})"
    return _outcome(policy, rows, lag <= most, f"{told}, {usual}", column)


def _one(same: Sequence[Past]) -> Past:
    """Of several snapshots of one as-of, what does not depend on which was written when."""
    lags = [past.lag for past in same if past.lag is not None]
    return Past(same[0].as_of, median(past.rows for past in same), median(lags) if lags else None)


def _spread(values: Sequence[float]) -> float:
    """A robust standard deviation of another value of the kind around the median of these.

    Few values tell too small a spread (Croux and Rousseeuw, 1992), and their median is uncertain itself.
    """
    n, middle = len(values), median(values)
    deviation = median(abs(value - middle) for value in values)
    return _SIGMA * deviation * n / (n - 0.8) * math.sqrt(1 + math.pi / (2 * n))


def _outcome(
    policy: HistoryPolicy, rows: int, passed: bool, message: str, column: str | None = None
) -> ExpectationOutcome:
    return ExpectationOutcome(
        type=policy.kind,
        column=column,
        severity=Severity.parse(policy.severity),
        status="passed" if passed else "failed",
        unexpected_count=None,
        unexpected_percent=None,
        element_count=rows,
        message=message,
    )


def _too_few(policy: HistoryPolicy, past: Sequence[Past]) -> str:
    return f"{len(past)} {policy.whom}, {policy.at_least} are needed"


def _hours(span: str) -> float:
    begin = instant("2000-01-01")
    return (begin - Span(span).before(begin, ZoneInfo("UTC"))) / timedelta(hours=1)
