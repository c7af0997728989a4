"""Two distributions in one small picture: the reference as a grey area, the current rows over it in colour."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.drift.quantiles import bounds_of, quantile
from airflow_mlops.core.drift.sentences import key, share, value

if TYPE_CHECKING:
    from airflow_mlops.core.profiles import ColumnPlan, ColumnProfile

WIDTH: Final = 330.0
HEIGHT: Final = 84.0
#: Room below the bars for their labels.
_FOOT: Final = 16.0
_CELLS: Final = 48
#: Bars that have room beside each other, and below each other.
_COLUMNS: Final = 11
_LINES: Final = 6
_LETTER: Final = 6.2
#: A range of so many middle halves is drawn on a bent axis, or all but the tail would be one bar.
_BENT: Final = 15.0


@dataclass(frozen=True)
class Bar:
    """A value by itself: where it stands, how high both sides are, and what the pointer tells."""

    place: float
    before: float
    after: float
    label: str
    told: str


@dataclass(frozen=True)
class Picture:
    """What the template draws: either two areas, or bars, standing or lying; and beside areas a bar for nulls.

    :param areas: the outlines of reference and current rows, as points
    :param ticks: (place, text, anchor) below the areas
    """

    kind: str
    width: float = WIDTH
    height: float = HEIGHT
    areas: tuple[str, str] | None = None
    ticks: Sequence[tuple[float, str, str]] = ()
    bars: Sequence[Bar] = ()
    thick: float = 0.0
    base: float = HEIGHT - _FOOT
    note: str = ""


def picture_of(reference: ColumnProfile, current: ColumnProfile) -> Picture | None:
    """Both distributions; None where no value may be shown, or there is none."""
    plan = reference.plan
    sides = (reference, current)
    if plan.kind not in ("numeric", "categorical") or plan.moves_by_nature or not any(sum(s.counts) for s in sides):
        return None
    if plan.kind == "categorical":
        shown, note = _categories(reference, current)
        return _bars(shown, reference, current, note)
    pooled = [a + b for a, b in zip(reference.counts, current.counts, strict=True)]
    single = [i for i, count in enumerate(pooled) if count and plan.atoms[i]]
    if sum(pooled[i] for i in single) == sum(pooled) and len(single) < _COLUMNS:
        bounds = bounds_of(*sides)
        return _bars([(value(bounds[i + 1], plan), *_at(sides, i)) for i in single], reference, current)
    return _areas(reference, current, pooled)


_Share = tuple[str, int, int]


def _at(sides: Sequence[ColumnProfile], i: int) -> tuple[int, int]:
    return sides[0].counts[i], sides[1].counts[i]


def _categories(reference: ColumnProfile, current: ColumnProfile) -> tuple[list[_Share], str]:
    """The most frequent ones of both sides, and a note on the others; what has an order of its own keeps it."""
    sides = (reference, current)
    m, n = (max(1, side.rows) for side in sides)
    rows: list[Any] = [(name, *_at(sides, i)) for i, name in enumerate(reference.plan.keys) if any(_at(sides, i))]
    rows.sort(key=lambda row: -(row[1] / m + row[2] / n))
    most = _COLUMNS if all(len(key(row[0])) <= 4 for row in rows[:_COLUMNS]) else _LINES
    shown, others = rows[:most], rows[most:]
    if all(isinstance(row[0], int) for row in shown) and not others:
        shown.sort(key=lambda row: row[0])
    told = [(key(name, reference.plan), a, b) for name, a, b in shown]
    if not reference.plan.buckets and any(side.rest for side in sides):
        told.append(("new", reference.rest, current.rest))
        rest = [0, 0]
    else:
        rest = [side.rest for side in sides]
    a, b = (sum(row[1 + side] for row in others) + rest[side] for side in (0, 1))
    if not a + b:
        return told, ""
    listed = "others" if any(rest) or not others else f"{len(others):,} {'other' if len(others) == 1 else 'others'}"
    return told, f"{listed}: {share(a / m)} before, {share(b / n)} now"


def _bars(found: list[_Share], reference: ColumnProfile, current: ColumnProfile, note: str = "") -> Picture:
    """A bar for each value; they lie where their names need the room."""
    if reference.nulls + current.nulls:
        found = [*found, ("null", reference.nulls, current.nulls)]
    told = [(name, a / max(1, reference.rows), b / max(1, current.rows)) for name, a, b in found]
    highest = max((max(a, b) for _, a, b in told), default=0.0) or 1.0
    step = WIDTH / max(1, len(told))
    lies = any(len(name) * _LETTER > step for name, _, _ in told)
    height = 17.0 * len(told) if lies else HEIGHT
    room = WIDTH * 0.55 if lies else HEIGHT - _FOOT - 4
    step = 17.0 if lies else min(step, 64.0)
    bars = [
        Bar(
            place=round((i + 0.5) * step, 1),
            before=round(a / highest * room, 1),
            after=round(b / highest * room, 1),
            label=_cut(name),
            told=f"{name}: {share(a)} before, {share(b)} now",
        )
        for i, (name, a, b) in enumerate(told)
    ]
    thick = round(min(step * 0.72, 34.0), 1)
    return Picture("lying" if lies else "standing", height=height, bars=bars, thick=thick, note=note)


def _cut(text: str) -> str:
    """A label as wide as there is room; Chinese and Japanese letters take twice that of others."""
    widths = accumulate(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    kept = sum(width <= 20 for width in widths)
    return text if kept == len(text) else f"{text[:kept]}…"


@dataclass(frozen=True)
class _Axis:
    """From numbers to cells of equal width; bent where the tails are long."""

    begin: float
    end: float
    middle: float
    unit: float
    bent: bool

    @classmethod
    def of(cls, pooled: Sequence[int], bounds: Sequence[float], atoms: Sequence[bool]) -> _Axis:
        low, quarter, middle, three, high = (
            quantile(pooled, bounds, atoms, part) for part in (0.003, 0.25, 0.5, 0.75, 0.997)
        )
        if not high > low:
            low, high = bounds[0], bounds[-1] if bounds[-1] > bounds[0] else bounds[0] + 1
        unit = (three - quarter) or (high - low) / _BENT
        return cls(low, high, middle, unit, high - low > _BENT * unit)

    def cell(self, number: float) -> float:
        """Where a number stands, in cells from the left."""
        first, last = self._bent(self.begin), self._bent(self.end)
        return (self._bent(number) - first) / (last - first) * _CELLS

    def number(self, cell: float) -> float:
        """The number at a border of two cells."""
        first, last = self._bent(self.begin), self._bent(self.end)
        at = first + cell / _CELLS * (last - first)
        return self.middle + self.unit * math.sinh(at) if self.bent else at

    def _bent(self, number: float) -> float:
        return math.asinh((number - self.middle) / self.unit) if self.bent else number


def _areas(reference: ColumnProfile, current: ColumnProfile, pooled: Sequence[int]) -> Picture:
    plan, sides = reference.plan, (reference, current)
    bounds = bounds_of(*sides)
    axis = _Axis.of(pooled, bounds, plan.atoms)
    nulls = any(side.nulls for side in sides)
    right = WIDTH - 44 if nulls else WIDTH
    cells = [_cells(side, bounds, axis) for side in sides]
    missing = [side.nulls / max(1, side.rows) for side in sides]
    heights = sorted({max(pair) for pair in zip(*cells, strict=True)} | {*(missing if nulls else [])})
    # One value of most rows would press all others flat.
    rooted = len(heights) > 1 and heights[-1] > 6 * heights[-2]
    shape: Callable[[float], float] = math.sqrt if rooted else float
    scale = (HEIGHT - _FOOT - 4) / (shape(heights[-1]) or 1.0)
    bars = []
    if nulls:
        told = f"null: {share(missing[0])} before, {share(missing[1])} now"
        before, after = (round(shape(part) * scale, 1) for part in missing)
        bars = [Bar(WIDTH - 16, before, after, "null", told)]
    notes = (
        "The axis is bent: the tails are long." if axis.bent else "",
        "Heights are square roots, so that small shares show." if rooted else "",
        "Beyond the reference's range only mean and spread are known." if any(map(_beyond, sides)) else "",
    )
    return Picture(
        "areas",
        areas=tuple(_outline([shape(mass) * scale for mass in one], right) for one in cells),  # type: ignore[arg-type]
        ticks=_ticks(axis, plan, right),
        bars=bars,
        thick=20.0,
        note=" ".join(note for note in notes if note),
    )


def _ticks(axis: _Axis, plan: ColumnPlan, right: float) -> list[tuple[float, str, str]]:
    """Both ends, and what is in the middle of the picture where there is room for it."""
    inner = axis.number(_CELLS / 2)
    text = value(inner, plan)
    ends = value(axis.begin, plan), value(axis.end, plan)
    between = [] if text in ends else [(right / 2, text, "middle")]
    return [(0.0, ends[0], "start"), *between, (right, ends[1], "end")]


def _beyond(side: ColumnProfile) -> bool:
    """Whether so many values lie in an open bin that its form matters."""
    ends = {0, len(side.counts) - 1} - {i for i, atom in enumerate(side.plan.atoms) if atom}
    return sum(side.counts[i] for i in ends) > 0.1 * sum(side.counts)


def _cells(side: ColumnProfile, bounds: Sequence[float], axis: _Axis) -> list[float]:
    """The share of the rows in cells of equal width; what lies outside is in the outer ones."""
    found = [0.0] * _CELLS
    for i, count in enumerate(side.counts):
        mass = count / max(1, side.rows)
        if not count:
            continue
        open_ = i in (0, len(side.counts) - 1) and not side.plan.atoms[i] and count > 0.1 * sum(side.counts)
        if open_ and side.mean is not None and side.std and bounds[i + 1] > bounds[i]:
            _spread_by_moments(found, mass, side, i, bounds, axis)
            continue
        right = axis.cell(bounds[i + 1])
        left = right if side.plan.atoms[i] else axis.cell(bounds[i])
        first, last = (min(_CELLS - 1, max(0, math.floor(x))) for x in (left, right))
        if first == last:
            found[first] += mass
            continue
        for cell in range(first, last + 1):
            inside = min(right, cell + 1 if cell < _CELLS - 1 else right) - max(left, cell if cell else left)
            found[cell] += mass * max(0.0, inside) / (right - left)
    return found


def _spread_by_moments(
    found: list[float], mass: float, side: ColumnProfile, i: int, bounds: Sequence[float], axis: _Axis
) -> None:
    """Lay the mass of an open bin as a bell with what mean and spread are left for it by the other bins."""
    counts, total = side.counts, sum(side.counts)
    middles = [(low + high) / 2 for low, high in pairwise(bounds)]
    rest = [(count, middle) for j, (count, middle) in enumerate(zip(counts, middles, strict=True)) if j != i]
    mean, std = side.mean or 0.0, side.std or 0.0
    center = (mean * total - sum(count * middle for count, middle in rest)) / counts[i]
    square = ((std**2 + mean**2) * total - sum(count * middle**2 for count, middle in rest)) / counts[i]
    low, high = bounds[i], bounds[i + 1]
    center = min(max(center, low), high)
    width = math.sqrt(max(square - center**2, ((high - low) / 20) ** 2))

    def below(number: float) -> float:
        return math.erf((min(max(number, low), high) - center) / width / math.sqrt(2))

    whole = below(high) - below(low)
    for cell in range(_CELLS):
        left = axis.number(cell) if cell else low
        right = axis.number(cell + 1) if cell < _CELLS - 1 else high
        found[cell] += mass * max(0.0, below(right) - below(left)) / whole if whole else mass / _CELLS


def _outline(heights: Sequence[float], right: float) -> str:
    """Steps from left to right, as the points of a polygon."""
    step, base = right / _CELLS, HEIGHT - _FOOT
    points = [f"0,{base:.0f}"]
    for i, height in enumerate(heights):
        points += [f"{i * step:.1f},{base - height:.1f}", f"{(i + 1) * step:.1f},{base - height:.1f}"]
    return " ".join([*points, f"{right:.1f},{base:.0f}"])
