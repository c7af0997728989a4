"""Continuous deployment: one DAG for each project file in ``projects/`` that says where its model goes.

Starts when the champion changes. Events may come late, twice or about the past: what counts is where the alias points
now, and what the target holds now. Where these differ the version is tried in a clean process, then on a part of the
requests if the project asks for that, and then answers all of them; one that misbehaves is taken back and retracted.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetAlias, TriggerRule, get_parsing_context, task

from airflow_mlops.operators.deployment import DeployModelOperator, PlanDeploymentOperator
from airflow_mlops.operators.promotion import RollbackModelOperator
from airflow_mlops.operators.rollout import CanaryAnalysisOperator
from airflow_mlops.operators.smoke import SmokeTestModelOperator
from airflow_mlops.steps.projects import projects_for

VERSION = "{{ ti.xcom_pull(task_ids='plan')['version'] }}"


@task.branch
def decide(analysis: dict[str, object]) -> str:
    return "deploy" if analysis["decision"] == "accept" else "roll_back"


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
        plan = PlanDeploymentOperator(task_id="plan", model=f"models:/{name}@champion", **where)
        deploy = DeployModelOperator(task_id="deploy", model=f"models:/{name}/{VERSION}", **where)
        plan >> deploy  # which has nothing to do where the plan was skipped
        tried = plan
        if deployment.smoke_test is not None:
            tried = SmokeTestModelOperator(
                task_id="smoke_test",
                model=name,
                version=VERSION,
                trusted=project.training.trusted,
                **deployment.smoke_test,
            )
            plan >> tried
        if deployment.canary is None:
            tried >> deploy
            continue
        canary = DeployModelOperator(
            task_id="canary", model=f"models:/{name}/{VERSION}", mode="canary", share=deployment.canary.share, **where
        )
        analyse = CanaryAnalysisOperator(
            task_id="analyse",
            model=name,
            version=VERSION,
            policy=deployment.canary.policy,
            patience=deployment.canary.patience,
            serving_conn_id=deployment.serving_conn_id,
        )
        # Where nothing answers yet there is nothing to share out: the canary is skipped, and the champion goes at once.
        deploy.trigger_rule = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
        roll_back = RollbackModelOperator(
            task_id="roll_back",
            model=name,
            reason="{{ ti.xcom_pull(task_ids='analyse')['reason'] }}",
            outlets=[AssetAlias(f"{name}_champion")],
        )
        tried >> canary >> analyse >> decide(analyse.output) >> [deploy, roll_back]
