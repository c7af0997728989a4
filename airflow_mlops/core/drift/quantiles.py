"""Quantiles of a number from its counts, exact to the width of a bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_mlops.core.profiles import ColumnProfile


def quantile(counts: Sequence[int], bounds: Sequence[float], atoms: Sequence[bool], share: float) -> float:
    """The value that ``share`` of the rows do not exceed; ``bounds`` are the edges with the least and largest value.

    Within a bin the rows are taken to lie evenly; a bin of a single value is that value.

    >>> quantile([10, 10], [0.0, 1.0, 3.0], [False, False], 0.75)
    2.0
    """
    wanted = share * sum(counts)
    seen = 0
    for i, count in enumerate(counts):
        if count and seen + count >= wanted:
            if atoms[i]:
                return bounds[i + 1]
            inside = (wanted - seen) / count
            return bounds[i] + inside * (bounds[i + 1] - bounds[i])
        seen += count
    return bounds[-1]


def bounds_of(*columns: ColumnProfile) -> list[float]:
    """Where the bins begin and end, the open ones at the least and the largest value of these columns of one plan."""
    edges = [float(edge) for edge in columns[0].plan.edges]
    least = [float(c.minimum) for c in columns if c.minimum is not None]
    largest = [float(c.maximum) for c in columns if c.maximum is not None]
    return [min([*least, edges[0]]), *edges, max([*largest, edges[-1]])]


def quantiles(column: ColumnProfile, shares: Sequence[float]) -> list[float]:
    """Several quantiles of one column that has values."""
    bounds = bounds_of(column)
    return [quantile(column.counts, bounds, column.plan.atoms, share) for share in shares]


def spread(column: ColumnProfile) -> float:
    """The range of the middle half."""
    low, high = quantiles(column, (0.25, 0.75))
    return high - low
