"""Rows that belong together: a day's flights share its weather, a customer's orders their taste.

Such rows vary more between samples than as many independent ones, and every test that counts rows would alarm without
drift. How much more is seen in the reference itself: each of K chunks of whole clusters against the others. The
measured factor divides chi-square, and K - 1 degrees of freedom of its own turn it into an F (Rao and Scott 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, sqrt
from typing import NamedTuple

from airflow_mlops.core.drift.folding import folded
from airflow_mlops.core.drift.statistics import Counts, chi_square
from airflow_mlops.core.drift.tails import f_sf

Fold = Callable[[Counts, Counts], list[list[int]]]


class Design(NamedTuple):
    """How clusters change a chi-square: its factor, and in how many independent directions it varies at most."""

    factor: float = 1.0
    directions: float = inf


def design_of(chunks: Sequence[Counts], fold: Fold | None = None) -> Design:
    """By how much clusters multiply the variance of counts: 1 for independent rows, and never less.

    Where a cluster moves a whole column at once, its bins are few witnesses: as many as the spread of the chunks'
    chi-squares shows (Satterthwaite 1946).

    >>> design_of([[50, 50], [50, 50], [50, 50]]).factor
    1.0
    >>> round(design_of([[70, 30], [30, 70], [50, 50]]).factor, 1)
    16.0
    """
    whole = [sum(column) for column in zip(*chunks, strict=True)]
    found = []
    for chunk in chunks:
        others = [all_ - mine for all_, mine in zip(whole, chunk, strict=True)]
        if not sum(chunk) or not sum(others):
            continue
        parts = fold(others, chunk) if fold else [[i] for i in range(len(chunk))]
        value, df, _ = chi_square(folded(others, parts), folded(chunk, parts))
        if df > 0:
            found.append(value / df)
    if len(found) < 2:
        return Design()
    mean = sum(found) / len(found)
    variance = sum((one - mean) ** 2 for one in found) / (len(found) - 1)
    return Design(max(1.0, mean), max(1.0, 2 * mean * mean / variance) if variance else inf)


def clustered_p(chi2: float, df: int, design: Design, chunks: int) -> float:
    """The p-value of a chi-square whose rows come in clusters.

    >>> round(clustered_p(80.0, 20, Design(2.0), 10), 4)
    0.0092
    """
    if df <= 0:
        return 1.0
    directions = min(df, design.directions)
    return f_sf(chi2 / df / design.factor, directions, (chunks - 1) * directions)


def beyond_chunks(value: float, chunks: Sequence[float]) -> float:
    """P(a further chunk shows this much or more), by Student's prediction interval over the chunks.

    >>> round(beyond_chunks(0.05, [0.01, 0.02, 0.015, 0.012, 0.018]), 4)
    0.0007
    """
    count = len(chunks)
    mean = sum(chunks) / count
    if value <= mean:
        return 1.0
    spread = sqrt(sum((one - mean) ** 2 for one in chunks) / (count - 1) * (1 + 1 / count))
    return f_sf(((value - mean) / spread) ** 2, 1, count - 1) / 2 if spread else 0.0
