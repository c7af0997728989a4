"""The picture of how models age: what they lose to the freshest model of the same window, by age."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_mlops.core.backtest.sentences import POINTS, points
from airflow_mlops.core.evaluation import label

if TYPE_CHECKING:
    from airflow_mlops.core.backtest import Backtest

#: Size of the picture, and the room for labels.
_WIDTH: Final = 1180.0
_HEIGHT: Final = 330.0
_LEFT: Final = 128.0
_RIGHT: Final = 24.0
_TOP: Final = 34.0
_BOTTOM: Final = 48.0
#: More ages than this have no room for a number each.
_LABELS: Final = 26


@dataclass(frozen=True)
class Point:
    """An age in the curve; ``low`` and ``high`` are None where there is no interval."""

    x: float
    y: float
    age: int
    windows: int
    told: str
    labelled: bool
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curve:
    """How models age, in the places of the picture."""

    size: tuple[float, ...]
    points: Sequence[Point]
    line: str
    band: str
    ticks: Sequence[tuple[float, str]]
    zero: float
    across: str
    up: str


def decay_curve(found: Backtest) -> Curve | None:
    """The decay in a picture; nothing is drawn of fewer than two ages."""
    if found.period is None or len(found.decay) < 2:
        return None
    known = [end for age in found.decay for end in (age.lower, age.difference, age.upper) if math.isfinite(end)]
    ticks = _ticks(min([*known, 0.0]), max([*known, 0.0]))
    oldest = found.decay[-1].age
    every = math.ceil(oldest / _LABELS)

    def x(age: int) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * age / oldest, 1)

    def y(value: float) -> float:
        share = (ticks[-1] - value) / (ticks[-1] - ticks[0])
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * share, 1)

    drawn = [
        Point(
            x(age.age),
            y(age.difference),
            age.age,
            age.windows,
            f"{found.period.age(age.age)} old: {points(found.metric, age.difference)}, {age.windows} windows",
            age.age % every == 0,
            y(age.lower) if math.isfinite(age.lower) else None,
            y(age.upper) if math.isfinite(age.upper) else None,
        )
        for age in found.decay
    ]
    band = [point for point in drawn if point.low is not None]
    around = [(p.x, p.high) for p in band] + [(p.x, p.low) for p in reversed(band)]
    return Curve(
        size=(_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM),
        points=drawn,
        line=" ".join(f"{p.x},{p.y}" for p in drawn),
        band=" ".join(f"{at},{place}" for at, place in around),
        ticks=[(y(tick), points(found.metric, tick, unit=False) if tick else "0") for tick in ticks],
        zero=y(0.0),
        across=f"age in {found.period.unit}s" if found.period.unit else f"age in times {found.period.age(1)}",
        up=f"{label(found.metric)}{' points' if found.metric in POINTS else ''}",
    )


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that hold a range.

    >>> [round(tick, 3) for tick in _ticks(-0.047, 0.004)]
    [-0.06, -0.04, -0.02, 0.0, 0.02]
    """
    rough = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [count * step for count in range(first, max(last, first + 1) + 1)]
