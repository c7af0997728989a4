"""Evaluation of a candidate against champion and baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.links import MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, number, output_of, run_type, snapshot_of
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model

if TYPE_CHECKING:
    from airflow.sdk import Context


class EvaluateModelOperator(MlopsOperator):
    """Score candidate, champion and a simple baseline on the same held-out rows, with paired tests.

    Returns an :class:`~airflow_mlops.core.evaluation.Evaluation` as a dict, with the ``model`` that it is about.

    :param model: output of a training task
    :param metric: the primary metric, by scikit-learn's name
    :param secondary: further metrics to compare
    :param clusters: column whose values are resampled whole (rows of one day or customer are alike)
    :param baseline: columns of the simple baseline, the shrunken mean of each group
    :param alpha: one-sided error of one comparison; 5 % a year, shared over twelve looks
    :param alias: alias of the champion
    :param trusted: importable classes of your own that the model files may hold
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "model", "metric", "secondary", "clusters", "baseline", "alpha", "alias", "trusted",
    )  # fmt: skip
    operator_extra_links = (MlflowRunLink(),)

    def __init__(
        self,
        *,
        model: Mapping[str, Any],
        metric: str = "roc_auc",
        secondary: list[str] | None = None,
        clusters: str | None = None,
        baseline: list[str] | None = None,
        alpha: float = 0.05 / 12,
        alias: str = "champion",
        trusted: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.metric = metric
        self.secondary = secondary
        self.clusters = clusters
        self.baseline = baseline
        self.alpha = alpha
        self.alias = alias
        self.trusted = trusted

    def run_step(self, context: Context) -> dict[str, Any]:
        model = output_of("training", TrainedModel.from_json, self.model)
        self.run_url = self.client.run_url(model.experiment_id, model.run_id)
        evaluation = evaluate_model(
            self.client,
            model=model,
            snapshot=snapshot_of(model.facts[tags.SNAPSHOT]),
            spec=EvaluationSpec(
                self.metric,
                self.secondary or [],
                self.clusters,
                self.baseline or [],
                number(self.alpha, "alpha", float),
            ),
            alias=self.alias,
            run_type=run_type(context),
            trusted=self.trusted or [],
            budget=self.budget,
        )
        self.log.info("%s on %s rows: %s", self.metric, evaluation.rows, evaluation.candidate.get(self.metric))
        return {**evaluation.to_json(), "model": model.to_json()}
