"""A version is tried before it may answer anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.names import check_name
from airflow_mlops.core.smoke import SmokeBudget
from airflow_mlops.exceptions import ConfigurationError, DeploymentError
from airflow_mlops.hooks.store import object_path
from airflow_mlops.links import MlflowModelVersionLink
from airflow_mlops.operators.base import MlopsOperator, number
from airflow_mlops.steps.smoke import smoke_test

if TYPE_CHECKING:
    from airflow.sdk import Context


class SmokeTestModelOperator(MlopsOperator):
    """Load a registered version in a clean process, and fail without a retry unless it may answer.

    It must load, take all that clients of the champion send, say of its golden rows what it said at training, and keep
    within its budget. Returns a :class:`~airflow_mlops.core.smoke.SmokeReport` as a dict, which a failing task leaves
    in XCom ``report``; the sentence goes to the version's tag ``mlops.smoke``.

    :param model: name of the registered model
    :param version: its number, an alias, or the output of a task that registers
    :param alias: of the version whose clients must not break
    :param trusted: importable classes of your own that the model file may hold
    :param predictions: where the logs of predictions lie, whose requests must fit too
    :param latency_ms: for one row
    :param memory_mb: that the model may take
    :param seconds: for all of it
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "model", "version", "alias", "trusted", "predictions", "latency_ms", "memory_mb", "seconds",
    )  # fmt: skip
    operator_extra_links = (MlflowModelVersionLink(),)

    def __init__(
        self,
        *,
        model: str,
        version: int | str | Mapping[str, Any],
        alias: str = "champion",
        trusted: list[str] | None = None,
        predictions: str | None = None,
        latency_ms: float = SmokeBudget.latency_ms,
        memory_mb: float = SmokeBudget.memory_mb,
        seconds: float = SmokeBudget.seconds,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.version = version
        self.alias = alias
        self.trusted = trusted
        self.predictions = predictions
        self.latency_ms = latency_ms
        self.memory_mb = memory_mb
        self.seconds = seconds

    def run_step(self, context: Context) -> dict[str, Any]:
        name = check_name(self.model)
        report = smoke_test(
            self.client,
            name=name,
            version=_version(self.version),
            alias=self.alias,
            trusted=self.trusted or [],
            log=object_path(self.predictions) if self.predictions else None,
            budget=SmokeBudget(
                number(self.latency_ms, "latency_ms", float),
                number(self.memory_mb, "memory_mb", float),
                number(self.seconds, "seconds", float),
            ),
        )
        self.version_url = self.client.version_url(name, report.version)
        context["ti"].xcom_push(key="report", value=report.to_json())
        self.log.info(report.summary)
        if not report.passed:
            raise DeploymentError(report.summary)
        return report.to_json()


def _version(value: Any) -> int | str:
    found = value.get("version") if isinstance(value, Mapping) else value
    if isinstance(found, bool) or not isinstance(found, int | str) or not str(found):
        raise ConfigurationError(f"{str(value)[:80]!r} names no version: give a number, an alias, or a registration.")
    return found
