"""Judge an evaluation and leave the verdict where people look: on the model and its run in MLflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_mlops.core import tags
from airflow_mlops.core.gate import GatePolicy, Verdict, judge
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.reports.evaluation import evaluation_page
from airflow_mlops.steps.logged_models import upload_text

if TYPE_CHECKING:
    from airflow_mlops.core.evaluation import Evaluation
    from airflow_mlops.core.tracking import Mlflow


def judge_model(
    client: Mlflow, *, model: TrainedModel, evaluation: Evaluation, policy: GatePolicy, run_type: str = "live"
) -> Verdict:
    """One verdict, tagged with its sentence; a rejection is an answer, not an error."""
    verdict = judge(evaluation, policy, run_type=run_type, as_of=model.facts[tags.AS_OF])
    if not model.may_be_marked(run_type):
        return verdict
    told = {tags.VERDICT: verdict.decision, tags.VERDICT_SUMMARY: verdict.summary}
    told[tags.POLICY] = json.dumps(policy.to_json())
    client.tracking.tag_model(model.model_id, told)
    note = model.facts[tags.NOTE]
    told["mlflow.note.content"] = f"{verdict.summary}\n\n{note}" if note != tags.UNKNOWN else verdict.summary
    client.tracking.log(model.run_id, tags={**told, "mlops.checks": json.dumps(verdict.to_json()["checks"])})
    page = {"evaluation/evaluation.html": evaluation_page(evaluation, verdict)}  # in place of the one without a verdict
    upload_text(client, client.tracking.artifact_uri(model.run_id), page)
    return verdict
