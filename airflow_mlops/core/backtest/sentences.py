"""The recommendation in words, built from the comparisons alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from airflow_mlops.core.backtest.plan import Period
from airflow_mlops.core.backtest.result import Gain, Recommendation
from airflow_mlops.core.evaluation import label

#: Shares that people count in points of a hundred.
POINTS: Final = ("roc_auc", "accuracy", "average_precision")


def recommend(metric: str, period: Period | None, gains: Sequence[Gain], margin: float) -> Recommendation:
    """The slowest cadence that loses nothing measurable, and what is known of its neighbours."""
    if period is None:
        return _unknown("there is one model only, and a cadence needs several: backfill more dates")
    if not gains:
        return _unknown("no window has models of all the ages that two cadences would use: backfill more dates")
    fastest = min(gain.faster for gain in gains)
    against = sorted((gain for gain in gains if gain.faster == fastest), key=lambda gain: gain.slower)
    if suspect := next((gain for gain in against if gain.upper < -margin), None):
        return Recommendation(
            None, "Older models do better than newer ones here.", _suspicious(metric, period, suspect)
        )
    losing = next((gain for gain in against if gain.answer == "gain"), None)
    asked = against[: against.index(losing)] if losing else against
    harmless = [gain for gain in asked if gain.answer == "nothing"]
    chosen = harmless[-1].slower if harmless else fastest
    if not (losing or harmless):
        return _unknown(_too_wide(metric, period, against[-1], margin))
    parts = [_worth(metric, period, gains, chosen, losing)] if losing else []
    if harmless:
        parts.append(_adds_nothing(metric, period, harmless[-1]))
    elif losing:
        parts.append(f"nothing faster than {period.cadence(fastest)} was tried")
    open_ones = [period.cadence(gain.slower) for gain in asked if gain.slower > chosen]
    if open_ones:
        parts.append(f"whether {' or '.join(open_ones)} would do as well, these windows cannot tell")
    headline = f"Retrain {period.cadence(chosen)}." if losing else f"Retraining {period.cadence(chosen)} is enough."
    return Recommendation(chosen, headline, _sentence(parts))


def points(metric: str, value: float, *, unit: bool = True) -> str:
    """A gain as people say it.

    >>> points("roc_auc", 0.00812), points("log_loss", -0.0123), points("roc_auc", 0.0004, unit=False)
    ('+0.8 AUC points', '-0.012 in log loss', '+0.04')
    """
    if metric in POINTS:
        shown = f"{100 * value:+.1f}" if abs(value) >= 0.0005 else f"{round(100 * value, 2) + 0.0:+.2g}"
        return f"{shown} {label(metric)} points" if unit else shown
    shown = f"{value:+,.3f}" if abs(value) >= 0.001 or not value else f"{value:+.2g}"
    return f"{shown} in {label(metric)}" if unit else shown


def reach(metric: str, gain: Gain) -> str:
    """The interval of a gain, and how many windows it rests on."""
    bounds = " to ".join(points(metric, bound, unit=False) for bound in (gain.lower, gain.upper))
    windows = f"{gain.windows} window{'s' if gain.windows > 1 else ''}"
    return f"{bounds}, {windows}" if math.isfinite(gain.lower) else windows


def _worth(metric: str, period: Period, gains: Sequence[Gain], chosen: int, losing: Gain) -> str:
    pair = next(gain for gain in gains if (gain.faster, gain.slower) == (chosen, losing.slower))
    told = pair if pair.answer == "gain" else losing
    return (
        f"retraining {period.cadence(told.faster)} instead of {period.cadence(told.slower)} is worth "
        f"{points(metric, told.difference)} ({reach(metric, told)})"
    )


def _adds_nothing(metric: str, period: Period, gain: Gain) -> str:
    return (
        f"{period.cadence(gain.faster)} instead of {period.cadence(gain.slower)} adds nothing measurable: "
        f"{points(metric, gain.difference)} ({reach(metric, gain)})"
    )


def _suspicious(metric: str, period: Period, gain: Gain) -> str:
    return _sentence(
        [
            f"{period.cadence(gain.faster)} instead of {period.cadence(gain.slower)} loses: "
            f"{points(metric, gain.difference)} ({reach(metric, gain)})",
            "before you believe that, look for data that repeat, so that old models know a window's twin (then set "
            "max_age), and for newer data that are broken",
        ]
    )


def _too_wide(metric: str, period: Period, gain: Gain, margin: float) -> str:
    return (
        f"{period.cadence(gain.faster)} instead of {period.cadence(gain.slower)} is worth "
        f"{points(metric, gain.difference)} ({reach(metric, gain)}), where {points(metric, margin, unit=False)} would "
        "matter: backfill more dates"
    )


def _unknown(why: str) -> Recommendation:
    return Recommendation(None, "These models cannot tell how often to retrain.", _sentence([f"cannot tell: {why}"]))


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
