"""Edges of bins from a sorted sample: equal mass, with the tails and the values that repeat for themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

#: Bins of equal mass; beside them the ends of the reference get these shares for themselves.
BINS: Final = 256
TAILS: Final = (0.0001, 0.001, 0.005)
#: A bin of fewer rows of the sample would be noise.
_PER_BIN: Final = 8
#: Between these shares of the reference, from the middle outwards and back, lies its spread; the first that are apart
#: count.
_SHARES: Final = (0.25, 0.05, 0.001, 0.0, 1.0, 0.999, 0.95, 0.75)


def edges_of(ranked: Sequence[Any], before: Callable[[Any], Any]) -> tuple[list[Any], list[bool]]:
    """The edges, and per bin whether a single value lies in it.

    :param ranked: the sample, sorted
    :param before: the next smaller value of the type

    >>> edges_of([0] * 60 + list(range(1, 41)), lambda value: value - 1)[0]
    [-1, 0, 7, 15, 24, 32, 40]
    """
    size = len(ranked)
    if not size:
        return [0], [False, False]
    bins = min(BINS, max(2, size // _PER_BIN))
    picks = [_exact(ranked[-(-i * size // bins) - 1]) for i in range(1, bins + (bins < BINS))]
    repeated = {low for low, high in pairwise(picks) if low == high}
    tails = [share for share in TAILS if share * size >= 1]
    ends = [_exact(ranked[math.ceil(share * size) - 1]) for share in (*tails, *(1 - share for share in tails))]
    edges = sorted(edge for edge in {*picks, *ends, *map(before, repeated)} if abs(edge) < math.inf)
    single = [before(high) == low for low, high in pairwise(edges)]
    return edges, [False, *single, False]


def middle_of(ranked: Sequence[Any], divisor: int = 1) -> tuple[float, float]:
    """Center and scale of the sums: the median where it is far from zero, and a power of two near the spread.

    >>> middle_of([1000.0, 1001.0, 1002.0, 1003.0, 1004.0])
    (1002.0, 2.0)
    """
    if not len(ranked):
        return 0, 1.0
    halves = [float(ranked[int(share * (len(ranked) - 1))]) / divisor / 2 for share in _SHARES]
    spread = next((high - low for low, high in zip(halves, reversed(halves), strict=True) if high > low), 0.0)
    middle = len(ranked) // 2
    median = float(ranked[middle]) / divisor
    scale = 2.0 ** min(900, max(-900, round(math.log2(spread or abs(median) / 2 or 0.5)) + 1))
    return (0 if abs(median) <= 4 * scale else median), scale


def _exact(value: Any) -> Any:
    """A number of numpy's as Python's own, zero without a sign."""
    return (value.item() if hasattr(value, "item") else value) or 0
