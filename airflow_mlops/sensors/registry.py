"""Wait for what enters the registry, whoever registers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.polling import AwaitedAlias, AwaitedVersion, Poll
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.sensors.base import PollingSensor
from airflow_mlops.triggers.registry import ModelAliasTrigger, ModelVersionTrigger, look

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.tracking import Mlflow


class ModelVersionSensor(PollingSensor):
    """Wait until a model has a version above another, ready and with some tags.

    Returns ``name``, ``version`` (the newest) and all new ``versions``. A model that is not there yet, and MLflow while
    it is away, are waited for.

    :param model: the registered model
    :param since: versions above this one are new
    :param tags: that the versions carry
    :param mlflow_conn_id: Airflow connection to MLflow
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "model", "since", "tags")
    template_fields_renderers = {"tags": "json"}

    def __init__(
        self,
        *,
        model: str,
        since: int | str = 0,
        tags: Mapping[str, str] | None = None,
        mlflow_conn_id: str = "mlflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.since = since
        self.tags = tags
        self.mlflow_conn_id = mlflow_conn_id

    def look(self, context: Context) -> Poll:
        return look(self.client, self.awaited)

    def trigger(self, *, poke_interval: float, deadline: float) -> ModelVersionTrigger:
        return ModelVersionTrigger(
            awaited=self.awaited.to_json(),
            mlflow_conn_id=self.mlflow_conn_id,
            poke_interval=poke_interval,
            deadline=deadline,
        )

    @cached_property
    def awaited(self) -> AwaitedVersion:
        return AwaitedVersion(self.model, _number(self.since, "since") or 0, dict(self.tags or {}))

    @cached_property
    def client(self) -> Mlflow:
        return MlflowHook(self.mlflow_conn_id).client


class ModelAliasSensor(PollingSensor):
    """Wait until an alias of a model points at a version.

    Returns ``name``, ``alias`` and ``version``. A model or alias that is not there yet, and MLflow while it is away,
    are waited for.

    :param model: the registered model
    :param alias: its alias
    :param version: the version that it is to point at; None for any
    :param other_than: or any but this one, such as the version of an earlier run
    :param mlflow_conn_id: Airflow connection to MLflow
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "model", "alias", "version", "other_than")

    def __init__(
        self,
        *,
        model: str,
        alias: str = "champion",
        version: int | str | None = None,
        other_than: int | str | None = None,
        mlflow_conn_id: str = "mlflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.alias = alias
        self.version = version
        self.other_than = other_than
        self.mlflow_conn_id = mlflow_conn_id

    def look(self, context: Context) -> Poll:
        return look(self.client, self.awaited)

    def trigger(self, *, poke_interval: float, deadline: float) -> ModelAliasTrigger:
        return ModelAliasTrigger(
            awaited=self.awaited.to_json(),
            mlflow_conn_id=self.mlflow_conn_id,
            poke_interval=poke_interval,
            deadline=deadline,
        )

    @cached_property
    def awaited(self) -> AwaitedAlias:
        return AwaitedAlias(
            self.model, self.alias, _number(self.version, "version"), _number(self.other_than, "other_than")
        )

    @cached_property
    def client(self) -> Mlflow:
        return MlflowHook(self.mlflow_conn_id).client


def _number(value: Any, what: str) -> int | None:
    """Nothing, once rendered, is the word None."""
    try:
        return None if value in (None, "", "None") else int(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} {value!r} is not the number of a version.") from error
