"""A backtest as one page: the recommendation, what each cadence gains, how models age, and the matrix behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_mlops.core.backtest.sentences import points
from airflow_mlops.core.evaluation import higher_is_better, label
from airflow_mlops.core.gate.sentences import show
from airflow_mlops.reports.decay import decay_curve
from airflow_mlops.reports.page import number, render

if TYPE_CHECKING:
    from airflow_mlops.core.backtest import Backtest, Gain, Period, Window

_PILLS: Final = {
    "gain": ("good", "gains"),
    "nothing": ("plain", "nothing measurable"),
    "cannot_tell": ("caution", "cannot tell"),
}
#: Half the width of a bar's picture, with a margin left and right of the longest range.
_HALF: Final = 130.0
#: The deepest colour of the matrix, in per cent.
_DEEPEST: Final = 62


@dataclass(frozen=True)
class _Row:
    """A comparison as the table shows it; ``low``, ``mid`` and ``high`` are places in the picture."""

    what: str
    gain: str
    bounds: str
    windows: int
    tone: str
    answer: str
    drawn: bool
    low: float
    mid: float
    high: float


@dataclass(frozen=True)
class _Cell:
    """A cell of the matrix: value, colour and what the pointer tells."""

    text: str
    kind: str
    depth: int
    told: str


def backtest_page(found: Backtest) -> str:
    """Render a backtest; every number on it is in the JSON beside it too."""
    told = found.recommendation
    return render(
        "backtest.html.j2",
        kind="Backtest",
        title=f"How often to retrain {found.model}",
        tone="good" if told.every is not None else "caution",
        headline=told.headline,
        text=told.sentence,
        facts=_facts(found),
        metric=label(found.metric),
        rows=_rows(found),
        half=_HALF,
        curve=decay_curve(found),
        columns=[(f"{window.as_of:%Y-%m-%d}", _dates(window)) for window in found.windows],
        matrix=_matrix(found),
        left_out=found.left_out,
    )


def _facts(found: Backtest) -> list[tuple[str, str]]:
    models, windows = list(found.models.values()), found.windows
    better = "higher is better" if higher_is_better(found.metric) else "lower is better"
    facts = [
        ("Judged by", f"{label(found.metric)}, {better}"),
        ("Models", f"{len(models)}, as of {models[0].as_of:%Y-%m-%d} to {models[-1].as_of:%Y-%m-%d}"),
        (
            "Evaluation windows",
            f"{len(windows)} without a common row, {number(sum(found.rows))} rows, "
            f"{windows[0].bounds.start:%Y-%m-%d} to {windows[-1].bounds.end:%Y-%m-%d}",
        ),
    ]
    if found.period:
        facts.append(("Trained", found.period.cadence(1)))
        old = found.period.age(found.delay)
        facts.append(("Age in force", f"{old} at least: labels arrive and a test passes before a new model may serve"))
        waited = next((age for age in found.decay if age.age == found.delay and age.age), None)
        if waited and math.isfinite(waited.lower):
            bounds = " to ".join(points(found.metric, bound, unit=False) for bound in (waited.lower, waited.upper))
            facts.append(("What that wait costs", f"{points(found.metric, waited.difference)} ({bounds})"))
    if math.isfinite(found.margin):
        facts.append(("What would matter", _plain(found.metric, found.margin)))
    return facts


def _plain(metric: str, value: float) -> str:
    return points(metric, value).lstrip("+")


def _rows(found: Backtest) -> list[_Row]:
    if found.period is None:
        return []
    ends = [abs(end) for gain in found.gains for end in (gain.lower, gain.difference, gain.upper) if math.isfinite(end)]
    return [_row(found.metric, found.period, gain, max(ends) or 1.0) for gain in found.gains]


def _row(metric: str, period: Period, gain: Gain, longest: float) -> _Row:
    ends = (gain.lower, gain.difference, gain.upper)
    drawn = all(map(math.isfinite, ends))
    low, mid, high = (round(0.95 * _HALF * end / longest, 1) if drawn else 0.0 for end in ends)
    tone, answer = _PILLS[gain.answer]
    if gain.answer == "nothing" and gain.upper < 0:
        tone, answer = "bad", "loses"
    bounds = f"{points(metric, gain.lower, unit=False)} to {points(metric, gain.upper, unit=False)}" if drawn else "–"
    return _Row(
        what=f"{period.cadence(gain.faster)} instead of {period.cadence(gain.slower)}",
        gain=points(metric, gain.difference),
        bounds=bounds,
        windows=gain.windows,
        tone=tone,
        answer=answer,
        drawn=drawn,
        low=low,
        mid=mid,
        high=high,
    )


def _matrix(found: Backtest) -> list[tuple[str, str, list[_Cell | None]]]:
    """A row per model: its training's end, its as-of, and a cell per window; None where it may not be asked."""
    values = {(cell.number, cell.number - cell.age): cell.value for cell in found.cells}
    sign = 1 if higher_is_better(found.metric) else -1
    against = {
        (window, model): sign * (value - values.get((window, window), math.nan))
        for (window, model), value in values.items()
    }
    deepest = max((abs(one) for one in against.values() if math.isfinite(one)), default=0.0) or 1.0

    def cell(window: int, model: int) -> _Cell | None:
        if (window, model) not in values:
            return None
        value, difference = values[window, model], against[window, model]
        if not math.isfinite(value):
            return _Cell("no number", "", 0, "the window says nothing of this model")
        if window == model or not math.isfinite(difference):
            return _Cell(show(value), "own" if window == model else "", 0, "the freshest model of this window")
        kind, depth = "win" if difference > 0 else "lose", round(_DEEPEST * abs(difference) / deepest)
        return _Cell(show(value), kind, depth, f"{points(found.metric, difference)} to the freshest")

    return [
        (f"{model.train_end:%Y-%m-%d}", f"{model.as_of:%Y-%m-%d}", [cell(w.number, number) for w in found.windows])
        for number, model in found.models.items()
    ]


def _dates(window: Window) -> tuple[str, str]:
    return f"{window.bounds.start:%d %b %y}", f"{window.bounds.end:%d %b}"
