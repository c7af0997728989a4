"""The same profile of fewer columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlops.core.profiles import Plan, Profile


def narrowed(profile: Profile, columns: Collection[str] | None, ignore: Collection[str]) -> Profile:
    """A profile of the columns that are compared: those named, or all, but none that is ignored.

    What is derived from a column goes with it, and can be ignored by its own name.

    :raises ConfigurationError: a column is not there
    """
    plan = narrowed_plan(profile.plan, columns, ignore)
    kept = {column.name for column in plan.columns}
    return replace(profile, plan=plan, columns=tuple(c for c in profile.columns if c.name in kept))


def narrowed_plan(plan: Plan, columns: Collection[str] | None, ignore: Collection[str]) -> Plan:
    """The plan of these columns alone."""
    sources = plan.sources
    missing = [name for name in columns or () if name not in sources]
    if missing:
        raise ConfigurationError(
            f"Drift: the baseline has no column {', '.join(missing)}; it has {', '.join(sources[:50])}."
        )
    left = tuple(
        column
        for column in plan.columns
        if (columns is None or (column.source or column.name) in columns)
        and not {column.source, column.name} & {*ignore}
    )
    if not left:
        raise ConfigurationError("Drift: no column is left to compare: name some, or ignore fewer.")
    return replace(plan, columns=left)
