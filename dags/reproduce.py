"""Reproduce a model: one DAG for each project file in ``projects/``.

Left as it is, the form trains the version again from its record (the same rows, parameters, seed and threads) and says
whether it came out the same. Anything filled in below makes a new candidate instead, whose parent is that version: it
is weighed by the project's gate, and not registered.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, get_parsing_context

from airflow_mlops.operators.reproduction import ReproduceModelOperator
from airflow_mlops.steps.projects import projects_for

PARAMS = {
    "version": Param(
        "champion",
        type="string",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        title="Version",
        description="A version number, an alias, or the id of a model that is not registered (m-…)",
    ),
    "parameters": Param(
        None,
        type=["null", "object"],
        title="Parameters",
        description='Override: arguments of the estimator, such as {"learning_rate": 0.1}',
    ),
    "search_space": Param(
        None,
        type=["null", "object"],
        additionalProperties={"type": "array", "minItems": 1},
        title="Search space",
        description='Override: values to try, such as {"max_iter": [100, 300]}; the best become the candidate\'s',
    ),
    "seed": Param(None, type=["null", "integer"], minimum=0, title="Seed", description="Override: another seed"),
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="As of",
        description="Override: read the sources anew as of this instant, with the recorded window moved to it",
    ),
    "window": Param(
        None,
        type=["null", "object"],
        title="Window",
        description='Override: read the sources anew in this window, such as {"lookback": "90d", "test": "28d"}',
    ),
    "data_version": Param(
        None,
        type=["null", "string"],
        pattern="^[0-9a-f]{8,64}$",
        title="Data version",
        description="Override: the snapshot of this data version, or of the one that begins with these digits",
    ),
    "note": Param(
        None, type=["null", "string"], maxLength=500, title="Note", description="The idea that the candidate tries"
    ),
}

for project in projects_for("reproduce", Path(__file__).parent / "projects", get_parsing_context().dag_id):
    with DAG(
        f"reproduce__{project.name}",
        description=f"Train a model of {project.name} again from its record, or a new candidate of it",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        params=PARAMS,
        tags=["mlops", "reproduce", project.name],
        default_args={"owner": project.owner, "retries": 2, "retry_delay": timedelta(seconds=30)},
    ):
        ReproduceModelOperator(
            task_id="reproduce",
            model=project.name,
            version="{{ params.version }}",
            parameters="{{ params.parameters | tojson }}",
            search_space="{{ params.search_space | tojson }}",
            seed="{{ params.seed }}",
            as_of="{{ params.as_of or '' }}",
            window="{{ params.window | tojson }}",
            data_version="{{ params.data_version or '' }}",
            note="{{ params.note or '' }}",
            evaluation={**project.evaluation.model_dump(), "alpha": project.look_alpha},
            policy=project.gate,
            trusted=project.training.trusted,
            functions=[project.training.estimator, project.prepare.function],
            sources=[source.source() for source in project.sources.values()],
            timezone=project.window.get("timezone", "UTC"),
        )
