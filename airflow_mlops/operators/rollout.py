"""Analysis of a candidate that takes requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.names import check_name
from airflow_mlops.core.rollout import RolloutPolicy
from airflow_mlops.hooks.serving import ServingHook
from airflow_mlops.links import MlflowModelVersionLink
from airflow_mlops.operators.base import MlopsOperator, number
from airflow_mlops.steps.rollout import watch_rollout

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.clients.serving import ServingClient


class CanaryAnalysisOperator(MlopsOperator):
    """Watch a canary or shadow on a scoring server until it is accepted or taken back, and do that.

    The task is green whatever the verdict: it returns ``decision`` (``accept`` or ``take_back``), ``reason``, and every
    measure, and writes the sentence to the version's tag ``mlops.rollout``. It polls while it runs, so that requests
    are back with the champion as soon as a look says so. A server that is away is asked again.

    :param model: name of the registered model
    :param version: the candidate's; None for whichever is there
    :param policy: arguments of :class:`~airflow_mlops.core.rollout.RolloutPolicy`
    :param serving_conn_id: Airflow connection to the server
    :param poll_interval: seconds between two looks
    :param patience: seconds after which an undecided candidate is taken back
    :param alias: of the champion in the registry: an accepted candidate that it points at becomes the server's champion
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "model", "version", "policy", "serving_conn_id", "poll_interval", "patience", "alias",
    )  # fmt: skip
    template_fields_renderers = {"policy": "json"}
    operator_extra_links = (MlflowModelVersionLink(),)

    def __init__(
        self,
        *,
        model: str,
        version: int | str | None = None,
        policy: Mapping[str, Any] | None = None,
        serving_conn_id: str = "serving_default",
        poll_interval: float = 1.0,
        patience: float = 3600,
        alias: str = "champion",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.version = version
        self.policy = policy
        self.serving_conn_id = serving_conn_id
        self.poll_interval = poll_interval
        self.patience = patience
        self.alias = alias

    @cached_property
    def server(self) -> ServingClient:
        return ServingHook(self.serving_conn_id).client

    def run_step(self, context: Context) -> dict[str, Any]:
        name = check_name(self.model)
        outcome = watch_rollout(
            self.client.registry,
            self.server,
            name=name,
            version=None if self.version in (None, "", "None") else number(self.version, "version"),
            policy=RolloutPolicy.from_json(self.policy or {}),
            poll_interval=number(self.poll_interval, "poll_interval", float),
            patience=number(self.patience, "patience", float),
            alias=self.alias,
        )
        self.version_url = self.client.version_url(name, outcome.version)
        self.log.info("%s of model %s: %s", outcome.version, name, outcome.verdict.summary)
        return outcome.to_json()
