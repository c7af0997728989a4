"""What a backfill would do, date by date, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median
from typing import Any, Literal

from airflow_mlops.core import tags
from airflow_mlops.core.projects import Project
from airflow_mlops.core.snapshots import canonical_json
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.windows import Bounds, TrainingWindow, Windows, instant
from airflow_mlops.exceptions import DataError, NotEnoughData

Existing = Literal["no", "yes", "yes, of other code or data"]


@dataclass(frozen=True)
class SourceRows:
    """Rows of one source in the window; ``rows`` is None where they were not counted, and ``why`` says why."""

    source: str
    rows: int | None
    needed: int
    why: str = ""


@dataclass(frozen=True)
class PlannedRun:
    """One date of a backfill.

    :param windows: None where the window is empty at this date, as ``problem`` says
    :param model: whether a model of this as-of and of the project's settings is there already
    :param problem: why this date would make no model
    """

    interval: Bounds
    windows: Windows | None
    rows: Sequence[SourceRows] | None
    model: Existing
    problem: str | None

    @property
    def as_of(self) -> datetime:
        return self.interval.end

    @property
    def trains(self) -> bool:
        """Whether a model is fitted, as far as this is known before the data are read."""
        return self.problem is None and self.model != "yes"

    def to_json(self) -> dict[str, Any]:
        return {
            "as_of": self.as_of.isoformat(),
            "interval": self.interval.to_json(),
            "windows": self.windows and self.windows.to_json(),
            "rows": self.rows and [asdict(rows) for rows in self.rows],
            "model": self.model,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class BackfillPlan:
    """A whole backfill.

    :param fit_seconds: what one training took, by earlier models; None if there are none
    :param may_change: as-ofs that the project lets into production; a backfill changes nothing else
    """

    project: str
    runs: Sequence[PlannedRun]
    at_once: int = 1
    fit_seconds: float | None = None
    may_change: Sequence[datetime] = ()

    @property
    def seconds(self) -> float | None:
        """Time of all trainings, some at once; reading and checking the data come on top."""
        if self.fit_seconds is None:
            return None
        return math.ceil(sum(run.trains for run in self.runs) / self.at_once) * self.fit_seconds

    @property
    def production(self) -> str:
        """The promise.

        >>> BackfillPlan("m", []).production
        'production will change: no'
        """
        if not self.may_change:
            return "production will change: no"
        dates = ", ".join(moment.date().isoformat() for moment in self.may_change)
        return f"production will change: perhaps, by {dates} (promote_backfills: if_newer), through the gate"

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "runs": [run.to_json() for run in self.runs],
            "at_once": self.at_once,
            "fit_seconds": self.fit_seconds,
            "seconds": self.seconds,
            "may_change": [moment.isoformat() for moment in self.may_change],
            "production": self.production,
        }


def training_spec(project: Project) -> TrainingSpec:
    """What the project's training task is given, as the DAG gives it."""
    training = project.training
    return TrainingSpec(
        model=project.name,
        estimator=training.estimator,
        params=dict(training.parameters),
        task=training.task,
        target=training.target,
        features=training.features,
        exclude=list(training.exclude),
        seed=training.seed,
    )


def windows_at(project: Project, as_of: datetime) -> Windows | str:
    """The windows of a date, or why there are none."""
    try:
        return TrainingWindow.from_json(project.window).at(as_of)
    except DataError as error:
        return f"{'skipped' if isinstance(error, NotEnoughData) else 'fails'}: {error}"


def existing(
    project: Project, windows: Windows, models: Iterable[Mapping[str, str]], code_version: str | None
) -> Existing:
    """Whether there is a model of this as-of and of the project's settings, by the tags of all its models.

    The data version is known when the data are read, not before: a ``yes`` holds if the data are the same.

    :param code_version: of the code as it is now; None if that cannot be known here
    """
    spec = canonical_json(training_spec(project).to_json()).decode()
    ends = {tags.TRAIN_START: windows.train.start, tags.TRAIN_END: windows.train.end, tags.TEST_END: windows.test.end}
    facts = {name: moment.isoformat() for name, moment in ends.items()}
    same = [
        model
        for model in models
        if tags.SUPERSEDED_BY not in model
        and model.get(tags.SPEC) == spec
        and instant(model[tags.AS_OF]) == windows.as_of
    ]
    if any(facts.items() <= model.items() and model.get(tags.CODE_VERSION) == code_version for model in same):
        return "yes"
    return "yes, of other code or data" if same else "no"


