"""Backtests: how often is it worth to retrain?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.backtest import BacktestSpec
from airflow_mlops.links import BacktestReportLink, MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, number, snapshot_of
from airflow_mlops.steps.backtest import backtest

if TYPE_CHECKING:
    from airflow.sdk import Context


class BacktestOperator(MlopsOperator):
    """Ask the models of the past about later windows, and say how often retraining is worth it.

    Historical and live models count, registered or not; nothing is trained, and the registry is not touched. Returns
    recommendation, gains and decay as a dict, and pushes the sentence as XCom ``recommendation``. The matrix and a
    page go to an MLflow run of their own.

    :param model: name of the model whose past is asked
    :param metric: by which the models are judged; None for the one that they were evaluated by
    :param start: first as-of of the models to ask; None for all
    :param end: last as-of of the models to ask; None for all
    :param cadences: how often to retrain, in periods of the models' own distance, such as ``[1, 3, 6]`` months
    :param max_age: oldest models to ask, in periods; None for all
    :param margin: smallest gain that would matter, in the metric's units; None for 1 % of its level
    :param like: id of a model (``m-…``) whose spec counts; None for the spec that was trained last
    :param trusted: importable classes of your own that the model files may hold
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "model", "metric", "start", "end", "cadences", "max_age", "margin", "like", "trusted",
    )  # fmt: skip
    operator_extra_links = (BacktestReportLink(), MlflowRunLink())

    def __init__(
        self,
        *,
        model: str,
        metric: str | None = None,
        start: str | None = None,
        end: str | None = None,
        cadences: list[int] | None = None,
        max_age: int | None = None,
        margin: float | None = None,
        like: str | None = None,
        trusted: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.metric = metric
        self.start = start
        self.end = end
        self.cadences = cadences
        self.max_age = max_age
        self.margin = margin
        self.like = like
        self.trusted = trusted

    def run_step(self, context: Context) -> dict[str, Any]:
        stored = backtest(
            self.client,
            name=self.model,
            spec=self.spec(),
            start=self.start,
            end=self.end,
            like=self.like,
            trusted=self.trusted or [],
            read=snapshot_of,
            budget=self.budget,
        )
        self.run_url = self.client.run_url(stored.experiment_id, stored.run_id)
        self.report_url = f"{self.run_url}/artifacts/{stored.report}" if self.run_url else ""
        sentence = stored.found.recommendation.sentence
        context["ti"].xcom_push(key="recommendation", value=sentence)
        self.log.info("%s %s", stored.found.recommendation.headline, sentence)
        return stored.to_json()

    def spec(self) -> BacktestSpec:
        return BacktestSpec(
            metric=self.metric,
            cadences=[number(every, "cadence") for every in self.cadences] if self.cadences else None,
            max_age=None if self.max_age is None else number(self.max_age, "max_age"),
            margin=number(self.margin, "margin", float) if self.margin else None,
        )
