"""Commands that say what a run would do."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime

from airflow_mlops.cli.answers import Answer, day, facts, paragraph, table
from airflow_mlops.cli.connections import Connections
from airflow_mlops.cli.projects import find_project, interval_before, intervals
from airflow_mlops.core.backfills import BackfillPlan, PlannedRun, explain, windows_at
from airflow_mlops.core.projects import SourceSection
from airflow_mlops.core.windows import Bounds, Windows
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.backfills import plan
from airflow_mlops.steps.code import code_version
from airflow_mlops.steps.sources import Source, build_source


def backfill_plan(connections: Connections, arguments: Namespace) -> Answer:
    """A line for each date; a date of which the interval is not over yet is none of a backfill's."""
    found = find_project(arguments.project, arguments.dags)
    now = datetime.now(UTC)
    dates = [dates for dates in intervals(found.project, arguments.start, arguments.end) if dates.end < now]
    if not dates:
        raise ConfigurationError(
            f"Project {found.project.name}: no interval of {found.project.schedule!r} begins between "
            f"{day(arguments.start)} and {day(arguments.end)} and is over: choose other dates."
        )

    def source_of(section: SourceSection) -> Source:
        return build_source(
            section.source(), section.event_time, path_of=connections.path, engine_of=connections.engine
        )

    planned = plan(
        connections.client,
        found.project,
        dates,
        source_of=None if arguments.no_rows else source_of,
        code_version=code_version(found.dags),
        at_once=arguments.max_active_runs,
    )
    return Answer(_lines(planned, arguments), planned.to_json())


def _lines(planned: BackfillPlan, arguments: Namespace) -> list[str]:
    sources = [rows.source.upper() for rows in next((run.rows for run in planned.runs if run.rows), ())]
    unknown = {f"rows of {r.source}: unknown ({r.why})" for run in planned.runs for r in run.rows or () if r.why}
    return [
        f"airflow backfill create --dag-id continuous_training__{planned.project} \\",
        f"    --from-date {_flag(arguments.start)} --to-date {_flag(arguments.end)} "
        f"--max-active-runs {planned.at_once}",
        "",
        *table(["AS-OF", "TRAIN", "TEST", *sources, "MODEL THERE"], [_row(run, len(sources)) for run in planned.runs]),
        "",
        *(line for text in sorted(unknown) for line in paragraph(text)),
        *paragraph(_count(planned)),
        *paragraph(f"estimated time: {_time(planned)}"),
        planned.production,
    ]


def _flag(moment: datetime) -> str:
    text = moment.isoformat()
    return text.removesuffix("T00:00:00+00:00")


def _row(run: PlannedRun, sources: int) -> list[str]:
    counts = ["unknown" if rows.rows is None else f"{rows.rows:,}" for rows in run.rows or ()] or ["-"] * sources
    return [day(run.as_of), *_windows(run.windows), *counts, run.problem or run.model]


def _windows(windows: Windows | None) -> list[str]:
    return [_range(windows.train), _range(windows.test)] if windows else ["-", "-"]


def _range(bounds: Bounds) -> str:
    """Days alone: `explain-window` and `--json` tell the hours."""
    return f"{bounds.start:%Y-%m-%d}…{bounds.end:%m-%d}"


def _count(planned: BackfillPlan) -> str:
    trains, problems = sum(run.trains for run in planned.runs), sum(run.problem is not None for run in planned.runs)
    told = {
        "train a model": trains,
        "find theirs if the data are the same": len(planned.runs) - trains - problems,
        "make none": problems,
    }
    text = ", ".join(f"{number} {what}" for what, number in told.items() if number)
    return f"{len(planned.runs)} dates: {text}; {planned.at_once} at once."


def _time(planned: BackfillPlan) -> str:
    if planned.seconds is None or planned.fit_seconds is None:
        return "unknown (no earlier model says how long its training took)"
    each = f"{_span(planned.fit_seconds)} each, by earlier models"
    return f"about {_span(planned.seconds)} of training ({each}), reading and checking aside"


def _span(seconds: float) -> str:
    """Seconds as people say them.

    >>> _span(0.42), _span(41.7), _span(200), _span(8000)
    ('0.4 s', '42 s', '3 min', '2.2 h')
    """
    if seconds < 100:
        return f"{seconds:.{int(seconds < 10)}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def explain_window(connections: Connections, arguments: Namespace) -> Answer:
    """No server is asked."""
    project = find_project(arguments.project, arguments.dags).project
    interval = interval_before(project, arguments.at)
    told = explain(project, interval)
    windows = windows_at(project, interval.end)
    lines = [f"{project.name}: a run of {day(arguments.at)} is about the as-of {day(interval.end)}.", *facts(told)]
    data = {
        "project": project.name,
        "as_of": interval.end.isoformat(),
        "interval": interval.to_json(),
        "windows": windows.to_json() if isinstance(windows, Windows) else None,
        "explanation": dict(told),
    }
    return Answer(lines, data)
