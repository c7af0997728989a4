"""Which model is judged on which rows: training cut-offs by evaluation windows, all on one grid of periods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median, median_low
from typing import Final

from airflow_mlops.core.evaluation import higher_is_better
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError

#: Days of the periods that have a name, and the multiples of each that are worth a comparison.
_NAMED: Final = {"day": 1.0, "week": 7.0, "month": 365.2425 / 12, "quarter": 365.2425 / 4, "year": 365.2425}
_CADENCES: Final = {"day": (1, 7, 28), "week": (1, 2, 4, 13), "month": (1, 2, 3, 6, 12), "quarter": (1, 2, 4)}
_OTHERWISE: Final = (1, 2, 3, 6)
_WORDS: Final = {
    ("day", 1): "daily", ("day", 7): "weekly", ("week", 1): "weekly", ("month", 1): "monthly",
    ("month", 3): "quarterly", ("month", 6): "half-yearly", ("month", 12): "yearly",
    ("quarter", 1): "quarterly", ("quarter", 2): "half-yearly", ("quarter", 4): "yearly", ("year", 1): "yearly",
}  # fmt: skip
#: Months have 28 to 31 days.
_TOLERANCE: Final = 0.1


@dataclass(frozen=True)
class BacktestSpec:
    """What a backtest asks.

    :param metric: by which the models are judged; None for the one that they were evaluated by
    :param cadences: how often to retrain, in periods of the models' own distance; None for those that suit it
    :param max_age: oldest models to ask, in periods; None for all
    :param margin: the smallest gain that would matter, in the metric's units; None for 1 % of its level
    """

    metric: str | None = None
    cadences: Sequence[int] | None = None
    max_age: int | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.metric is not None:
            higher_is_better(self.metric)
        if self.cadences is not None and (not self.cadences or any(every < 1 for every in self.cadences)):
            raise ConfigurationError(f"Cadences {list(self.cadences)} are no numbers of periods: write [1, 3, 6].")
        if self.max_age is not None and self.max_age < 0:
            raise ConfigurationError(f"max_age {self.max_age} is less than 0.")
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise ConfigurationError(f"margin {self.margin} is not above 0.")


@dataclass(frozen=True)
class PastModel:
    """A trained model of the past, as far as a backtest has to know it.

    :param test: its own; the model has seen nothing from its start on, which is a gap after the training rows
    :param created: when it was logged, in milliseconds; of two about one as-of the newer counts
    """

    model_id: str
    as_of: datetime
    train_end: datetime
    test: Bounds
    created: int = 0


@dataclass(frozen=True)
class Period:
    """The distance between two trainings, and how people call it.

    >>> Period.of([30.0, 31.0, 31.0, 59.0]).unit, Period.of([7.0, 7.0]).unit, Period.of([10.0, 10.0]).unit
    ('month', 'week', None)
    """

    days: float
    unit: str | None = None

    @classmethod
    def of(cls, gaps: Sequence[float]) -> Period:
        """The median of the gaps in days, the calendar's own length where it is near one; some may be missing."""
        typical = median_low(gaps)
        near = (name for name, days in _NAMED.items() if abs(typical / days - 1) < _TOLERANCE)
        unit = next(near, None)
        return cls(_NAMED[unit] if unit else typical, unit)

    @property
    def cadences(self) -> tuple[int, ...]:
        """The multiples that are worth a comparison."""
        return _CADENCES.get(self.unit or "", _OTHERWISE)

    def cadence(self, every: int) -> str:
        """How often, in a word.

        >>> month = Period(30.4, "month")
        >>> [month.cadence(every) for every in (1, 2, 3)]
        ['monthly', 'every 2 months', 'quarterly']
        >>> Period(10.0).cadence(3), Period(0.25).cadence(1)
        ('every 30 days', 'every 6 hours')
        """
        if self.unit is None:
            return f"every {self.age(every)}"
        return _WORDS.get((self.unit, every), f"every {every} {self.unit}s")

    def age(self, count: int) -> str:
        """So many periods.

        >>> Period(7.0, "week").age(1), Period(7.0, "week").age(2)
        ('1 week', '2 weeks')
        """
        if self.unit is not None:
            return f"{count} {self.unit}{'s' if count != 1 else ''}"
        days = count * self.days
        return f"{days:.3g} days" if days >= 1 else f"{24 * days:.3g} hours"


