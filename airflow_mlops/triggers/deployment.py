"""Wait for what a target serves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_mlops.core.deployment import Target
from airflow_mlops.core.polling import AwaitedEndpoint, Poll, judge_endpoint
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.hooks.deployment import find_target
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.triggers.base import PollingTrigger


class EndpointTrigger(PollingTrigger):
    """Looks at a target until it serves what is waited for or time is up.

    :param awaited: arguments of :class:`~airflow_mlops.core.polling.AwaitedEndpoint`
    :param target: as for ``DeployModelOperator``; it names a connection, and holds no credentials
    :param mlflow_conn_id: Airflow connection to MLflow, for what an alias means
    """

    arguments: ClassVar[tuple[str, ...]] = ("awaited", "target", "mlflow_conn_id")

    def __init__(
        self,
        *,
        awaited: Mapping[str, Any],
        target: str | Mapping[str, Any],
        mlflow_conn_id: str = "mlflow_default",
        **wait: Any,
    ) -> None:
        super().__init__(**wait)
        self.awaited = awaited
        self.target = target
        self.mlflow_conn_id = mlflow_conn_id
        self._sides: tuple[Target, Mlflow | None] | None = None

    def look(self) -> Poll:
        awaited = AwaitedEndpoint(**self.awaited)
        # Connections are read in this thread: the event loop is that of every other trigger.
        if self._sides is None:
            self._sides = find_target(self.target), MlflowHook(self.mlflow_conn_id).client if awaited.alias else None
        return look(*self._sides, awaited)

    async def cleanup(self) -> None:
        for side in self._sides or ():
            if side is not None:
                await asyncio.to_thread(side.close)


def look(target: Target, client: Mlflow | None, awaited: AwaitedEndpoint) -> Poll:
    """One look at the target, and at the alias if there is one."""
    wanted = awaited.version
    if awaited.alias and client:
        wanted = client.registry.alias(awaited.model, awaited.alias)
    return judge_endpoint(target.standing(awaited.model), wanted, awaited, target.address)
