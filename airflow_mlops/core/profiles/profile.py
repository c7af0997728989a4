"""What was counted: integers alone, so that parts add up to the whole in any order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property, reduce
from operator import add
from typing import Any, Final

from airflow_mlops.core.profiles.plan import ColumnPlan, Plan
from airflow_mlops.core.profiles.sketch import NOTHING, Sketch
from airflow_mlops.core.snapshots import digest
from airflow_mlops.exceptions import ProfileError

_FORMAT: Final = "airflow-mlops profile 1"
#: The sums count in these fractions of the plan's scale.
TOTAL_STEP: Final = Fraction(1, 1 << 20)
SQUARE_STEP: Final = Fraction(1, 1 << 12)

_SUMS: Final = (
    "rows", "nulls", "nans", "negative_infinities", "positive_infinities", "total", "coarse", "squares", "clipped",
    "rest",
)  # fmt: skip


@dataclass(frozen=True)
class ColumnProfile:
    """The counts of one column.

    :param nulls: missing values; a NaN is none
    :param nans: in no bin
    :param negative_infinities: in the first bin too, but not in minimum, maximum and sums; likewise the positive ones
    :param minimum: smallest finite number; None without one. Of a point in time its count of the plan's unit
    :param counts: values per bin, or per key
    :param total: sum of the distances from the plan's center, in ``scale / 2**20``
    :param coarse: the same in ``scale / 2**12``, and ``squares`` the sum of the squares of these
    :param clipped: values so far away (a million scales) that they entered the sums as the farthest that do
    :param rest: values outside the keys
    :param buckets: the same by their hash
    :param sketch: of the values outside the keys, as a sample of the distinct ones
    """

    plan: ColumnPlan = field(repr=False)
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    negative_infinities: int = 0
    positive_infinities: int = 0
    minimum: int | float | None = None
    maximum: int | float | None = None
    counts: tuple[int, ...] = ()
    total: int = 0
    coarse: int = 0
    squares: int = 0
    clipped: int = 0
    rest: int = 0
    buckets: tuple[int, ...] = ()
    sketch: Sketch = NOTHING

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def kind(self) -> str:
        return self.plan.kind

    @property
    def values(self) -> int:
        """How many are neither null nor NaN."""
        return self.rows - self.nulls - self.nans

    @property
    def finite(self) -> int:
        """How many numbers are in the sums."""
        return self.values - self.negative_infinities - self.positive_infinities

    @property
    def mean(self) -> float | None:
        """Of the finite numbers; exact to ``scale / 2**20``. None without any."""
        if self.kind != "numeric" or not self.finite:
            return None
        return _float(Fraction(self.plan.center) + self.total * self._scale * TOTAL_STEP / self.finite)

    @property
    def std(self) -> float | None:
        """Standard deviation of the finite numbers (of the population)."""
        if self.kind != "numeric" or not self.finite:
            return None
        n = self.finite
        spread = Fraction(self.squares * n - self.coarse**2, n * n)
        return math.sqrt(_float(spread)) * _float(self._scale * SQUARE_STEP)

    @property
    def distinct(self) -> int:
        """How many different values: exact while all are keys, else estimated to about 6 in 100."""
        return sum(count > 0 for count in self.counts) + self.sketch.distinct

    @property
    def singletons(self) -> int:
        """How many different values were seen exactly once: Good and Turing's measure of what is still unseen."""
        return sum(count == 1 for count in self.counts) + self.sketch.singletons

    @property
    def _scale(self) -> Fraction:
        return Fraction(self.plan.scale)

    def merge(self, other: ColumnProfile) -> ColumnProfile:
        return ColumnProfile(
            self.plan,
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMS},
            minimum=_first(min, self.minimum, other.minimum),
            maximum=_first(max, self.maximum, other.maximum),
            counts=tuple(map(add, self.counts, other.counts)),
            buckets=tuple(map(add, self.buckets, other.buckets)),
            sketch=self.sketch.merge(other.sketch),
        )

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.name, "rows": self.rows, "nulls": self.nulls}
        if self.kind in ("withheld", "opaque"):
            return told
        aside = {"plan", "rows", "nulls", "sketch", "counts", "buckets"}
        told |= {f.name: getattr(self, f.name) for f in fields(self) if f.name not in aside}
        told |= {"counts": list(self.counts), "buckets": list(self.buckets), "sketch": self.sketch.to_json()}
        return {name: value for name, value in told.items() if value or name in ("rows", "nulls", "counts")} | (
            {name: told[name] for name in ("minimum", "maximum") if told[name] is not None}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any], plan: ColumnPlan) -> ColumnProfile:
        facts = {name: value for name, value in data.items() if name != "name"}
        found = {**facts, "sketch": Sketch.from_json(facts.get("sketch", ()))}
        found["counts"] = tuple(facts.get("counts", ()))
        found["buckets"] = tuple(facts.get("buckets", ())) or (0,) * plan.buckets
        profile = cls(plan, **found)
        if data["name"] != plan.name or len(profile.counts) != plan.bins or len(profile.buckets) != plan.buckets:
            raise ProfileError(f"Column {data['name']}: its counts are not those of its plan.")
        return profile

    @classmethod
    def empty(cls, plan: ColumnPlan) -> ColumnProfile:
        return cls(plan, counts=(0,) * plan.bins, buckets=(0,) * plan.buckets)


