"""Backtest: one DAG for each project file in ``projects/``, started by hand.

Asks the models of the past, which a backfill of the training made, about later windows that they had not seen, and
says how often retraining is worth it. The link on the task opens the page: the recommendation, what each cadence
gains, how models age, and the matrix behind it. Nothing is trained, and the registry is not touched.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, get_parsing_context

from airflow_mlops.operators.backtest import BacktestOperator
from airflow_mlops.steps.projects import projects_for

PARAMS = {
    "from": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="From",
        description="As-of of the first model to ask. Empty: the oldest.",
    ),
    "to": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="To",
        description="As-of of the last model to ask. Empty: the newest.",
    ),
}

for project in projects_for("backtest", Path(__file__).parent / "projects", get_parsing_context().dag_id):
    with DAG(
        f"backtest__{project.name}",
        description=f"How often is it worth to retrain {project.name}?",
        doc_md=__doc__,
        schedule=None,
        params=PARAMS,
        tags=["mlops", "backtest", project.name],
        default_args={"owner": project.owner, "retries": 2, "retry_delay": timedelta(seconds=30)},
    ):
        BacktestOperator(
            task_id="backtest",
            model=project.name,
            metric=project.evaluation.metric,
            start="{{ params['from'] or '' }}",
            end="{{ params['to'] or '' }}",
            trusted=project.training.trusted,
            **project.backtest.model_dump(),
        )
