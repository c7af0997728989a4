"""Shares and ranges that data of the same kind keeps to, from the counts of a profile.

Two rules. A share is allowed to be half as high again, and never less than chance makes of it. A range ends a quarter
of the body's width beyond the extremes where the data ends abruptly, as bounded numbers do; where it has a tail,
extremes say nothing of the next sample: it ends a body's width beyond the point where the outermost half percent
begins, and holds for most values. What was never negative is not negative by nature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from airflow_mlops.core.profiles import ColumnProfile

#: Standard deviations that the share of a next sample may lie above that of this one.
_CHANCE: Final = 4.5
#: Steps that allowed shares are rounded up to.
_STEPS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, *(i / 20 for i in range(2, 20)))
#: The body lies between these shares of the values, a tail begins at the outer ones.
_BODY: Final = (0.1, 0.9)
TAIL: Final = 0.005
#: An end is abrupt if the extreme is no further from the body than this part of the body's width.
_ABRUPT: Final = 0.25
#: Fewer values tell no tail from an abrupt end.
_FEW: Final = 200


def allowed_share(count: int, of: int) -> float:
    """The share that a next sample may show, given that of this one; 1.0 for any.

    >>> allowed_share(0, 1000), allowed_share(300, 10_000), allowed_share(990, 1000)
    (0.0, 0.05, 1.0)
    """
    if not count:
        return 0.0
    share, z = count / of, _CHANCE
    wilson = (share + z * z / (2 * of) + z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))) / (
        1 + z * z / of
    )
    return next((step for step in _STEPS if step >= max(wilson, 1.5 * share)), 1.0)


@dataclass(frozen=True)
class Range:
    """Bounds that data of the same kind keeps to.

    :param outside: share of the values that may lie outside
    :param low: and ``high``: what the bounds were drawn around: the extremes, or where a tail begins
    """

    minimum: int | float
    maximum: int | float
    outside: float
    low: int | float
    high: int | float


def range_of(column: ColumnProfile) -> Range | None:
    """The range of a numeric column; None where there is nothing to say."""
    if column.minimum is None or column.maximum is None:
        return None
    lowest, highest, edges = column.minimum, column.maximum, column.plan.edges
    below = tuple(accumulate(column.counts))  # values up to each edge; the last one is all
    total = below[-1]

    def reached(share: float) -> int | float:
        """The smallest edge that so many of the values do not lie above."""
        return next((edge for edge, n in zip(edges, below, strict=False) if n >= share * total), highest)

    def left(share: float) -> int | float:
        """The largest edge that so few of the values lie below."""
        found = [edge for edge, n in zip(edges, below, strict=False) if n <= share * total]
        return found[-1] if found else lowest

    body = (max(left(_BODY[0]), lowest), min(reached(_BODY[1]), highest))
    width = max(body[1] - body[0], 0)
    sure = column.finite >= _FEW
    abrupt_low = sure and not column.negative_infinities and body[0] - lowest <= _ABRUPT * width
    abrupt_high = sure and not column.positive_infinities and highest - body[1] <= _ABRUPT * width
    low = lowest if abrupt_low else max(left(TAIL), lowest)
    high = highest if abrupt_high else min(reached(1 - TAIL), highest)
    outside = 0 if abrupt_low else _up_to(column, below, low)
    outside += 0 if abrupt_high else total - _up_to(column, below, high)
    minimum = low - (_ABRUPT if abrupt_low else 1) * width
    if sure and lowest >= 0:
        minimum = max(minimum, 0)
    maximum = high + (_ABRUPT if abrupt_high else 1) * width
    share = 0.0 if abrupt_low and abrupt_high else max(allowed_share(outside, total), 0.02)
    if share >= 0.5:
        return None
    whole = "int" in column.plan.type
    return Range(_outward(minimum, -1, width, whole), _outward(maximum, 1, width, whole), share, low, high)


def _up_to(column: ColumnProfile, below: tuple[int, ...], edge: int | float) -> int:
    """How many values do not lie above an edge (or beyond the extremes)."""
    index = next((i for i, known in enumerate(column.plan.edges) if known == edge), None)
    if index is not None:
        return below[index]
    return column.negative_infinities if column.minimum is not None and edge <= column.minimum else below[-1]


def _outward(bound: int | float, side: int, width: int | float, whole: bool) -> int | float:
    """A bound with few digits, never nearer than it was; the value itself where there is no width."""
    if whole:
        return math.floor(bound) if side < 0 else math.ceil(bound)
    if not width or not math.isfinite(bound):
        return bound
    step = 10.0 ** (math.floor(math.log10(width)) - 1)
    rounded = (math.floor if side < 0 else math.ceil)(bound / step) * step
    digits = max(0, 1 - math.floor(math.log10(width)))
    return round(rounded, digits)
