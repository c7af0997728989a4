"""Continuous deployment: one DAG for each project file in ``projects/`` that says where its model goes.

Starts when the champion changes. Events may come late, twice or about the past: what counts is where the alias points
now, and what the target holds now. Where these differ the version is tried in a clean process, then on a part of the
requests if the project asks for that, and then answers all of them; one that misbehaves is taken back and retracted.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, get_parsing_context

from airflow_mlops.operators.deployment import DeployModelOperator, PlanDeploymentOperator
from airflow_mlops.steps.projects import projects_for

VERSION = "{{ ti.xcom_pull(task_ids='plan')['version'] }}"


for project in projects_for("continuous_deployment", Path(__file__).parent / "projects", get_parsing_context().dag_id):
    if project.deployment is None:
        continue
    deployment, name = project.deployment, project.name
    with DAG(
        f"continuous_deployment__{name}",
        description=f"Bring each new champion of {name} to where it answers",
        doc_md=__doc__,
        schedule=[Asset(name=f"{name}_champion", uri=f"mlflow://{name}/champion")],
        catchup=False,
        max_active_runs=1,
        tags=["mlops", "continuous_deployment", name],
        default_args={"owner": project.owner, "retries": 2, "retry_delay": timedelta(seconds=30)},
    ):
        where = {"target": deployment.target, "if_absent": deployment.if_absent}
        planned = PlanDeploymentOperator(task_id="plan", model=f"models:/{name}@champion", **where)
        deployed = DeployModelOperator(task_id="deploy", model=f"models:/{name}/{VERSION}", **where)
        planned >> deployed
