"""Find the project that a command names, and when its DAG runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_mlops.core.projects import Project
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.projects import load_project


@dataclass(frozen=True)
class Found:
    """A project, and the folder of its DAGs, which is on ``sys.path`` now: its functions can be imported."""

    project: Project
    dags: Path


def find_project(named: str, dags: str | None) -> Found:
    """A project by its file, its name, or the name of one of its DAGs.

    :param dags: folder of the DAGs; None for ``./dags``, else that of Airflow
    """
    path = Path(named)
    if not path.is_file():
        if path.suffix or len(path.parts) > 1:
            raise ConfigurationError(f"There is no project file {named}.")
        folder = dags_folder(dags)
        path = folder / "projects" / f"{named.rpartition('__')[2]}.yaml"
        if not path.is_file():
            there = (file.stem for file in sorted(path.parent.glob("*.yaml")) if not file.stem.endswith(".suite"))
            raise ConfigurationError(
                f"There is no project {named} in {folder / 'projects'}: it has {', '.join(there) or 'none'}. "
                "Name another folder with --dags."
            )
    folder = path.resolve().parent.parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # as Airflow does with its DAGs folder
    return Found(load_project(path), folder)


def dags_folder(named: str | None) -> Path:
    """The folder of the DAGs."""
    if named:
        return Path(named)
    here = Path("dags")
    if (here / "projects").is_dir():
        return here
    from airflow.configuration import conf  # noqa: TID251

    return Path(conf.get("core", "dags_folder"))


def intervals(project: Project, start: datetime, end: datetime) -> list[Bounds]:
    """The data intervals that begin between two instants: those of ``airflow backfill create`` with the same dates."""
    from airflow.timetables.base import TimeRestriction  # noqa: TID251

    restriction = TimeRestriction(_pendulum(start), _pendulum(end), catchup=True)
    return list(_intervals(_timetable(project), restriction))


def interval_before(project: Project, moment: datetime) -> Bounds:
    """The newest whole interval at an instant: what a run that somebody starts then is about."""
    found = _timetable(project).infer_manual_data_interval(run_after=_pendulum(moment))
    return _bounds(found)


def _intervals(timetable: Any, restriction: Any) -> Iterator[Bounds]:
    last = None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = info.data_interval
        yield _bounds(last)


def _bounds(interval: Any) -> Bounds:
    """Plain datetimes: those of Airflow's timetables count otherwise when they are subtracted."""
    return Bounds(*(datetime.fromtimestamp(end.timestamp(), UTC) for end in (interval.start, interval.end)))


def _timetable(project: Project) -> Any:
    """As the DAG has it; imported late, because it takes Airflow with it."""
    from airflow.timetables.interval import CronDataIntervalTimetable  # noqa: TID251

    timetable = CronDataIntervalTimetable(project.schedule, timezone=project.timezone)
    try:
        timetable.validate()
    except Exception as error:  # Airflow's own, of a module that moves between its releases
        raise ConfigurationError(f"Project {project.name}: schedule {project.schedule!r}: {error}") from error
    return timetable


def _pendulum(moment: datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)
