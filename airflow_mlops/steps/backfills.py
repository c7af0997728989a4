"""What a backfill would find: rows in each window, and the models that are there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops.core.backfills import BackfillPlan, SourceRows, plan_backfill, plan_run, windows_at
from airflow_mlops.core.pins import pinned
from airflow_mlops.core.projects import Project, SourceSection
from airflow_mlops.core.promotion import order_key, rightful_champion
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.windows import Bounds, TrainingWindow, Windows
from airflow_mlops.exceptions import MlopsError
from airflow_mlops.steps.logged_models import trained_models
from airflow_mlops.steps.sources import Source

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


def plan(
    client: Mlflow,
    project: Project,
    intervals: Sequence[Bounds],
    *,
    source_of: Callable[[SourceSection], Source] | None,
    code_version: str | None = None,
    at_once: int = 1,
) -> BackfillPlan:
    """Read what there is, write nothing, and say what each date would do.

    :param intervals: the data intervals of the backfill's runs
    :param source_of: makes a source of a project's section; None leaves the rows uncounted
    """
    models = [model.tags for model in trained_models(client, project.name)]
    runs = [
        plan_run(
            project,
            interval,
            rows=_rows(project, interval.end, source_of) if source_of else None,
            models=models,
            code_version=code_version,
        )
        for interval in intervals
    ]
    registry = client.registry
    newest = rightful_champion(registry.versions(project.name))
    return plan_backfill(
        project,
        runs,
        models=models,
        at_once=at_once,
        approved=order_key(newest)[0] if newest else None,
        pinned=pinned(registry.model_tags(project.name)),
    )


def _rows(project: Project, as_of: datetime, source_of: Callable[[SourceSection], Source]) -> list[SourceRows] | None:
    windows = windows_at(project, as_of)
    if isinstance(windows, str):
        return None
    knowledge_time = TrainingWindow.from_json(project.window).knowledge_time
    return [_count(name, section, windows, knowledge_time, source_of) for name, section in project.sources.items()]


def _count(
    name: str,
    section: SourceSection,
    windows: Windows,
    knowledge_time: str | None,
    source_of: Callable[[SourceSection], Source],
) -> SourceRows:
    """As the ingest reads it, and slices it; what cannot be read here is unknown, not a reason to stop."""
    rows = Slice(windows.as_of, windows.whole, tuple(section.key))
    try:
        batches = source_of(section).read(rows)[1]
        found = sum(batch.num_rows for batch in sliced(batches, rows, section.event_time, knowledge_time))
    except MlopsError as error:
        return SourceRows(name, None, section.min_rows, str(error))
    except Exception as error:  # the project's own function
        return SourceRows(name, None, section.min_rows, f"{type(error).__name__}: {redact(error)}")
    return SourceRows(name, found, section.min_rows)
