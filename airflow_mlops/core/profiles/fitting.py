"""Freeze the edges and the keys of a plan from rows of the reference."""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.profiles.arrays import Numbers, numbers
from airflow_mlops.core.profiles.categories import TextCounter
from airflow_mlops.core.profiles.edges import edges_of, middle_of
from airflow_mlops.core.profiles.plan import ColumnPlan, Kind, Plan
from airflow_mlops.core.profiles.sources import derived, instant_of
from airflow_mlops.core.profiles.values import family_of, logical_type
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: From this share of values seen once on, new values are usual (Good and Turing).
NEW: Final = 0.005
#: Keys that are counted each on its own; with more values, the others share hash buckets.
MAX_KEYS: Final = 10_000
BUCKETS: Final = 4_096
#: So few different integers are categories.
FEW: Final = 20
#: Different texts that are kept while keys are sought.
MOST_TEXTS: Final = 1 << 17
#: Numbers that are kept for edges.
_MOST_NUMBERS: Final = 1 << 20
#: Longer texts are no categories.
_LONGEST_KEY: Final = 256


def fit_plan(
    batches: Iterable[pa.RecordBatch],
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    as_of: datetime | str | None = None,
) -> Plan:
    """The plan of some rows of the reference: whichever they are, counts by it are exact.

    :param columns: the columns to profile; None for all
    :param sensitive: columns of which nothing but rows and nulls may be counted
    :param as_of: the instant of the reference, if ages are to be counted
    """
    fitters: list[ColumnFitter] = []
    for batch in batches:
        fitters = fitters or list(fitters_of(batch.schema, columns, sensitive, as_of))
        for fitter in fitters:
            fitter.update(batch.column(fitter.name))
    if not fitters:
        raise ProfileError("A plan needs at least one batch of the reference, and a column.")
    return plan_of(fitter.plans() for fitter in fitters)


def fitters_of(
    schema: pa.Schema, columns: Sequence[str] | None, sensitive: Iterable[str], as_of: datetime | str | None
) -> Iterator[ColumnFitter]:
    """One for each column of the reference, made when it is asked for: who plans it at once keeps no other's rows.

    :raises ProfileError: a column that is named is not there
    """
    wanted, withheld = list(schema.names if columns is None else columns), set(sensitive)
    if missing := [name for name in wanted if name not in schema.names]:
        raise ProfileError(f"The reference has no column {', '.join(missing)}; it has {', '.join(schema.names)}.")
    moment = None if as_of is None else instant_of(as_of)
    return (ColumnFitter(name, schema.field(name).type, name in withheld, moment) for name in wanted)


def plan_of(columns: Iterable[Iterable[ColumnPlan]]) -> Plan:
    """The plan of a table from those of its columns, each with what is derived of it."""
    planned = [plan for plans in columns for plan in plans]
    taken = {plan.name for plan in planned if not plan.derived}
    return Plan(tuple(plan for plan in planned if not plan.derived or plan.name not in taken))


