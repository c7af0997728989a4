"""Freeze the edges and the keys of a plan from rows of the reference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.profiles.plan import ColumnPlan, Kind, Plan
from airflow_mlops.core.profiles.values import family_of, logical_type
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import pyarrow as pa

#: Bins of equal mass; beside them the tails get these shares of the reference for themselves.
BINS: Final = 256
TAILS: Final = (0.0001, 0.001, 0.005)
#: Keys that are counted each on its own, and how few distinct integers are categories.
MAX_KEYS: Final = 10_000
FEW: Final = 20


def fit_plan(
    batches: Iterable[pa.RecordBatch],
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    as_of: datetime | str | None = None,
) -> Plan:
    """The plan of some rows of the reference; none of its counts depends on which rows were taken.

    :param columns: the columns to profile; None for all
    :param sensitive: columns of which nothing but rows and nulls may be counted
    :param as_of: the instant of the reference, if ages are to be counted
    """
    tables = list(batches)
    if not tables:
        raise ProfileError("A plan needs at least one batch of the reference.")
    schema = tables[0].schema
    withheld = set(sensitive)
    planned = []
    for name in columns if columns is not None else schema.names:
        values = [v for batch in tables for v in batch.column(name).to_pylist()]
        planned.append(_column(name, schema.field(name).type, values, name in withheld))
    return Plan(tuple(planned))


def _column(name: str, type_: pa.DataType, rows: list[Any], withheld: bool) -> ColumnPlan:
    logical = logical_type(type_)
    family = family_of(logical)
    kind: Kind = "withheld" if withheld else "opaque" if family == "opaque" else "numeric"
    if kind != "numeric":
        return ColumnPlan(name, logical, kind)
    values = [v for v in rows if v is not None and v == v]
    distinct = Counter(values)
    if family in ("text", "bool") or ("int" in logical and len(distinct) <= FEW):
        return ColumnPlan(name, logical, "categorical", keys=tuple(sorted(distinct)[:MAX_KEYS]))
    numbers = sorted(float(v) for v in values if abs(v) != math.inf) or [0.0]
    shares = sorted({i / BINS for i in range(1, BINS)} | set(TAILS) | {1 - t for t in TAILS})
    edges = sorted({numbers[min(len(numbers) - 1, int(share * len(numbers)))] for share in shares})
    return ColumnPlan(name, logical, "numeric", edges=tuple(edges), atoms=(False,) * (len(edges) + 1))