@dataclass(frozen=True)
class Profile:
    """The counts of all columns of some rows.

    :param as_of: the instant that ages are counted from; None where the plan counts none
    """

    plan: Plan
    rows: int
    columns: tuple[ColumnProfile, ...]
    as_of: str | None = None

    @classmethod
    def empty(cls, plan: Plan, as_of: str | None = None) -> Profile:
        """The profile of no rows: merging it changes nothing."""
        columns = tuple(ColumnProfile.empty(column) for column in plan.columns)
        return cls(plan, 0, columns, as_of if plan.needs_as_of else None)

    def column(self, name: str) -> ColumnProfile:
        """The counts of one column."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise ProfileError(f"The profile has no column {name}; it has {', '.join(self.plan.sources)}.")
        return found

    def merge(self, *others: Profile) -> Profile:
        """The profile of all these rows.

        :raises ProfileError: the plans differ, or the as-ofs of the ages
        """
        return reduce(_merged, others, self)

    @cached_property
    def digest(self) -> str:
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "plan": self.plan.to_json(),
            "plan_digest": self.plan.digest,
            "rows": self.rows,
            "as_of": self.as_of,
            "columns": [column.to_json() for column in self.columns],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """Read it back.

        :raises ProfileError: it is no profile, of another version, or its parts do not fit together
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise ProfileError(f"This is not a profile of this version ({_FORMAT}): make it again.")
        try:
            plan = Plan.from_json(data["plan"])
            columns = zip(data["columns"], plan.columns, strict=True)
            profile = cls(
                plan,
                data["rows"],
                tuple(ColumnProfile.from_json(column, planned) for column, planned in columns),
                data["as_of"],
            )
        except ProfileError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProfileError(f"This profile cannot be read: {error}.") from error
        if plan.digest != data.get("plan_digest"):
            raise ProfileError("The plan of this profile was changed after it was written.")
        return profile


def same_plan(one: Profile, other: Profile) -> None:
    """Refuse to put counts of different plans together.

    :raises ProfileError: naming the columns that differ
    """
    if one.plan.digest == other.plan.digest:
        return
    ours, theirs = ({column.name: column for column in profile.plan.columns} for profile in (one, other))
    differing = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    raise ProfileError(
        f"These profiles are of different plans ({', '.join(differing[:5]) or 'their order or kernel'}): "
        "profile both against one plan."
    )


def _merged(one: Profile, other: Profile) -> Profile:
    same_plan(one, other)
    if one.as_of != other.as_of:
        raise ProfileError(f"Ages at {one.as_of} and at {other.as_of} do not add up: profile both at one as-of.")
    columns = tuple(ours.merge(theirs) for ours, theirs in zip(one.columns, other.columns, strict=True))
    return Profile(one.plan, one.rows + other.rows, columns, one.as_of)


def _first(choose: Any, ours: float | None, theirs: float | None) -> Any:
    return choose((x for x in (ours, theirs) if x is not None), default=None)


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
