"""Wait for a training that was started elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.polling import AwaitedRun, Poll
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.links import MlflowRunLink
from airflow_mlops.sensors.base import PollingSensor
from airflow_mlops.triggers.training import MLflowRunTrigger, look

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.tracking import Mlflow


class MLflowRunSensor(PollingSensor):
    """Wait until an MLflow run that was started elsewhere has finished.

    Returns ``run_id``, ``status``, ``model_ids`` and ``url``. A run that failed or was killed fails the task, without
    a retry; while MLflow is away the sensor waits on.

    :param run_id: the run
    :param experiment: or the name of an experiment; it need not be there yet
    :param tags: with ``experiment``: the newest run that carries these tags is waited for, so choose tags that no
        earlier run has
    :param mlflow_conn_id: Airflow connection to MLflow
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "run_id", "experiment", "tags")
    template_fields_renderers = {"tags": "json"}
    operator_extra_links = (MlflowRunLink(),)

    def __init__(
        self,
        *,
        run_id: str | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        mlflow_conn_id: str = "mlflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.experiment = experiment
        self.tags = tags
        self.mlflow_conn_id = mlflow_conn_id

    def look(self, context: Context) -> Poll:
        return look(self.client, self.awaited)

    def trigger(self, *, poke_interval: float, deadline: float) -> MLflowRunTrigger:
        return MLflowRunTrigger(
            mlflow_conn_id=self.mlflow_conn_id,
            run_id=self.awaited.run_id,
            experiment=self.awaited.experiment,
            tags=dict(self.awaited.tags),
            poke_interval=poke_interval,
            deadline=deadline,
        )

    @cached_property
    def awaited(self) -> AwaitedRun:
        return AwaitedRun(self.run_id, self.experiment, dict(self.tags or {}))

    @cached_property
    def client(self) -> Mlflow:
        return MlflowHook(self.mlflow_conn_id).client
