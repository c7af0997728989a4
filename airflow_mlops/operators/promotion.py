"""Promotion of a registered version to champion, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_mlops.core.run_types import historical
from airflow_mlops.links import MlflowModelVersionLink
from airflow_mlops.operators.base import MlopsOperator, dag_run_url, output_of, run_type, task_url
from airflow_mlops.steps.promotion import Promotion, Rollback, promote, rollback

if TYPE_CHECKING:
    from airflow.sdk import Context


class PromoteModelOperator(MlopsOperator):
    """Approve a version, point the champion alias at the newest approved one, and write the ledger.

    When the version is champion at the end, and the run is no backfill, an event is sent for the asset
    ``mlflow://<model>/<alias>`` through every ``AssetAlias`` among the task's ``outlets``. A retry sends it again:
    who listens looks the alias up, and does nothing twice.

    :param version: output of a registration task
    :param alias: alias of the champion
    :param reason: why, for the ledger; None for the gate's verdict
    """

    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "version", "alias", "reason")
    operator_extra_links = (MlflowModelVersionLink(),)

    def __init__(
        self, *, version: Mapping[str, Any], alias: str = "champion", reason: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.alias = alias
        self.reason = reason

    def run_step(self, context: Context) -> dict[str, Any]:
        name, number, model_id, verdict = output_of("registration", _facts, self.version)
        self.version_url = self.client.version_url(name, number)
        outcome = promote(
            self.client.registry,
            name=name,
            version=number,
            alias=self.alias,
            reason=self.reason or verdict,
            actor=dag_run_url(context),
            evidence={"model_id": model_id},
        )
        self.log.info("Version %s of model %s is its %s", outcome.champion, name, self.alias)
        if outcome.promoted:
            tell_listeners(self, context, outcome)
        return outcome.to_json()


class RollbackModelOperator(MlopsOperator):
    """Take a model back: retract every approved version above the one named, and reconcile the alias.

    A retry, or the task cleared later, is known by the task's URL: it finishes what was begun, and retracts nothing
    more. Listeners are told of the champion as :class:`PromoteModelOperator` tells them.

    :param model: name of the registered model
    :param reason: why, for the retracted versions and the ledger
    :param to: ``previous`` (the champion before this one), a version number, or an instant such as ``2026-11-01``
    :param alias: alias of the champion
    """

    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "model", "to", "reason", "alias")
    operator_extra_links = (MlflowModelVersionLink(),)

    def __init__(
        self, *, model: str, reason: str, to: int | str = "previous", alias: str = "champion", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.reason = reason
        self.to = to
        self.alias = alias

    def run_step(self, context: Context) -> dict[str, Any]:
        if historical(run_type(context)):
            raise AirflowSkipException(f"Model {self.model}: a backfill rolls nothing back.")
        outcome = rollback(
            self.client.registry,
            self.model,
            alias=self.alias,
            to=self.to,
            reason=self.reason,
            actor=dag_run_url(context),
            deed=task_url(context),
        )
        self.version_url = self.client.version_url(self.model, outcome.champion or outcome.version)
        self.log.info(
            "Version %s of model %s is its %s, retracted: %s",
            outcome.champion, self.model, self.alias, list(outcome.retracted),
        )  # fmt: skip
        if outcome.rolled_back:
            tell_listeners(self, context, outcome)
        return outcome.to_json()


def tell_listeners(task: BaseOperator, context: Context, outcome: Promotion | Rollback) -> None:
    """Send the event of the champion's asset through the task's asset aliases, unless in a backfill."""
    if historical(run_type(context)):
        return
    asset = Asset(name=f"{outcome.name}_{outcome.alias}", uri=f"mlflow://{outcome.name}/{outcome.alias}")
    for outlet in task.outlets:
        if isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(asset, extra=outcome.to_json())


def _facts(version: Mapping[str, Any]) -> tuple[str, int, str, str]:
    return version["name"], int(version["version"]), version["model_id"], version["verdict"]
