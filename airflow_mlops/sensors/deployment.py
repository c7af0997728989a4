"""Wait for what a target serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.polling import AwaitedEndpoint, Poll
from airflow_mlops.hooks.deployment import find_target
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.sensors.base import PollingSensor
from airflow_mlops.triggers.deployment import EndpointTrigger, look

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.deployment import Target
    from airflow_mlops.core.tracking import Mlflow


class EndpointHealthSensor(PollingSensor):
    """Wait until a target answers, is at rest, and serves the version that is meant.

    Returns ``name``, ``version``, ``digest`` and ``target``. A target that is away is waited for.

    :param target: as for ``DeployModelOperator``
    :param model: ``models:/NAME@champion`` (what the alias points at, looked up each time), ``models:/NAME/3``, or a
        name alone: any version of that model
    :param mlflow_conn_id: Airflow connection to MLflow, for what an alias means
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "target", "model")
    template_fields_renderers = {"target": "json"}

    def __init__(
        self,
        *,
        target: str | Mapping[str, Any],
        model: str,
        mlflow_conn_id: str = "mlflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.model = model
        self.mlflow_conn_id = mlflow_conn_id

    def look(self, context: Context) -> Poll:
        return look(*self._sides, self.awaited)

    def trigger(self, *, poke_interval: float, deadline: float) -> EndpointTrigger:
        return EndpointTrigger(
            awaited=self.awaited.to_json(),
            target=self.target,
            mlflow_conn_id=self.mlflow_conn_id,
            poke_interval=poke_interval,
            deadline=deadline,
        )

    @cached_property
    def awaited(self) -> AwaitedEndpoint:
        return AwaitedEndpoint.of(self.model)

    @cached_property
    def _sides(self) -> tuple[Target, Mlflow | None]:
        return find_target(self.target), MlflowHook(self.mlflow_conn_id).client if self.awaited.alias else None
