"""Drift check: has the data changed since the model was trained?

One DAG for each project file in ``projects/`` compares the last weeks with the rows that the champion was trained on.
The DAG ``drift_check`` stands alone, for people who bring their own model: its form asks for both sides. The link on
the task opens the page: the verdict in words, and both distributions of every column. Drift fails nothing by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_parsing_context

from airflow_mlops.operators.drift import DriftCheckOperator
from airflow_mlops.operators.snapshots import IngestSnapshotOperator, PrepareDataOperator
from airflow_mlops.steps.projects import projects_for

SIDE = "models:/NAME@champion or models:/NAME/3, files such as /data/*.parquet, a snapshot or a profile"
AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    title="As of",
    description="The instant of the check. Empty: the run's own date.",
)
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30)}

ASKED = get_parsing_context().dag_id

if ASKED in (None, "drift_check"):
    with DAG(
        "drift_check",
        description="Have these rows drifted from those?",
        doc_md=__doc__,
        schedule=None,
        params={
            "baseline": Param("models:/NAME@champion", type="string", minLength=1, title="Baseline", description=SIDE),
            "current": Param("/data/*.parquet", type="string", minLength=1, title="Current rows", description=SIDE),
            "name": Param(
                "drift_check",
                type="string",
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
                title="Name",
                description="Of the check: where its reports lie, and what a sensor waits for",
            ),
            "columns": Param(None, type=["null", "array"], title="Columns", description="To compare. Empty: all"),
            "sensitive": Param(
                None, type=["null", "array"], title="Sensitive", description="Columns of which no value may be counted"
            ),
            "clusters": Param(
                None,
                type=["null", "string"],
                title="Clusters",
                description="Column that says which rows belong together, such as the day",
            ),
            "policy": Param(
                {}, type="object", title="Policy", description='Such as {"alpha": 0.001, "ignore": ["id"]}'
            ),
            "as_of": AS_OF,
        },
        tags=["mlops", "drift_check"],
        default_args={"owner": "mlops", **RETRIES},
        render_template_as_native_obj=True,
    ):
        DriftCheckOperator(
            task_id="check",
            baseline="{{ params.baseline }}",
            current="{{ params.current }}",
            name="{{ params.name }}",
            columns="{{ params.columns }}",
            sensitive="{{ params.sensitive }}",
            clusters="{{ params.clusters }}",
            policy="{{ params.policy }}",
            as_of="{{ params.as_of }}",
        )

for project in projects_for("drift_check", Path(__file__).parent / "projects", ASKED):
    with DAG(
        f"drift_check__{project.name}",
        description=f"Have the data of {project.name} changed since its champion was trained?",
        doc_md=__doc__,
        schedule=CronDataIntervalTimetable(project.drift.schedule, timezone=project.timezone),
        start_date=datetime.combine(project.start, time.min, UTC),
        catchup=False,
        params={
            "as_of": AS_OF,
            "reference": Param(
                None,
                type=["null", "string"],
                title="Reference",
                description=f"Compare with this instead of the champion's training rows: {SIDE}",
            ),
        },
        tags=["mlops", "drift_check", project.name],
        default_args={"owner": project.owner, **RETRIES},
    ):
        ingested = {
            name: IngestSnapshotOperator(
                task_id=f"ingest_{name}",
                name=name,
                source=source.source(),
                event_time=source.event_time,
                window=project.drift.window(project.window.get("timezone", "UTC")),
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
        DriftCheckOperator(
            task_id="check",
            baseline="{{ params.reference or 'models:/" + project.name + "@champion' }}",
            current=prepared.output,
            name=project.name,
            columns=project.drift.columns or project.training.features,
            sensitive=project.validation.sensitive,
            clusters=project.drift.clusters,
            policy=project.drift.policy,
            if_absent="skip",
        )
