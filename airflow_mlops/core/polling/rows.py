"""Which rows of a query are new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_mlops.core.polling.marks import plain_mark
from airflow_mlops.core.polling.poll import Poll


@dataclass(frozen=True)
class AwaitedRows:
    """What is waited for of a query.

    :param where: the connection, for messages
    :param column: grows with every new row, such as an id or the time of loading
    :param min_rows: so many rows above the watermark
    """

    where: str
    column: str
    min_rows: int = 1


@dataclass(frozen=True)
class SeenRows:
    """What one look found: rows above the watermark, up to the newest value of the column."""

    count: int
    newest: Any


def judge_rows(seen: SeenRows, awaited: AwaitedRows, mark: Any) -> Poll:
    """What a look at a query means to somebody who waits for new rows.

    >>> awaited = AwaitedRows("warehouse", "id", min_rows=100)
    >>> judge_rows(SeenRows(20, 520), awaited, 500).reason
    'In warehouse: 20 new rows with id above 500, 100 wanted.'
    >>> judge_rows(SeenRows(120, 620), awaited, 500).found
    {'source': 'warehouse', 'count': 120, 'watermark': 620}
    """
    above = "" if mark is None else f" above {mark}"
    told = f"In {awaited.where}: {seen.count:,} new rows with {awaited.column}{above}"
    if seen.count < max(awaited.min_rows, 1):
        return Poll("wait", f"{told}, {awaited.min_rows:,} wanted.")
    newest = plain_mark(seen.newest)
    found = {"source": awaited.where, "count": seen.count, "watermark": newest}
    return Poll("done", f"{told}, up to {newest}.", found)
