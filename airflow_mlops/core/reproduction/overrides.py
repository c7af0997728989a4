"""What of a record is to be otherwise in a new candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.windows import TrainingWindow, Windows, instant
from airflow_mlops.exceptions import ConfigurationError

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Overrides:
    """Parts of a model's record that a new candidate does not take over.

    :param params: keyword arguments of the estimator, beside those of the record
    :param search_space: values to try of further ones; the best become the candidate's
    :param seed: another seed
    :param window: arguments of a :class:`~airflow_mlops.core.windows.TrainingWindow`; the data are read anew
    :param as_of: another instant; the data are read anew
    :param data_version: another snapshot of the same data, by its data version or its URI
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    search_space: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seed: int | None = None
    window: Mapping[str, Any] | None = None
    as_of: str | None = None
    data_version: str | None = None

    def __post_init__(self) -> None:
        if self.data_version and self.reads_anew:
            raise ConfigurationError("Overrides: data_version names data as they are; window and as_of read new ones.")
        if twice := sorted(set(self.params) & set(self.search_space)):
            raise ConfigurationError(f"Overrides: {', '.join(twice)} is both set and searched: choose one.")
        for name, values in self.search_space.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise ConfigurationError(f"Overrides: search_space.{name} {values!r} is not a list of values to try.")
        if self.window:
            TrainingWindow.from_json(self.window)
        if self.as_of:
            instant(self.as_of)

    @property
    def given(self) -> bool:
        """Whether anything is overridden."""
        return self != Overrides()

    @property
    def reads_anew(self) -> bool:
        """Whether the sources are asked again."""
        return bool(self.window or self.as_of)

    def applied(self, spec: TrainingSpec) -> TrainingSpec:
        """A recorded specification with its overrides; the search comes later.

        >>> spec = TrainingSpec("m", "a.B", {"C": 1.0, "tol": 0.1}, target="y")
        >>> Overrides(params={"C": 0.5}, seed=7).applied(spec).params
        {'C': 0.5, 'tol': 0.1}
        """
        return replace(spec, params={**spec.params, **self.params}, seed=spec.seed if self.seed is None else self.seed)

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}


def window_of(windows: Windows, knowledge_time: str | None = None, timezone: str = "UTC") -> TrainingWindow:
    """The training window behind recorded bounds, so that it can be moved to another as-of.

    Whole days of the zone count as days, everything else as hours. An expanding window is told as a sliding one.

    >>> window = TrainingWindow(test="28d", lookback="255d", gap="1d", label_delay="7d", timezone="America/New_York")
    >>> window_of(window.at(instant("2026-11-15")), timezone="America/New_York") == window
    True
    """
    zone = ZoneInfo(timezone)
    held_out = windows.validation or windows.test
    return TrainingWindow(
        label_delay=_span(windows.test.end, windows.as_of, zone),
        test=_span(windows.test.start, windows.test.end, zone),
        validation=_span(windows.validation.start, windows.validation.end, zone) if windows.validation else None,
        gap=_span(windows.train.end, held_out.start, zone),
        lookback=_span(windows.train.start, windows.train.end, zone),
        knowledge_time=knowledge_time,
        timezone=timezone,
    )


def _span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """From one instant to another, by the calendar where that gives whole days."""
    by_calendar = end.astimezone(zone).replace(tzinfo=None) - start.astimezone(zone).replace(tzinfo=None)
    if by_calendar % _DAY == timedelta(0):
        return f"{by_calendar // _DAY}d"
    elapsed = end - start
    if elapsed % _HOUR:
        raise ConfigurationError(f"The recorded window of {elapsed} is no whole number of hours: name a window.")
    return f"{elapsed // _HOUR}h"
