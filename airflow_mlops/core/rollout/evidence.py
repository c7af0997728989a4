"""Evidence that a share is too high, which may be looked at after every request.

A bet against "the share is at most p0" that starts with 1 and, while that is true, does not grow on average. So
the chance that it ever reaches 1/alpha is at most alpha (Ville 1939), however often it is looked at and whenever one
stops. A test at a fixed level that is looked at again and again has no such bound: at every fiftieth of 1,000 requests
it takes back 7 of 100 healthy candidates at a level of 1 in 100.

The bet is spread over all shares above p0 by a Beta distribution (Robbins 1970; Johari, Pekelis and Walsh,
arXiv:1512.04922, use the same for A/B tests)."""

from __future__ import annotations

from math import inf, lgamma, log, log1p
from typing import Final

from airflow_mlops.core.drift.tails import f_sf

#: Where the bet lies: a Beta distribution with a mean of 0.2, and little above one half.
SPREAD: Final = (2.0, 8.0)


def log_evidence(hits: int, trials: int, p0: float, spread: tuple[float, float] = SPREAD) -> float:
    """Natural logarithm of the evidence that the share of hits is above ``p0``.

    >>> from math import exp
    >>> round(exp(log_evidence(0, 100, 0.01)), 3), round(exp(log_evidence(4, 12, 0.01)))
    (0.012, 24048)
    """
    a, b = spread
    hit, miss = a + hits, b + trials - hits
    above = _beta_sf(p0, hit, miss)
    if above <= 0:
        return -inf
    bet = _log_beta(hit, miss) + log(above) - _log_beta(a, b) - log(_beta_sf(p0, a, b))
    return bet - hits * log(p0) - (trials - hits) * log1p(-p0)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _beta_sf(x: float, a: float, b: float) -> float:
    """P(X > x) of a Beta distribution, by that of Fisher's F."""
    return f_sf(b * x / (a * (1 - x)), 2 * a, 2 * b)
