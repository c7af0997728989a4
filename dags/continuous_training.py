"""Continuous training: one DAG for each project file in ``projects/``.

Each run snapshots the data that its as-of may use, prepares and validates it, trains one model, weighs it against the
champion on the same rows, and registers and promotes it, or refuses it with a reason. A backfill does the same over
past dates and leaves the registry untouched.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from airflow.sdk import DAG, AssetAlias, CronDataIntervalTimetable, Param, get_parsing_context

from airflow_mlops.operators.evaluation import EvaluateModelOperator
from airflow_mlops.operators.gate import ModelGateOperator
from airflow_mlops.operators.promotion import PromoteModelOperator
from airflow_mlops.operators.registry import RegisterModelOperator
from airflow_mlops.operators.snapshots import IngestSnapshotOperator, PrepareDataOperator
from airflow_mlops.operators.training import TrainModelOperator
from airflow_mlops.operators.validation import ValidateDataOperator
from airflow_mlops.steps.projects import projects_for

PARAMS = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="As of",
        description="Train as if it were this instant: what became known later is not used. Empty: the run's own date.",
    ),
    "note": Param(
        None, type=["null", "string"], maxLength=500, title="Note", description="The idea that this training tries"
    ),
}

for project in projects_for("continuous_training", Path(__file__).parent / "projects", get_parsing_context().dag_id):
    with DAG(
        f"continuous_training__{project.name}",
        description=project.description,
        doc_md=__doc__,
        # Named, because a bare cron string gives intervals of no width, which cannot say what a run is about.
        schedule=CronDataIntervalTimetable(project.schedule, timezone=project.timezone),
        start_date=datetime.combine(project.start, time.min, UTC),
        catchup=False,
        params={
            **PARAMS,
            "seed": Param(
                project.training.seed, type="integer", minimum=0, title="Seed", description="Of every random choice"
            ),
        },
        tags=["mlops", "continuous_training", project.name],
        default_args={"owner": project.owner, "retries": 2, "retry_delay": timedelta(seconds=30)},
    ):
        ingested = {
            name: IngestSnapshotOperator(
                task_id=f"ingest_{name}",
                name=name,
                source=source.source(),
                event_time=source.event_time,
                window=project.window,
                key=source.key,
                min_rows=source.min_rows,
            ).output
            for name, source in project.sources.items()
        }
        prepared = PrepareDataOperator(
            task_id="prepare",
            name=project.name,
            function=project.prepare.function,
            inputs=ingested,
            arguments=project.prepare.arguments,
            order_by=project.prepare.order_by,
        )
        validated = ValidateDataOperator(
            task_id="validate",
            snapshot=prepared.output,
            suite=project.validation.suite,
            min_rows=project.validation.min_rows,
            sensitive=project.validation.sensitive,
            engine=project.validation.engine,
            max_quarantined=project.validation.max_quarantined,
            freshness=project.validation.freshness,
            volume=project.validation.volume,
        )
        trained = TrainModelOperator(
            task_id="train",
            snapshot=validated.output,
            model=project.name,
            seed="{{ params.seed }}",
            note="{{ params.note or '' }}",
            sensitive=project.validation.sensitive,
            **project.training.model_dump(exclude={"seed"}),
        )
        evaluated = EvaluateModelOperator(
            task_id="evaluate",
            model=trained.output,
            trusted=project.training.trusted,
            alpha=project.look_alpha,
            **project.evaluation.model_dump(),
        )
        judged = ModelGateOperator(task_id="gate", evaluation=evaluated.output, policy=project.gate)
        registered = RegisterModelOperator(
            task_id="register",
            model=trained.output,
            verdict=judged.output,
            promote_backfills=project.promote_backfills,
            trusted=project.training.trusted,
        )
        PromoteModelOperator(
            task_id="promote", version=registered.output, outlets=[AssetAlias(f"{project.name}_champion")]
        )
