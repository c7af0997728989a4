"""Who answers the checks: Great Expectations on pandas, or on SQL or Spark with a second way where these differ.

An engine is a function of a snapshot and of checks; it gives Great Expectations' own result for each of them, in their
order, or None where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from airflow_mlops.core.validation.routes import ROUTES, Way, way
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.validation.checks import Check
from airflow_mlops.steps.validation.cluster import on_cluster
from airflow_mlops.steps.validation.columns import Columns, columns_of
from airflow_mlops.steps.validation.frames import in_chunks, on_columns, on_names, on_table
from airflow_mlops.steps.validation.sql import on_view
from airflow_mlops.store.snapshots import Snapshot

#: Up to here pandas takes less CPU, on 20 columns and the suite of bench/validation.py.
SMALL_ROWS = 200_000
SMALL_BYTES = 32 << 20


class Engine(Protocol):
    """Answers checks on a snapshot."""

    def __call__(self, snapshot: Snapshot, checks: Sequence[Check], threads: int, /) -> list[Any]: ...


def by_pandas(snapshot: Snapshot, checks: Sequence[Check], threads: int = 1) -> list[Any]:
    """The columns that any check needs, in memory."""
    return on_table(snapshot, checks)


def by_sql(snapshot: Snapshot, checks: Sequence[Check], threads: int = 1) -> list[Any]:
    """Each check its own way, with the verdict that pandas would give."""
    return _routed(snapshot, checks, lambda c, some: on_view(c, some, threads))


def by_spark(snapshot: Snapshot, checks: Sequence[Check], threads: int = 1) -> list[Any]:
    """The same with Spark in SQL's place: for data of a cluster's size, which it does not answer sooner."""
    return _routed(snapshot, checks, lambda c, some: on_cluster(c.files, c.kinds, c.nulls, some))


def _routed(
    snapshot: Snapshot, checks: Sequence[Check], by_query: Callable[[Columns, list[Check]], list[Any]]
) -> list[Any]:
    columns = columns_of(snapshot.files)
    if not columns.rows:
        return on_table(snapshot, checks)
    ways = [way(check.expectation, columns.kinds) if check.core else Way.TABLE for check in checks]
    results: list[Any] = [None] * len(checks)

    def ask(places: Sequence[int], answer: Callable[[list[Check]], list[Any]]) -> None:
        for place, result in zip(places, answer([checks[place] for place in places]) if places else (), strict=True):
            results[place] = result

    def ask_pandas(places: Sequence[int]) -> None:
        for one, answer in _seconds(snapshot, columns).items():
            ask([place for place in places if ways[place] is one], answer)

    queried = [place for place, one in enumerate(ways) if one is Way.SQL]
    # The database counts while pandas does: it works outside the interpreter.
    with ThreadPoolExecutor(1, "mlops-query") as beside:
        counted = beside.submit(ask, queried, lambda some: by_query(columns, some))
        ask_pandas([place for place, one in enumerate(ways) if one is not Way.SQL])
        counted.result()
    unanswered = [place for place in queried if results[place] is None]
    for place in unanswered:
        ways[place] = second(checks[place])
    ask_pandas(unanswered)
    return results


def second(check: Check) -> Way:
    """The way of a check without SQL."""
    return ROUTES[check.expectation.type].second if check.core and check.expectation.type in ROUTES else Way.TABLE


def choose(engine: str, snapshot: Snapshot) -> str:
    """The engine by its name; ``auto`` looks at how much there is."""
    if engine == "auto":
        facts = snapshot.manifest
        size = sum(file.bytes for file in facts.files)
        return "pandas" if facts.rows <= SMALL_ROWS and size <= SMALL_BYTES else "sql"
    if engine not in ENGINES:
        raise ConfigurationError(f"Engine {engine!r} is unknown: use auto, {', '.join(ENGINES)}.")
    return engine


def _seconds(snapshot: Snapshot, columns: Columns) -> Mapping[Way, Callable[[list[Check]], list[Any]]]:
    return {
        Way.NAMES: lambda checks: on_names(columns.schema, checks),
        Way.CHUNKS: lambda checks: in_chunks(snapshot, checks, columns.nulls),
        Way.COLUMNS: lambda checks: on_columns(snapshot, checks),
        Way.TABLE: lambda checks: on_table(snapshot, checks),
    }


ENGINES: Mapping[str, Engine] = {"pandas": by_pandas, "sql": by_sql, "spark": by_spark}