class ColumnFitter:
    """Sees a column of the reference and plans how it is counted."""

    def __init__(self, name: str, type_: pa.DataType, withheld: bool, as_of: datetime | None) -> None:
        self.name = name
        self.type = logical_type(type_)
        self.family = family_of(self.type)
        kind: Kind = "withheld" if withheld else "opaque" if self.family == "opaque" else "numeric"
        self.kind = kind
        self.as_of = as_of
        self._texts = _Texts(ColumnPlan(name, self.type, "categorical")) if self.wants_all else None
        self._numbers: list[Numbers] = []
        self._kept, self._every = 0, 1

    @property
    def wants_all(self) -> bool:
        """Whether a sample would not do: every text of the reference is to be a key."""
        return self.kind == "numeric" and self.family == "text"

    @property
    def wants_none(self) -> bool:
        """Whether no row says more than the type."""
        return self.kind != "numeric" or self.family == "bool"

    def update(self, array: pa.Array) -> None:
        """Take in the column of one batch."""
        if self._texts is not None:
            self._texts.update(array)
        elif not self.wants_none:
            self._keep(numbers(array))

    def _keep(self, found: Numbers) -> None:
        """Every value of a short column, every second, fourth … of a long one."""
        # A copy: a part of a batch would keep the whole of it.
        self._numbers.append(Numbers(found.values[:: self._every].copy(), found.divisor, found.wide[:: self._every]))
        self._kept += len(self._numbers[-1].values) + len(self._numbers[-1].wide)
        if self._kept > _MOST_NUMBERS:
            self._every *= 2
            self._numbers = [Numbers(part.values[::2].copy(), part.divisor, part.wide[::2]) for part in self._numbers]
            self._kept = sum(len(part.values) + len(part.wide) for part in self._numbers)

    def tally(self, values: Sequence[Any], counts: np.ndarray) -> None:
        """Take in different texts and how often each is there, which another engine has counted."""
        if self._texts is not None:
            self._texts.add_rest(values, counts)

    def plans(self) -> list[ColumnPlan]:
        """The column's plan, and those of what is derived of it."""
        if self.kind != "numeric":
            return [ColumnPlan(self.name, self.type, self.kind)]
        if self.family == "bool":
            return [ColumnPlan(self.name, self.type, "categorical", keys=(False, True))]
        if self._texts is not None:
            return self._text_plans(self._texts)
        own = ColumnPlan(self.name, self.type, "categorical", keys=self._few())
        return [own if own.keys else self._numeric(), *self._time_plans()]

    def _few(self) -> tuple[int, ...]:
        """The different values, if they are few integers."""
        import numpy as np

        found: set[int] = set()
        for part in self._numbers:
            different = np.unique(part.values)
            different = different[np.isfinite(different)]
            few = len(different) <= FEW and part.divisor == 1 and not part.wide and self.family == "number"
            if not few or not np.array_equal(different, np.trunc(different)):
                return ()
            found |= set(map(int, different.tolist()))
        return tuple(sorted(found)) if len(found) <= FEW and all(abs(value) <= 2**53 for value in found) else ()

    def _numeric(self) -> ColumnPlan:
        return numeric_plan(ColumnPlan(self.name, self.type, "categorical"), self._numbers)

    def _time_plans(self) -> list[ColumnPlan]:
        if self.type not in ("date", "timestamp[us]", "timestamp[us, UTC]"):
            return []
        keys = {"weekday": tuple(range(7))} | ({"hour": tuple(range(24))} if self.type != "date" else {})
        plans = [self._derived(how, "categorical", keys=keys[how]) for how in sorted(keys)]
        if self.as_of is None:
            return plans
        age = self._derived("age", "categorical")
        return [*plans, numeric_plan(age, [derived(part, age, self.as_of) for part in self._numbers])]

    def _text_plans(self, found: _Texts) -> list[ColumnPlan]:
        found.flush()
        own = ColumnPlan(self.name, self.type, "categorical")
        if not found.left_out and len(found.seen) <= MAX_KEYS:
            # Where new values are usual, they go by their hash: together they would hide one that becomes frequent.
            once, rows = list(found.seen.values()).count(1), sum(found.seen.values())
            return [replace(own, keys=tuple(sorted(found.seen)), buckets=BUCKETS if once > NEW * rows else 0)]
        # Of an identifier no value comes twice, and none is a category.
        often = sorted((-n, key.encode(), key) for key, n in found.seen.items() if n > 1)
        own = replace(own, keys=tuple(key for *_, key in often[:MAX_KEYS]), buckets=BUCKETS)
        if self.type != "string":
            return [own]
        return [own, numeric_plan(self._derived("length", "categorical"), [found.sizes()])]

    def _derived(self, how: str, kind: Kind, **more: Any) -> ColumnPlan:
        return ColumnPlan(f"{self.name}.{how}", self.type, kind, source=self.name, derived=how, **more)


class _Texts(TextCounter):
    """Every different text and how often it was seen, up to a limit; then those that were seen first."""

    def __init__(self, plan: ColumnPlan) -> None:
        super().__init__(plan)
        self.seen: dict[str, int] = {}
        self.lengths: Tally[int] = Tally()
        self.left_out = False

    def add_rest(self, values: Sequence[Any], counts: np.ndarray) -> None:
        for value, count in zip(values, counts.tolist(), strict=True):
            self.lengths[len(value)] += count
            if value in self.seen or (len(self.seen) < MOST_TEXTS and len(value) <= _LONGEST_KEY):
                self.seen[value] = self.seen.get(value, 0) + count
            else:
                self.left_out = True

    def sizes(self) -> Numbers:
        """The lengths, or a share of them that is enough."""
        import numpy as np

        share = max(1, sum(self.lengths.values()) >> 18)
        return Numbers(np.repeat(np.array(list(self.lengths), "i8"), [-(-n // share) for n in self.lengths.values()]))


def numeric_plan(draft: ColumnPlan, parts: Sequence[Numbers]) -> ColumnPlan:
    """The plan of a column of numbers of which these are a sample."""
    import numpy as np

    values = np.concatenate([part.values for part in parts]) if parts else np.empty(0)
    divisor = max((part.divisor for part in parts), default=1)
    wide = [value for part in parts for value in part.wide]
    floats = values.dtype.kind == "f"
    values = values[np.isfinite(values)] if floats else values
    ranked: Any = np.sort(values) if not wide else sorted([*values.tolist(), *wide])
    edges, atoms = edges_of(ranked, _before_float if floats else _before)
    if divisor > 1:  # half way between two decimals, where no rounding can reach
        edges = sorted({(2 * edge + 1) / (2 * divisor) for edge in edges})
        atoms = atoms if len(atoms) == len(edges) + 1 else [False] * (len(edges) + 1)
    center, scale = middle_of(ranked, divisor)
    center = int(center) if not floats and divisor == 1 else center
    return replace(draft, kind="numeric", edges=tuple(edges), atoms=tuple(atoms), center=center, scale=scale)


def _before(value: int) -> int:
    return value - 1


def _before_float(value: float) -> float:
    return math.nextafter(value, -math.inf)
