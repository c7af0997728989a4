"""Count one column of the data, and everything that is derived of it, in one go."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles.arrays import Numbers, null_count, numbers
from airflow_mlops.core.profiles.binning import Workspace
from airflow_mlops.core.profiles.categories import BooleanCounter, IntegerCounter, TextCounter
from airflow_mlops.core.profiles.counting import Counter, NumericCounter
from airflow_mlops.core.profiles.plan import ColumnPlan, Plan
from airflow_mlops.core.profiles.profile import ColumnProfile
from airflow_mlops.core.profiles.values import check_type, family_of
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_HOUR, _DAY = 3_600 * _SECOND, 86_400 * _SECOND


class SourceCounter:
    """The counters of one column of the data.

    :param plans: the column's own plan, and those of what is derived of it
    :param as_of: the instant that ages are counted from
    """

    def __init__(self, plans: Iterable[ColumnPlan], as_of: datetime | None, space: Workspace) -> None:
        self.plans = list(plans)
        self.space = space
        self.as_of = as_of
        self.counters = [self._counter(plan) for plan in self.plans]
        self._type: pa.DataType | None = None
        self._length = next((c for c in self.counters if c.plan.derived == "length"), None)
        if isinstance(self.counters[0], TextCounter) and isinstance(self._length, NumericCounter):
            self.counters[0].length = self._length

    def update(self, array: pa.Array) -> None:
        """Take in the column of one batch.

        :raises ProfileError: its type is not one that the plan can count
        """
        own = self.counters[0]
        if self._type is None or self._type != array.type:
            check_type(own.plan, array.type)
            self._type = array.type
        if isinstance(own, TextCounter | BooleanCounter):
            own.update(array)
            return
        if not isinstance(own, NumericCounter | IntegerCounter):
            own.add_rows(len(array), null_count(array))
            return
        found = numbers(array)
        nulls = len(array) - len(found.values) - len(found.wide)
        for counter in self.counters:
            counter.add_rows(len(array), nulls)
            if isinstance(counter, NumericCounter | IntegerCounter):
                counter.add(derived(found, counter.plan, self.as_of))

    def profiles(self) -> list[ColumnProfile]:
        """The counts so far, in the order of the plans."""
        own = self.counters[0].profile()
        if isinstance(self._length, NumericCounter):
            self._length.rows, self._length.nulls = own.rows, own.nulls
        return [own, *(counter.profile() for counter in self.counters[1:])]

    def _counter(self, plan: ColumnPlan) -> Counter:
        if plan.kind == "numeric":
            return NumericCounter(plan, self.space)
        if plan.kind != "categorical":
            return Counter(plan)
        family = family_of(plan.type)
        if family == "bool":
            return BooleanCounter(plan)
        return TextCounter(plan) if family == "text" else IntegerCounter(plan, self.space)


def derived(found: Numbers, plan: ColumnPlan, as_of: datetime | None) -> Numbers:
    """Hours, weekdays and ages of points in time; everything else as it is."""
    if not plan.derived:
        return found
    unit = _DAY if plan.type == "date" else 1
    values: Any = found.values
    if plan.derived == "hour":
        return Numbers(values % _DAY // _HOUR, wide=[value % _DAY // _HOUR for value in found.wide])
    if plan.derived == "weekday":  # the first of January 1970 was a Thursday
        days = _DAY // unit
        return Numbers((values // days + 3) % 7, wide=[(value // days + 3) % 7 for value in found.wide])
    moment = (instant_of(as_of) - _EPOCH) // _EPOCH.resolution
    if unit == _DAY:
        return Numbers(moment // _SECOND - values * (_DAY // _SECOND))
    near = abs(values) < 2**62
    wide = [*values[~near].tolist(), *found.wide]
    return Numbers((moment - values[near]) // _SECOND, wide=[(moment - value) // _SECOND for value in wide])


def instant_of(as_of: datetime | str | None) -> datetime:
    """The as-of as an instant.

    :raises ProfileError: there is none, and ages are to be counted
    """
    if as_of is None:
        raise ProfileError("The plan counts ages: name the as_of that they are counted from.")
    moment = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def by_source(plan: Plan) -> dict[str, list[ColumnPlan]]:
    """The plans that each column of the data feeds, its own first."""
    found: dict[str, list[ColumnPlan]] = {name: [] for name in plan.sources}
    for column in sorted(plan.columns, key=lambda column: bool(column.derived)):
        found[column.source or column.name].append(column)
    return found
