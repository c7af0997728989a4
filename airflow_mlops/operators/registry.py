"""Registration of a trained model that passed its gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_mlops.core.gate import Verdict
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.links import MlflowModelVersionLink, MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, dag_run_url, output_of, run_type
from airflow_mlops.steps.registry import describe_version, register

if TYPE_CHECKING:
    from airflow.sdk import Context


class RegisterModelOperator(MlopsOperator):
    """Register a model whose verdict is ``promote``: exactly one version for its idempotency key.

    Skips, with the reason, when the gate did not say promote, and in a backfill: historical models are found by their
    tags and stay out of the registry.

    :param model: output of a training task
    :param verdict: output of a gate task
    """

    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "model", "verdict")
    operator_extra_links = (MlflowRunLink(), MlflowModelVersionLink())

    def __init__(self, *, model: Mapping[str, Any], verdict: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.verdict = verdict

    def run_step(self, context: Context) -> dict[str, Any]:
        model = output_of("training", TrainedModel.from_json, self.model)
        verdict = output_of("gate", Verdict.from_json, self.verdict)
        self.run_url = self.client.run_url(model.experiment_id, model.run_id)
        if not verdict.promote:
            raise AirflowSkipException(verdict.summary)
        if run_type(context) == "backfill":
            raise AirflowSkipException(f"Historical model {model.model_id}: a backfill registers nothing.")
        version, created = register(self.client, model, run_url=dag_run_url(context))
        self.version_url = self.client.version_url(version.name, version.version)
        self.log.info("%s version %s of model %s", "Made" if created else "Found", version.version, version.name)
        return describe_version(version, created)
