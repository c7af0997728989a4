"""Fewer bins, chosen by the pooled counts alone.

Given the sum of both sides, how a bin splits between them is chance, so that choosing by the sum biases nothing.
Choosing by the reference's counts would: what is frequent there by luck is less frequent everywhere else, and almost
every table of ten thousand rows would seem to drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile
from operator import add

from airflow_mlops.core.drift.statistics import Counts

#: Where the pooled mass of a number is cut: twenty equal parts, and the tails by themselves, where a feed breaks first.
CUTS: tuple[float, ...] = (0.001, 0.005, 0.02, *(i / 20 for i in range(1, 20)), 0.98, 0.995, 0.999)
#: Rows that a bin must expect on both sides, so that chi-square is one.
LEAST = 5
#: Categories that a test looks at one by one, and an effect size.
TESTED = 49
MEASURED = 2000


def fold_ordered(a: Counts, b: Counts, cuts: Sequence[float] = CUTS, least: int = LEAST) -> list[list[int]]:
    """Neighbouring bins joined: as indices of the bins of each part.

    >>> fold_ordered([5, 5, 90], [5, 5, 90], cuts=(0.1,))
    [[0, 1], [2]]
    >>> fold_ordered([10, 0, 90], [10, 1, 90])
    [[0], [1, 2]]
    """
    m, n = sum(a), sum(b)
    total, smaller = m + n, min(m, n)
    pooled = list(map(add, a, b))
    ends = _nearest(pooled, [cut * total for cut in cuts])
    parts: list[list[int]] = [[]]
    held = 0
    for i, both in enumerate(pooled):
        if i in ends and held * smaller >= least * total:
            parts.append([])
            held = 0
        parts[-1].append(i)
        held += both
    if len(parts) > 1 and held * smaller < least * total:
        last = parts.pop()
        parts[-1] += last
    return parts


def _nearest(pooled: Counts, wanted: Sequence[float]) -> set[int]:
    """Before which bins to cut, so that each cut has the mass before it that is nearest to what is wanted."""
    found, before, i = set(), 0, 0
    for mass in wanted:
        while i < len(pooled) and before + pooled[i] / 2 < mass:
            before += pooled[i]
            i += 1
        found.add(i)
    return found


def fold_categories(
    a: Counts, b: Counts, most: int = TESTED, least: int = LEAST, aside: int | None = None
) -> list[list[int]]:
    """The most frequent ones by themselves, the largest first, and the others in one part.

    :param aside: one that is never by itself: what lies outside a list of all that the reference had is 0 there, by
        the making of the list, and only together with what was rare there is it the same on both sides

    >>> fold_categories([50, 3, 40, 1, 6], [40, 4, 50, 0, 6])
    [[0], [2], [4, 1, 3]]
    """
    m, n = sum(a), sum(b)
    total, smaller = m + n, min(m, n)
    pooled = list(map(add, a, b))
    order = sorted(range(len(pooled)), key=pooled.__getitem__, reverse=True)
    enough = takewhile(lambda i: pooled[i] * smaller >= least * total, order)
    alone = list(islice((i for i in enough if i != aside), most))
    taken = set(alone)
    others = [i for i in order if i not in taken]
    parts = [[i] for i in alone]
    if not others:
        return parts or [[]]
    if parts and sum(map(pooled.__getitem__, others)) * smaller < least * total:
        parts[-1] += others
    else:
        parts.append(others)
    return parts


def folded(counts: Counts, parts: Sequence[Sequence[int]]) -> list[int]:
    """One side's counts by part."""
    return [sum(map(counts.__getitem__, part)) for part in parts]
