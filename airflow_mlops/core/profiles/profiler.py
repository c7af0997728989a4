"""Count batches of rows as a plan says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles.binning import Workspace
from airflow_mlops.core.profiles.plan import Plan
from airflow_mlops.core.profiles.profile import ColumnProfile, Profile
from airflow_mlops.core.profiles.sources import SourceCounter, by_source, instant_of
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import pyarrow as pa


class Profiler:
    """Counts the rows of batches: ``update`` with each, then ``profile``.

    :param as_of: the instant that ages are counted from, where the plan has any
    """

    def __init__(self, plan: Plan, as_of: datetime | str | None = None) -> None:
        self.plan = plan
        self.as_of = instant_of(as_of) if plan.needs_as_of else None
        self.rows = 0
        space = Workspace()
        self._sources = {name: SourceCounter(plans, self.as_of, space) for name, plans in by_source(plan).items()}

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in one batch; columns that the plan does not name are left alone.

        :raises ProfileError: a column is missing, or of a type that the plan cannot count
        """
        check_columns(self.plan, batch.schema.names)
        self.rows += batch.num_rows
        for name, source in self._sources.items():
            source.update(batch.column(name))

    def profile(self) -> Profile:
        """The profile of the batches so far."""
        return assembled(self.plan, self.rows, (source.profiles() for source in self._sources.values()), self.as_of)


def assembled(
    plan: Plan, rows: int, found: Iterable[Iterable[ColumnProfile]], as_of: datetime | None = None
) -> Profile:
    """The profile of rows of which the columns were counted one by one, whatever the order of these."""
    columns = {column.name: column for group in found for column in group}
    moment = as_of.isoformat() if as_of else None
    return Profile(plan, rows, tuple(columns[column.name] for column in plan.columns), moment)


def check_columns(plan: Plan, known: Iterable[str]) -> None:
    """Refuse data that lack a column.

    :raises ProfileError: naming it
    """
    here = set(known)
    if missing := [name for name in plan.sources if name not in here]:
        raise ProfileError(
            f"The rows have no column {', '.join(missing)}, which the plan counts: bring it back, "
            "or make a new baseline without it."
        )


def profile_batches(
    plan: Mapping[str, Any], batches: Iterable[pa.RecordBatch], as_of: str | None = None
) -> dict[str, Any]:
    """The profile of some batches, JSON in and out: what an engine runs on each partition, and merges after."""
    profiler = Profiler(Plan.from_json(plan), as_of)
    for batch in batches:
        profiler.update(batch)
    return profiler.profile().to_json()
