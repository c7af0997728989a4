"""How far two columns are apart, from counts alone: ``a`` of the reference, ``b`` of the current rows, bin by bin.

What a finite sample adds without any drift is known for each, and taken away where a statistic decides: over k bins
in use and m and n rows it is (k - 1)(1/m + 1/n) for the PSI and an eighth of that, in nats, for Jensen-Shannon.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import log, log2, sqrt
from typing import NamedTuple

from airflow_mlops.core.drift.tails import chi2_sf

Counts = Sequence[int]


class Between(NamedTuple):
    """A number that binned counts know up to an interval."""

    low: float
    high: float


class ChiSquare(NamedTuple):
    """Pearson's statistic, its degrees of freedom and its p-value."""

    value: float
    df: int
    p: float


def psi(a: Counts, b: Counts) -> float:
    """Population stability index: the symmetric Kullback-Leibler divergence, in nats (Yurdakul 2018).

    A bin that one side lacks counts half a row there: with the customary 0.0001 the epsilon would decide.

    >>> round(psi([50, 50], [60, 40]), 4)
    0.0405
    """
    m, n = sum(a), sum(b)
    total = 0.0
    for i, j in zip(a, b, strict=True):
        if i or j:
            p, q = max(i, 0.5) / m, max(j, 0.5) / n
            total += (q - p) * log(q / p)
    return total


def psi_noise(a: Counts, b: Counts) -> float:
    """What the PSI is expected to be without drift, to first order (Yurdakul 2018).

    >>> round(psi_noise([100] * 10, [100] * 10), 3)
    0.018
    """
    return (_used(a, b) - 1) * (1 / sum(a) + 1 / sum(b))


def jensen_shannon(a: Counts, b: Counts) -> float:
    """Jensen-Shannon divergence in bits, between 0 and 1 (Lin 1991).

    >>> jensen_shannon([1, 0], [0, 1]), jensen_shannon([2, 1], [4, 2])
    (1.0, 0.0)
    """
    m, n = sum(a), sum(b)
    total = 0.0
    for i, j in zip(a, b, strict=True):
        p, q = i / m, j / n
        middle = (p + q) / 2
        total += (p * log2(p / middle) if i else 0.0) + (q * log2(q / middle) if j else 0.0)
    return max(0.0, total / 2)


def jensen_shannon_noise(a: Counts, b: Counts) -> float:
    """What the divergence is expected to be without drift, in bits: a chi-square over 8 ln 2 (Grosse et al. 2002)."""
    return psi_noise(a, b) / (8 * log(2))


def effect(a: Counts, b: Counts, design: float = 1.0) -> float:
    """How different two columns are beyond chance: the Jensen-Shannon distance without its noise.

    On normal data a mean moved by 0.1, 0.25 and 0.5 standard deviations gives 0.04, 0.1 and 0.2, a standard deviation
    times 1.25 gives 0.13, and a hundredth of the rows on a new value gives 0.07.

    :param design: by how much rows that belong together multiply the noise
    """
    return sqrt(max(0.0, jensen_shannon(a, b) - design * jensen_shannon_noise(a, b)))


def kolmogorov_smirnov(a: Counts, b: Counts, atoms: Sequence[bool] = ()) -> Between:
    """The largest distance of the two distribution functions: seen at the edges, and at most inside a bin.

    Nothing hides in a bin that holds one value only (``atoms``).

    >>> kolmogorov_smirnov([1, 1, 2], [2, 1, 1])
    Between(low=0.25, high=0.5)
    >>> kolmogorov_smirnov([1, 1, 2], [2, 1, 1], [True] * 3)
    Between(low=0.25, high=0.25)
    """
    m, n = sum(a), sum(b)
    low = high = before_p = before_q = 0.0
    for i, (first, second) in enumerate(zip(accumulate(a), accumulate(b), strict=True)):
        p, q = first / m, second / n
        low = max(low, abs(p - q))
        if not (atoms and atoms[i]):
            high = max(high, p - before_q, q - before_p)
        before_p, before_q = p, q
    return Between(low, max(low, high))


def wasserstein(a: Counts, b: Counts, edges: Sequence[float], tail: float = 0.001) -> Between:
    """The area between the distribution functions (Vallender 1974), each side cut at the reference's outer tails.

    ``low`` takes the mass of a bin to lie evenly in it, ``high`` adds all that the bins can hide. Of heavy tails this
    number is mostly noise: it describes, and decides nothing.

    :param tail: share of the reference beyond each end that is cut, rounded to an edge
    """
    m, n = sum(a), sum(b)
    first = second = area = hidden = 0.0
    for i in range(1, len(edges)):
        first, second = first + a[i - 1] / m, second + b[i - 1] / n
        p, q = a[i] / m, b[i] / n
        if first + p < tail or first > 1 - tail:
            continue
        width = float(edges[i]) - float(edges[i - 1])
        left, right = first - second, first + p - second - q
        if left * right >= 0:
            area += width * abs(left + right) / 2
        else:
            area += width * (left * left + right * right) / (2 * abs(left - right))
        hidden += width * (p + q)
    return Between(area, area + hidden)


def chi_square(a: Counts, b: Counts) -> ChiSquare:
    """Whether two samples share one distribution (Pearson 1900); fold first, so that no bin expects fewer than 5.

    >>> chi_square([50, 50], [70, 30]).df
    1
    """
    m, n = sum(a), sum(b)
    value = 0.0
    for i, j in zip(a, b, strict=True):
        if i + j:
            both = i + j
            value += (i * n - j * m) ** 2 / (both * m * n)
    df = _used(a, b) - 1
    return ChiSquare(value, df, chi2_sf(value, df) if df > 0 else 1.0)


def cramers_v(a: Counts, b: Counts) -> float:
    """Strength of the association of column and side, without its bias (Cramér 1946, Bergsma 2013)."""
    found = chi_square(a, b)
    return sqrt(max(0.0, found.value - found.df) / (sum(a) + sum(b)))


def _used(a: Counts, b: Counts) -> int:
    return sum(1 for i, j in zip(a, b, strict=True) if i or j)
