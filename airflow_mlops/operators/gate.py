"""The gate: all checks on a candidate as one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.evaluation import Evaluation
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.links import MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, output_of, run_type
from airflow_mlops.steps.gate import judge_model

if TYPE_CHECKING:
    from airflow.sdk import Context


class ModelGateOperator(MlopsOperator):
    """Judge an evaluation: ``promote``, ``hold``, ``reject`` or ``inconclusive``, with reasons in plain words.

    The task is green whatever the verdict; a task behind it that registers or promotes skips itself. The sentence
    stands in the task's XCom ``verdict``, first among its rendered templates, and on the model and its run in MLflow.

    :param evaluation: output of an evaluation task
    :param policy: arguments of :class:`~airflow_mlops.core.gate.GatePolicy`
    :param verdict: leave it empty: the task writes its sentence here, so that the UI shows it under Rendered Templates
    """

    template_fields: Sequence[str] = ("verdict", "policy", "evaluation", *MlopsOperator.template_fields)
    template_fields_renderers = {"evaluation": "json", "policy": "json", "verdict": "md"}
    operator_extra_links = (MlflowRunLink(),)
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        evaluation: Mapping[str, Any],
        policy: Mapping[str, Any] | None = None,
        verdict: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.evaluation = evaluation
        self.policy = policy
        self.verdict = verdict

    def run_step(self, context: Context) -> dict[str, Any]:
        model, evaluation = output_of("evaluation", _read, self.evaluation)
        self.run_url = self.client.run_url(model.experiment_id, model.run_id)
        outcome = judge_model(
            self.client,
            model=model,
            evaluation=evaluation,
            policy=GatePolicy.from_json(self.policy or {}),
            run_type=run_type(context),
        )
        self.verdict = outcome.summary
        # Text of its own: the UI's list of XComs shows it without a click.
        context["ti"].xcom_push(key="verdict", value=outcome.summary)
        self.log.info("%s: %s", outcome.decision, outcome.summary)
        return outcome.to_json()


def _read(output: Mapping[str, Any]) -> tuple[TrainedModel, Evaluation]:
    facts = dict(output)
    return TrainedModel.from_json(facts.pop("model")), Evaluation.from_json(facts)
