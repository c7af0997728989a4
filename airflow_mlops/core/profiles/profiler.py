"""Count batches of rows as a plan says."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles.plan import ColumnPlan, Plan
from airflow_mlops.core.profiles.profile import ColumnProfile, Profile
from airflow_mlops.core.profiles.values import check_type
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import pyarrow as pa


class Profiler:
    """Counts the rows of batches: ``update`` with each, then ``profile``."""

    def __init__(self, plan: Plan, as_of: datetime | str | None = None) -> None:
        self._profile = Profile.empty(plan)
        self._plan = plan

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in one batch; columns that the plan does not name are left alone."""
        known = batch.schema.names
        if missing := [name for name in self._plan.sources if name not in known]:
            raise ProfileError(f"The rows have no column {', '.join(missing)}, which the plan counts.")
        columns = []
        for plan in self._plan.columns:
            column = batch.column(plan.source or plan.name)
            check_type(plan, column.type)
            columns.append(_counted(plan, column))
        self._profile = self._profile.merge(Profile(self._plan, batch.num_rows, tuple(columns)))

    def profile(self) -> Profile:
        """The profile of the batches so far."""
        return self._profile


def profile_batches(plan: Mapping[str, Any], batches: Iterable[pa.RecordBatch]) -> dict[str, Any]:
    """The profile of some batches, JSON in and out: what an engine runs on each partition, and merges."""
    profiler = Profiler(Plan.from_json(plan))
    for batch in batches:
        profiler.update(batch)
    return profiler.profile().to_json()


def _counted(plan: ColumnPlan, column: pa.Array) -> ColumnProfile:
    rows = column.to_pylist()
    values = [value for value in rows if value is not None]
    empty = replace(ColumnProfile.empty(plan), rows=len(rows), nulls=len(rows) - len(values))
    if plan.kind in ("withheld", "opaque"):
        return empty
    if plan.kind == "categorical":
        seen = Counter(values)
        found = tuple(seen[key] for key in plan.keys)
        return replace(empty, counts=found, rest=len(values) - sum(found))
    counts = [0] * plan.bins
    numbers = [float(value) for value in values if value == value]
    for value in numbers:
        counts[bisect_left(plan.edges, value)] += 1
    finite = [value for value in numbers if abs(value) != float("inf")]
    steps = [round((value - plan.center) / plan.scale * 2**12) for value in finite]
    return replace(
        empty,
        nans=len(values) - len(numbers),
        negative_infinities=numbers.count(float("-inf")),
        positive_infinities=numbers.count(float("inf")),
        minimum=min(finite, default=None),
        maximum=max(finite, default=None),
        counts=tuple(counts),
        total=sum(round((value - plan.center) / plan.scale * 2**20) for value in finite),
        coarse=sum(steps),
        squares=sum(step * step for step in steps),
    )
