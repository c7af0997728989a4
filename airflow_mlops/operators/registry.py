"""Registration of a trained model that passed its gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_mlops.core import tags
from airflow_mlops.core.gate import Verdict
from airflow_mlops.core.run_types import historical
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.links import MlflowModelVersionLink, MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, dag_run_url, output_of, run_type, snapshot_of
from airflow_mlops.steps.registry import describe_version, register
from airflow_mlops.steps.weighing import check_newer, register_on_request

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.registry import ModelVersion


class RegisterModelOperator(MlopsOperator):
    """Register a model whose verdict is ``promote``: exactly one version for its idempotency key.

    Skips, with the reason, when the gate did not say promote, and in a backfill: historical models are found by their
    tags and stay out of the registry, unless ``promote_backfills`` asks for the newest.

    :param model: output of a training task
    :param verdict: output of a gate task
    :param promote_backfills: ``never``, or ``if_newer``: a historical model of a newer as-of than all approved versions
        is weighed once more, against the champion of now, and registered if it is accepted
    :param alias: alias of that champion
    :param trusted: importable classes of your own that the model files may hold, for that comparison
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields, "model", "verdict", "promote_backfills", "alias", "trusted",
    )  # fmt: skip
    operator_extra_links = (MlflowRunLink(), MlflowModelVersionLink())

    def __init__(
        self,
        *,
        model: Mapping[str, Any],
        verdict: Mapping[str, Any],
        promote_backfills: str = "never",
        alias: str = "champion",
        trusted: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.verdict = verdict
        self.promote_backfills = promote_backfills
        self.alias = alias
        self.trusted = trusted

    def run_step(self, context: Context) -> dict[str, Any]:
        model = output_of("training", TrainedModel.from_json, self.model)
        verdict = output_of("gate", Verdict.from_json, self.verdict)
        self.run_url = self.client.run_url(model.experiment_id, model.run_id)
        if not verdict.promote:
            raise AirflowSkipException(verdict.summary)
        if historical(run_type(context)):
            version, created = self._register_historical(model, context)
        else:
            version, created = register(self.client, model, run_url=dag_run_url(context), run_type=run_type(context))
        self.version_url = self.client.version_url(version.name, version.version)
        self.log.info("%s version %s of model %s", "Made" if created else "Found", version.version, version.name)
        return describe_version(version, created)

    def _register_historical(self, model: TrainedModel, context: Context) -> tuple[ModelVersion, bool]:
        if self.promote_backfills == "never":
            raise AirflowSkipException(
                f"Historical model {model.model_id}: a {run_type(context)} run registers nothing."
            )
        if self.promote_backfills != "if_newer":
            raise ConfigurationError(f"promote_backfills {self.promote_backfills!r} is not one of never, if_newer.")
        check_newer(self.client, model)
        return register_on_request(
            self.client,
            model,
            request=f"promote_backfills: {self.promote_backfills}",
            snapshot=snapshot_of(model.facts[tags.SNAPSHOT]),
            alias=self.alias,
            trusted=self.trusted or [],
            run_url=dag_run_url(context),
            run_type=run_type(context),
        )