@dataclass(frozen=True)
class Window:
    """Rows that models are judged on: the test of the model of its period, less what an earlier window has."""

    number: int
    as_of: datetime
    bounds: Bounds


@dataclass(frozen=True)
class Plan:
    """The matrix before anything is scored.

    :param models: by number of their period
    :param delay: age of the newest model that is there when a window's rows come in, in periods: labels have to
        arrive and a test has to pass before a model may serve
    :param left_out: what does not count, and why
    """

    models: Mapping[int, PastModel]
    windows: Sequence[Window]
    period: Period | None
    delay: int = 0
    max_age: int | None = None
    left_out: Sequence[str] = field(default_factory=tuple)

    def judged(self, window: Window) -> dict[int, PastModel]:
        """By age in periods, the models that saw none of a window's rows."""
        ages = {window.number - number: model for number, model in self.models.items()}
        oldest = max(ages) if self.max_age is None else self.max_age
        return {
            age: model
            for age, model in sorted(ages.items())
            if 0 <= age <= oldest and model.test.start <= window.bounds.start
        }


def plan(found: Iterable[PastModel], max_age: int | None = None) -> Plan:
    """Put models on a grid of periods, and cut their tests into windows of which no two share a row.

    >>> from datetime import UTC
    >>> def model(month: int) -> PastModel:
    ...     as_of = datetime(2026, month, 1, tzinfo=UTC)
    ...     cut, start, end = (as_of - timedelta(days=days) for days in (36, 35, 7))
    ...     return PastModel(f"m-{month}", as_of, cut, Bounds(start, end))
    >>> made = plan([model(1), model(2), model(3)])
    >>> made.period.unit, made.delay, {age: one.model_id for age, one in made.judged(made.windows[2]).items()}
    ('month', 1, {0: 'm-3', 1: 'm-2', 2: 'm-1'})
    """
    known = sorted(found, key=lambda model: (model.created, model.model_id))
    newest = {model.as_of: model for model in known}
    left_out = [_beside(m, "a newer one has the same as-of") for m in known if newest[m.as_of] is not m]
    known = [newest[as_of] for as_of in sorted(newest)]
    gaps = [(later.as_of - one.as_of) / timedelta(days=1) for one, later in pairwise(known)]
    if not gaps:
        windows = [Window(0, model.as_of, model.test) for model in known]
        return Plan(dict(enumerate(known)), windows, None, max_age=max_age, left_out=left_out)
    period = Period.of(gaps)
    places = {model.model_id: (model.as_of - known[0].as_of) / timedelta(days=period.days) for model in known}
    nearest_last = sorted(known, key=lambda model: -abs(places[model.model_id] - round(places[model.model_id])))
    models = {round(places[model.model_id]): model for model in nearest_last}
    aside = f"another one lies nearer to its {period.unit or 'period'}"
    left_out += [_beside(model, aside) for model in known if model not in models.values()]
    windows = _apart(models)
    waits = [(w.as_of - w.bounds.start - (w.bounds.end - w.bounds.start) / 2) / timedelta(days=1) for w in windows]
    delay = math.ceil(median(waits) / period.days - 1e-9)
    return Plan(dict(sorted(models.items())), windows, period, delay, max_age, left_out)


def _beside(model: PastModel, why: str) -> str:
    return f"Model {model.model_id} as of {model.as_of:%Y-%m-%d}: {why}."


def _apart(models: Mapping[int, PastModel]) -> list[Window]:
    """The models' tests, each without the rows of those before it."""
    windows: list[Window] = []
    for number, model in sorted(models.items()):
        start = max([model.test.start, *(window.bounds.end for window in windows[-1:])])
        if start < model.test.end:
            windows.append(Window(number, model.as_of, Bounds(start, model.test.end)))
    return windows
