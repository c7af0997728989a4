"""Tail probabilities without scipy, whose import alone costs more than profiling a million rows.

Each is tested against scipy; the sources are the textbook formulas named at each.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt

_ENOUGH = 10_000  # steps of a continued fraction; those here need a few dozen to a few thousand


def chi2_sf(x: float, df: float) -> float:
    """P(X >= x) of a chi-square: the regularised upper incomplete gamma function (Abramowitz and Stegun 6.5).

    >>> round(chi2_sf(3.841459, 1), 6)
    0.05
    """
    a, z = df / 2, x / 2
    if z <= 0:
        return 1.0
    if z < a + 1:  # its series
        term = total = 1 / a
        n = a
        while term > total * 1e-16:
            n += 1
            term *= z / n
            total += term
        return max(0.0, 1 - total * exp(-z + a * log(z) - lgamma(a)))
    b = z + 1 - a  # Lentz's continued fraction
    c, d = 1e300, 1 / b
    h = d
    for i in range(1, _ENOUGH):
        factor = -i * (i - a)
        b += 2
        d = 1 / (factor * d + b or 1e-300)
        c = b + factor / c or 1e-300
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return exp(-z + a * log(z) - lgamma(a)) * h


def f_sf(x: float, df1: float, df2: float) -> float:
    """P(F >= x) of Fisher's F: the regularised incomplete beta function (Abramowitz and Stegun 26.5, 26.6).

    >>> round(f_sf(4.964603, 1, 10), 6)
    0.05
    """
    if x <= 0:
        return 1.0
    a, b, z = df2 / 2, df1 / 2, df2 / (df2 + df1 * x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(z) + b * log1p(-z)) if z < 1 else 0.0
    if z < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, z) / a
    return 1 - front * _beta_fraction(b, a, 1 - z) / b


def _beta_fraction(a: float, b: float, z: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * z / (a + 1) or 1e-300)
    h = d
    for i in range(1, _ENOUGH):
        for factor in (
            i * (b - i) * z / ((a + 2 * i - 1) * (a + 2 * i)),
            -(a + i) * (a + b + i) * z / ((a + 2 * i) * (a + 2 * i + 1)),
        ):
            d = 1 / (1 + factor * d or 1e-300)
            c = 1 + factor / c or 1e-300
            h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return h


def kolmogorov_sf(distance: float, m: int, n: int) -> float:
    """P(D >= distance) of the two-sample Kolmogorov-Smirnov test, asymptotic (Smirnov 1939).

    >>> round(kolmogorov_sf(0.0192, 10_000, 10_000), 3)
    0.05
    """
    t = distance * sqrt(n * m / (n + m))
    if t < 0.2:
        return 1.0
    series = sum((1 if j % 2 else -1) * exp(-2 * j * j * t * t) for j in range(1, 101))
    return min(1.0, max(0.0, 2 * series))


def hypergeometric_p(k: int, m: int, j: int, n: int) -> float:
    """Whether ``k`` of ``m`` and ``j`` of ``n`` are one rate: exact, twice the tail on the observed side (Fisher 1935).

    The normal approximation is wrong by orders of magnitude where it matters here: rates of 1 % and p near 1e-5.

    >>> round(hypergeometric_p(100, 10_000, 150, 10_000), 5)
    0.00176
    """
    both, total = k + j, m + n
    if j * total < both * n:  # count the complement, so that the observed side is the upper one
        k, j, both = m - k, n - j, total - both
    term = exp(_log_choose(both, j) + _log_choose(total - both, n - j) - _log_choose(total, n))
    tail = 0.0
    while term > tail * 1e-17 and term > 0:
        tail += term
        if j >= min(both, n):
            break
        term *= (both - j) * (n - j) / ((j + 1) * (total - both - n + j + 1))
        j += 1
    return min(1.0, 2 * tail)


def binomial_sf(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial; 1 at and below its mean.

    >>> round(binomial_sf(60, 100, 0.5), 6)
    0.028444
    """
    if k <= n * p or p >= 1:
        return 1.0
    if p <= 0 or k > n:
        return 0.0
    term = exp(_log_choose(n, k) + k * log(p) + (n - k) * log1p(-p))
    tail = 0.0
    while term > tail * 1e-17 and term > 0:
        tail += term
        if k == n:
            break
        term *= (n - k) / (k + 1) * p / (1 - p)
        k += 1
    return min(1.0, tail)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
