"""Deployment of a registered version to what answers or scores with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowSkipException

from airflow_mlops.core.deployment import Told, told_versions
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.run_types import historical
from airflow_mlops.exceptions import NoConnection
from airflow_mlops.hooks.deployment import find_target
from airflow_mlops.links import EndpointLink, MlflowModelVersionLink
from airflow_mlops.operators.base import MlopsOperator, may_be_absent, number, run_type
from airflow_mlops.steps.deployment import Deployment, Request, deploy, plan
from airflow_mlops.triggers.deployment import EndpointTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.deployment import Target


class PlanDeploymentOperator(MlopsOperator):
    """Look whether a deployment has anything to do; where it has not, skip what comes after.

    Walks over all asset events that triggered the run, and then looks the alias up: what events tell is news, not an
    order. Returns ``version``, ``digest`` and ``reason``.

    :param model: as for :class:`DeployModelOperator`, and so are ``target`` and ``if_absent``
    """

    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "model", "target", "if_absent")
    template_fields_renderers: ClassVar[dict[str, str]] = {"target": "json"}
    operator_extra_links = (MlflowModelVersionLink(),)

    def __init__(self, *, model: str, target: str | Mapping[str, Any], if_absent: str = "fail", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.target = target
        self.if_absent = if_absent

    def run_step(self, context: Context) -> dict[str, Any]:
        ref = live_ref(self.model, context)
        target = present_target(self.target, self.if_absent)
        told = told_by(context, ref.name)
        if told.count:
            self.log.info(told.sentence(self.client.registry.alias(ref.name, ref.alias or "champion")))
        deployed, decision = plan(self.client, target, Request(ref))
        self.version_url = self.client.version_url(deployed.name, deployed.version)
        self.log.info("%s: %s", target.address, decision.reason)
        if decision.action == "keep":
            raise AirflowSkipException(decision.reason)
        return {**asdict(deployed), "reason": decision.reason, "told": list(told.versions)}


class DeployModelOperator(MlopsOperator):
    """Bring a version to a target and see that it is there; what is there already is left alone.

    Before and after, the alias is read anew: who comes late does no harm, and of several deployments at once whichever
    looks last leaves there what the alias says. Rolling back is the same, after the alias was moved. A version that is
    superseded, retracted or not approved is refused, without a retry. One that is not the champion any more, and a
    backfill, skip the task.

    Returns ``version``, ``digest``, ``mode``, ``changed``, ``previous`` and ``reason``. A trial without a champion
    that it could stand by, or of the champion itself, skips the task.

    :param model: ``models:/NAME@champion``, or ``models:/NAME/3``
    :param target: ``serving://conn_id`` (our server), a folder at any URI (numbered versions), ``sagemaker://endpoint``,
        ``mlflow-deployments:target``; or a mapping with ``uri`` and the options of its kind, see docs/deployment.md
    :param mode: ``champion``, ``canary`` or ``shadow``
    :param share: of the requests that a canary or shadow sees
    :param force: deploy this very version, whatever alias, approval and retraction say
    :param if_absent: ``fail``, or ``skip`` the task where the target's Airflow connection does not exist
    :param patience: seconds to wait for a target that is busy
    :param deferrable: wait in the triggerer; else as ``[operators] default_deferrable`` says
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "model", "target", "mode", "share", "force", "if_absent", "patience",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"target": "json"}
    operator_extra_links = (EndpointLink(), MlflowModelVersionLink())

    def __init__(
        self,
        *,
        model: str,
        target: str | Mapping[str, Any],
        mode: str = "champion",
        share: float = 0.1,
        force: bool = False,
        if_absent: str = "fail",
        patience: float = 1800,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.target = target
        self.mode = mode
        self.share = share
        self.force = force
        self.if_absent = if_absent
        self.patience = patience
        self.deferrable = deferrable

    def run_step(self, context: Context) -> dict[str, Any]:
        ref = live_ref(self.model, context)
        target = present_target(self.target, self.if_absent)
        request = Request(ref, self.mode, number(self.share, "share", float), _flag(self.force))  # type: ignore[arg-type]
        patience = number(self.patience, "patience", float)
        outcome = deploy(self.client, target, request, patience=patience, wait=not self.deferrable)
        self.log.info("%s: %s", outcome.target, outcome.reason)
        self.endpoint_url = outcome.target if outcome.target.startswith("http") else ""
        self.version_url = self.client.version_url(outcome.name, outcome.version)
        if not outcome.settled:
            self._wait(outcome, patience)
        if not outcome.holds:
            raise AirflowSkipException(outcome.reason)
        return outcome.to_json()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """The target is at rest: the same again, which finds there what it sent, or says why not."""
        return self.execute(context)

    def _wait(self, outcome: Deployment, patience: float) -> None:
        self.defer(
            trigger=EndpointTrigger(
                awaited={"model": outcome.name, "at_rest": True},
                target=self.target,
                poke_interval=10.0,
                deadline=time.time() + patience,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=patience + 60),
        )


def live_ref(model: str, context: Context) -> ModelRef:
    """The reference, unless the run is about the past."""
    ref = ModelRef.parse(model)
    if historical(run_type(context)):
        raise AirflowSkipException(f"Model {ref.name}: a backfill deploys nothing.")
    return ref


def present_target(value: str | Mapping[str, Any], if_absent: str) -> Target:
    """The target, or a skipped task where its connection is not there and that is no mistake."""
    with may_be_absent(NoConnection, if_absent):
        return find_target(value)


def told_by(context: Context, name: str) -> Told:
    """What the asset events that triggered this run told of a model."""
    events: Any = context.get("triggering_asset_events") or {}
    # An event that came through an alias stands there twice, under the asset and under the alias.
    each = {id(event): event for found in events.values() for event in found}
    return told_versions((event.extra for event in each.values()), name)


def _flag(value: Any) -> bool:
    """A yes or no that came through a template, and so may be text."""
    return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "1", "yes")