def plan_run(
    project: Project,
    interval: Bounds,
    *,
    rows: Sequence[SourceRows] | None = None,
    models: Iterable[Mapping[str, str]] = (),
    code_version: str | None = None,
) -> PlannedRun:
    """One date: its windows, whether there are rows enough, and whether its model is there.

    :param rows: rows in the window, by source; None if nobody counted them
    :param models: tags of the project's models
    """
    windows = windows_at(project, interval.end)
    if isinstance(windows, str):
        return PlannedRun(interval, None, None, "no", windows)
    few = [
        f"{r.source} {r.rows:,} of {r.needed:,} rows" for r in rows or () if r.rows is not None and r.rows < r.needed
    ]
    problem = f"skipped: {', '.join(few)}" if few else None
    return PlannedRun(interval, windows, rows, existing(project, windows, models, code_version), problem)


def plan_backfill(
    project: Project,
    runs: Sequence[PlannedRun],
    *,
    models: Iterable[Mapping[str, str]] = (),
    at_once: int = 1,
    approved: datetime | None = None,
    pinned: int | None = None,
) -> BackfillPlan:
    """All dates together.

    :param approved: as-of of the newest approved version, None if there is none
    :param pinned: the version that a person pinned: nothing displaces it
    """
    took = [float(model[tags.TRAIN_SECONDS]) for model in models if tags.TRAIN_SECONDS in model]
    newer = [run.as_of for run in runs if run.problem is None and (approved is None or run.as_of > approved)]
    may_change = newer if project.promote_backfills == "if_newer" and pinned is None else []
    return BackfillPlan(project.name, runs, at_once, median(took) if took else None, may_change)


def explain(project: Project, interval: Bounds) -> list[tuple[str, str]]:
    """One date in words, from the as-of backwards."""
    window, windows = TrainingWindow.from_json(project.window), windows_at(project, interval.end)
    told = [
        ("as-of", f"{_moment(interval.end)}: the end of the interval from {_moment(interval.start)}, as the schedule "
         f"{project.schedule!r} ({project.timezone}) has it. Nothing that became known later is used."),
    ]  # fmt: skip
    if isinstance(windows, str):
        return [*told, ("window", windows)]
    zone = window.timezone
    told += [
        ("label delay", f"{window.label_delay}: labels of rows after {_moment(windows.test.end)} are not in yet."),
        ("test", f"{_range(windows.test)}: {window.test}, held out; the model is judged on these rows."),
    ]
    if windows.validation:
        told.append(("validation", f"{_range(windows.validation)}: {window.validation}, held out too."))
    held_out = windows.validation or windows.test
    told += [
        ("gap", f"{window.gap} before {_moment(held_out.start)}: no training row is a neighbour of a test row."),
        ("training", f"{_range(windows.train)}: "
         + (f"{window.lookback} back." if window.lookback else f"everything since {window.start}.")),
        ("time zone", f"{zone}: days and weeks are counted in its calendar; the instants above are UTC."),
        ("knowledge time", f"rows whose {window.knowledge_time} is at or after the as-of are left out: a correction "
         "that came later is not seen." if window.knowledge_time else
         "no column says when a row became known: a row that was corrected later is read as it is today."),
    ]  # fmt: skip
    return told


def _range(bounds: Bounds) -> str:
    return f"from {_moment(bounds.start)} until before {_moment(bounds.end)}"


def _moment(value: datetime) -> str:
    return value.date().isoformat() if (value.hour, value.minute) == (0, 0) else f"{value:%Y-%m-%d %H:%M}"
