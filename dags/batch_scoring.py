"""Batch scoring: what does the model say of these rows?

One DAG for each project file in ``projects/`` with a section ``scoring`` asks the champion about the rows of each
interval, and adds its answers to the log of predictions, once: a retry or a run that is cleared adds nothing. A
backfill asks the model that was in production then. The DAG ``batch_scoring`` stands alone, for people who bring their
own model and rows: its form asks for both.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_parsing_context

from airflow_mlops.operators.scoring import BatchScoreOperator
from airflow_mlops.operators.snapshots import IngestSnapshotOperator, PrepareDataOperator
from airflow_mlops.steps.projects import projects_for

AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    title="As of",
    description="The instant of the run, and of its predictions in the log. Empty: the run's own date.",
)
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30)}

ASKED = get_parsing_context().dag_id

if ASKED in (None, "batch_scoring"):
    with DAG(
        "batch_scoring",
        description="What does this model say of these rows?",
        doc_md=__doc__,
        schedule=None,
        params={
            "model": Param(
                "models:/NAME@champion",
                type="string",
                pattern=r"^models:/[A-Za-z0-9][A-Za-z0-9._-]{0,127}(@[A-Za-z0-9][A-Za-z0-9._-]{0,127}|/[1-9]\d*)$",
                title="Model",
                description="models:/NAME@champion or models:/NAME/3",
            ),
            "rows": Param(
                "/data/*.parquet",
                type="string",
                minLength=1,
                title="Rows",
                description="Files such as /data/*.parquet, or the URI of a snapshot",
            ),
            "at": Param(
                None,
                type=["null", "string"],
                format="date-time",
                title="In production at",
                description="Ask the version that was in production then. Empty: now.",
            ),
            "interval": Param(
                None,
                type=["null", "string"],
                maxLength=500,
                title="Interval",
                description="What the rows are about: the same name again is the same batch. Empty: the as-of.",
            ),
            "keys": Param(
                None,
                type=["null", "array"],
                title="Keys",
                description="Columns to pass through to the result, such as the customer",
            ),
            "log_inputs": Param(
                True, type="boolean", title="Log inputs", description="Whether the result holds the inputs too"
            ),
            "trusted": Param(
                None,
                type=["null", "array"],
                title="Trusted",
                description="Importable classes of your own that the model file may hold",
            ),
            "predictions": Param(
                None,
                type=["null", "string"],
                title="Predictions",
                description="Where the log of predictions lies. Empty: predictions in the store.",
            ),
            "as_of": AS_OF,
        },
        tags=["mlops", "batch_scoring"],
        default_args={"owner": "mlops", **RETRIES},
        render_template_as_native_obj=True,
    ):
        BatchScoreOperator(
            task_id="score",
            model="{{ params.model }}",
            rows="{{ params.rows }}",
            at="{{ params.at }}",
            interval="{{ params.interval }}",
            keys="{{ params['keys'] }}",
            log_inputs="{{ params.log_inputs }}",
            trusted="{{ params.trusted }}",
            predictions="{{ params.predictions }}",
            as_of="{{ params.as_of }}",
        )

for project in projects_for("batch_scoring", Path(__file__).parent / "projects", ASKED):
    if project.scoring is None:
        continue
    with DAG(
        f"batch_scoring__{project.name}",
        description=f"Ask the {project.scoring.alias} of {project.name} about the rows of each interval",
        doc_md=__doc__,
        schedule=CronDataIntervalTimetable(project.scoring.schedule, timezone=project.timezone),
        start_date=datetime.combine(project.start, time.min, UTC),
        catchup=False,
        params={
            "as_of": AS_OF,
            "since": Param(
                None,
                type=["null", "string"],
                format="date-time",
                title="Since",
                description="Score the rows from this instant to the as-of. Empty: those of the run's data interval.",
            ),
        },
        tags=["mlops", "batch_scoring", project.name],
        default_args={"owner": project.owner, **RETRIES},
    ):
        since = "{{ params.since or dag_run.data_interval_start or '' }}"
        ingested = {
            name: IngestSnapshotOperator(
                task_id=f"ingest_{name}",
                name=name,
                source=source.source(),
                event_time=source.event_time,
                window={
                    "since": since,
                    "before": project.scoring.before,
                    "knowledge_time": project.window.get("knowledge_time"),
                    "timezone": project.timezone,
                },
                key=source.key,
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
        BatchScoreOperator(
            task_id="score",
            model=f"models:/{project.name}@{project.scoring.alias}",
            rows=prepared.output,
            since=since,
            trusted=project.training.trusted,
            if_absent="skip",
            **project.scoring.arguments(),
        )
