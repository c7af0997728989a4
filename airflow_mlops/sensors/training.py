"""Wait for a training that was started elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_mlops.core.polling import AwaitedRun, Poll
from airflow_mlops.exceptions import MlopsError
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.links import MlflowRunLink
from airflow_mlops.triggers.training import MLflowRunTrigger, look

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.tracking import Mlflow


class MLflowRunSensor(BaseSensorOperator):
    """Wait until an MLflow run that was started elsewhere has finished.

    Returns ``run_id``, ``status``, ``model_ids`` and ``url``. A run that failed or was killed fails the task, without
    a retry; while MLflow is away the sensor waits on. ``timeout`` and ``poke_interval`` hold in both modes,
    ``exponential_backoff`` in a worker only.

    :param run_id: the run
    :param experiment: or the name of an experiment; it need not be there yet
    :param tags: with ``experiment``: the newest run that carries these tags is waited for, so choose tags that no
        earlier run has
    :param mlflow_conn_id: Airflow connection to MLflow
    :param deferrable: wait in the triggerer, without a worker's slot; else as ``[operators] default_deferrable`` says
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "run_id", "experiment", "tags")
    template_fields_renderers = {"tags": "json"}
    operator_extra_links = (MlflowRunLink(),)
    ui_color = "#e4f2ef"

    def __init__(
        self,
        *,
        run_id: str | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        mlflow_conn_id: str = "mlflow_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.experiment = experiment
        self.tags = tags
        self.mlflow_conn_id = mlflow_conn_id
        self.deferrable = deferrable

    def poke(self, context: Context) -> PokeReturnValue:
        """One look, in this process; a deferrable sensor leaves the others to the triggerer."""
        try:
            poll = look(self.client, self.awaited)
        except MlopsError as error:
            raise AirflowFailException(str(error)) from error
        outcome = self._told(poll)
        if self.deferrable and not outcome.is_done:
            self.defer(
                trigger=MLflowRunTrigger(
                    mlflow_conn_id=self.mlflow_conn_id,
                    run_id=self.awaited.run_id,
                    experiment=self.awaited.experiment,
                    tags=dict(self.awaited.tags),
                    poke_interval=self.poke_interval,
                    deadline=time.time() + self.timeout,
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout),
            )
        return outcome

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        return self._told(Poll.from_json(event)).xcom_value

    def _told(self, poll: Poll) -> PokeReturnValue:
        """What a look means to Airflow."""
        self.log.info(poll.reason)
        self.run_url = (poll.found or {}).get("url", "")
        if poll.state == "failed":
            raise AirflowFailException(poll.reason)
        if poll.state == "timeout":
            raise AirflowSensorTimeout(poll.reason)
        return PokeReturnValue(poll.state == "done", dict(poll.found) if poll.found else None)

    @cached_property
    def awaited(self) -> AwaitedRun:
        return AwaitedRun(self.run_id, self.experiment, dict(self.tags or {}))

    @cached_property
    def client(self) -> Mlflow:
        return MlflowHook(self.mlflow_conn_id).client
