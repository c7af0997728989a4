"""The sections of a model that answers: drift, scoring, deployment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from airflow_mlops.core.names import check_alias
from airflow_mlops.core.projects.checks import (
    CRON,
    Section,
    drift_policy,
    long_span,
    rollout_policy,
    smoke_budget,
    span,
)


class DriftSection(Section):
    """What the drift check compares with the rows that the champion was trained on."""

    schedule: str = Field(default="0 6 * * 1", pattern=CRON, description="Cron expression of the checks")
    last: Annotated[str, AfterValidator(long_span)] = Field(
        default="28d", description="Rows of so long before each check: 28d"
    )
    policy: Annotated[dict[str, Any], AfterValidator(drift_policy)] = Field(
        default={}, description="Arguments of DriftPolicy"
    )
    columns: list[str] | None = Field(default=None, description="Columns to compare; the features if left out")
    clusters: str | None = Field(
        default=None, description="Column that says which rows belong together, such as the day"
    )

    def window(self, timezone: str) -> dict[str, str]:
        """The rows before a check, as a window whose last hour or day counts as its test.

        >>> DriftSection(last="28d").window("UTC")
        {'lookback': '27d', 'test': '1d', 'timezone': 'UTC'}
        """
        count, unit = int(self.last[:-1]), self.last[-1]
        return {"lookback": f"{count - 1}{unit}", "test": f"1{unit}", "timezone": timezone}


class ScoringSection(Section):
    """What the batch scoring does with the rows of each of its intervals; arguments of BatchScoreOperator."""

    schedule: str = Field(default="0 0 * * *", pattern=CRON, description="Cron expression of the intervals")
    alias: Annotated[str, AfterValidator(check_alias)] = Field(default="champion", description="Of the version to ask")
    before: Annotated[str, AfterValidator(span)] = Field(
        default="0h", description="Rows of so long before the interval are read too, and not scored: 1d"
    )
    keys: list[str] | dict[str, str] = Field(
        default=[],
        description="Columns to pass through to the result; or what each is called there",
    )
    log_inputs: bool = Field(default=True, description="Whether the result holds the model's inputs too")
    hidden: list[str] = Field(default=[], description="Inputs to leave out, beside the sensitive ones")
    hashed: list[str] = Field(default=[], description="Inputs and keys of which a keyed hash is kept")
    hash_conn_id: str | None = Field(default=None, description="Airflow connection whose password is the hashes' key")

    def arguments(self) -> dict[str, Any]:
        """Those of the operator that stand for themselves."""
        return self.model_dump(include={"keys", "log_inputs", "hidden", "hashed", "hash_conn_id"})


class CanarySection(Section):
    """A trial of a new champion on a part of the requests, before it answers all of them."""

    share: float = Field(default=0.1, gt=0, lt=1, description="Of the requests")
    patience: float = Field(default=3600, gt=0, description="Seconds after which an undecided canary is taken back")
    policy: Annotated[dict[str, Any], AfterValidator(rollout_policy)] = Field(
        default={}, description="Arguments of RolloutPolicy"
    )


class DeploymentSection(Section):
    """Where the champion goes."""

    target: str | dict[str, Any] = Field(description="Such as serving://serving_default; with options: {uri: …, …}")
    if_absent: Literal["fail", "skip"] = Field(
        default="fail", description="What to do where the target's Airflow connection does not exist"
    )
    smoke_test: Annotated[dict[str, Any] | None, AfterValidator(smoke_budget)] = Field(
        default={}, description="Arguments of SmokeBudget, such as latency_ms; null for no smoke test"
    )
    canary: CanarySection | None = Field(default=None, description="Left out: the champion answers at once")

    @model_validator(mode="after")
    def _canary_at_a_server(self) -> DeploymentSection:
        if self.canary and not self.serving_conn_id:
            raise ValueError("canary: only a target serving://conn_id shares requests out")
        return self

    @property
    def serving_conn_id(self) -> str:
        """The connection of our server; empty for another target."""
        uri = self.target if isinstance(self.target, str) else str(self.target.get("uri", ""))
        return uri.removeprefix("serving://") if uri.startswith("serving://") else ""
