"""What a backtest found, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from airflow_mlops.core.backtest.plan import PastModel, Period, Window
from airflow_mlops.core.evaluation.result import null_for_nan

Answer = Literal["gain", "nothing", "cannot_tell"]


@dataclass(frozen=True)
class Cell:
    """One model on one window, by the window's number and the model's age in periods."""

    number: int
    age: int
    value: float


@dataclass(frozen=True)
class Age:
    """What models of an age lose to the freshest one of the same window; negative where they are worse."""

    age: int
    difference: float
    lower: float
    upper: float
    windows: int


@dataclass(frozen=True)
class Gain:
    """One cadence instead of a slower one; positive where the faster one is better, whichever way the metric points.

    :param answer: ``gain`` where the interval lies above zero; ``nothing`` where it does not and ends below the
        margin; else ``cannot_tell``
    """

    faster: int
    slower: int
    difference: float
    lower: float
    upper: float
    windows: int
    answer: Answer


@dataclass(frozen=True)
class Recommendation:
    """How often to retrain.

    :param every: in periods; None where the windows cannot tell
    """

    every: int | None
    headline: str
    sentence: str


@dataclass(frozen=True)
class Backtest:
    """The matrix, and what follows from it.

    :param models: by the number of their period, the same numbers as of the windows
    :param margin: the smallest gain that matters, in the metric's units
    :param delay: age of the newest model that is in force when a window's rows come in, in periods
    :param gains: of every cadence over every slower one
    :param left_out: what does not count, and why
    """

    model: str
    metric: str
    period: Period | None
    delay: int
    margin: float
    models: Mapping[int, PastModel]
    windows: Sequence[Window]
    rows: Sequence[int]
    cells: Sequence[Cell]
    decay: Sequence[Age]
    gains: Sequence[Gain]
    recommendation: Recommendation
    left_out: Sequence[str] = field(default_factory=tuple)

    def gain(self, faster: int, slower: int) -> Gain:
        return next(gain for gain in self.gains if (gain.faster, gain.slower) == (faster, slower))

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            **null_for_nan(asdict(self)),
            "models": [
                {"number": number, "model_id": m.model_id}
                | {"as_of": m.as_of.isoformat(), "train_end": m.train_end.isoformat()}
                for number, m in self.models.items()
            ],
            "windows": [
                {"number": w.number, "as_of": w.as_of.isoformat(), "rows": rows}
                | dict(zip(("start", "end"), w.bounds.to_json(), strict=True))
                for w, rows in zip(self.windows, self.rows, strict=True)
            ],
        }
