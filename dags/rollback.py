"""Rollback: take a model back to an earlier version, in the registry and where it is deployed.

Every approved version above the one that is named is retracted: none of them comes back by itself. Where the project
file says where the model goes, the earlier version is deployed there at once.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, get_parsing_context

from airflow_mlops.operators.deployment import DeployModelOperator
from airflow_mlops.operators.promotion import RollbackModelOperator
from airflow_mlops.steps.projects import readable_projects


def _options(target: object) -> object:
    return {"uri": target} if isinstance(target, str) else target


if get_parsing_context().dag_id in (None, "rollback"):
    # A mistake in some project file must not stand in the way of a rollback.
    PROJECTS = readable_projects(Path(__file__).parent / "projects")
    WHERE = {project.name: project.deployment for project in PROJECTS if project.deployment}
    with DAG(
        "rollback",
        description="Take a model back to an earlier version",
        doc_md=__doc__,
        schedule=None,
        params={
            "model": Param(
                type="string",
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
                examples=[project.name for project in PROJECTS],
                title="Model",
                description="Its name in the registry",
            ),
            "to": Param(
                "previous",
                type="string",
                pattern=r"^(previous|[1-9]\d{0,8}|\d{4}-\d{2}-\d{2}([T ][0-9:.+Z-]+)?)$",
                title="To",
                description="previous (the champion before this one), a version number, or an instant as 2026-11-01",
            ),
            "reason": Param(
                "",
                type="string",
                maxLength=500,
                title="Reason",
                description="Why, for the ledger and for whoever finds the retracted versions",
            ),
        },
        tags=["mlops", "rollback"],
        default_args={"owner": "mlops", "retries": 2, "retry_delay": timedelta(seconds=10)},
        user_defined_macros={
            "target_of": lambda model: json.dumps(_options(WHERE[model].target)) if model in WHERE else "",
        },
    ):
        taken_back = RollbackModelOperator(
            task_id="roll_back",
            model="{{ params.model }}",
            to="{{ params.to }}",
            reason="{{ params.reason }}",
        )
        redeployed = DeployModelOperator(
            task_id="redeploy",
            model="models:/{{ params.model }}@champion",
            target="{{ target_of(params.model) }}",
            if_absent="skip",
        )
        taken_back >> redeployed
