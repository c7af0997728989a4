"""One model's project file."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from airflow_mlops.core.evaluation.measures import METRICS
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.names import check_name
from airflow_mlops.core.projects.checks import (
    CRON,
    Section,
    gate_policy,
    timezone_name,
    training_window,
)
from airflow_mlops.core.projects.production import DeploymentSection, DriftSection, ScoringSection
from airflow_mlops.core.projects.training import (
    BacktestSection,
    EvaluationSection,
    PrepareSection,
    SourceSection,
    TrainingSection,
    ValidationSection,
)
from airflow_mlops.exceptions import ConfigurationError


class Project(Section):
    """One model's project file."""

    name: Annotated[str, AfterValidator(lambda name: check_name(name, "project"))]
    description: str = ""
    owner: str = "airflow"
    schedule: str = Field(pattern=CRON, description="Cron expression of the data intervals, such as 0 0 1 * *")
    timezone: Annotated[str, AfterValidator(timezone_name)] = Field("UTC", description="Of the schedule")
    start: date = Field(date(2025, 1, 1), description="First day that Airflow may schedule")
    window: Annotated[dict[str, Any], AfterValidator(training_window)] = Field(
        description="Arguments of TrainingWindow"
    )
    sources: dict[str, SourceSection] = Field(min_length=1)
    prepare: PrepareSection
    validation: ValidationSection
    training: TrainingSection
    evaluation: EvaluationSection
    gate: Annotated[dict[str, Any], AfterValidator(gate_policy)] = Field(description="Arguments of GatePolicy")
    promote_backfills: Literal["never", "if_newer"] = Field(
        "never", description="Whether a backfill may register and promote a model newer than every approved version"
    )
    backtest: BacktestSection = BacktestSection()
    drift: DriftSection = DriftSection()
    scoring: ScoringSection | None = Field(default=None, description="Batch scoring; none if left out")
    deployment: DeploymentSection | None = Field(default=None, description="Left out: nothing is deployed")

    @model_validator(mode="after")
    def _gate_reads_what_is_measured(self) -> Project:
        policy, compared = GatePolicy.from_json(self.gate), {self.evaluation.metric, *self.evaluation.secondary}
        if policy.metric != self.evaluation.metric:
            raise ValueError(f"gate.metric {policy.metric} is not evaluation.metric {self.evaluation.metric}")
        if missing := sorted(set(policy.not_worse) - compared):
            raise ValueError(f"gate.not_worse names {', '.join(missing)}: add it to evaluation.secondary")
        unknown = sorted({*compared, *policy.at_least, *policy.at_most} - set(METRICS[self.training.task]))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no metric of a {self.training.task}")
        return self

    @model_validator(mode="after")
    def _corrections_have_a_time(self) -> Project:
        keyed = [name for name, source in self.sources.items() if source.key]
        if keyed and not self.window.get("knowledge_time"):
            raise ValueError(f"sources.{keyed[0]}.key: of its rows the last known counts: add window.knowledge_time")
        return self

    @property
    def look_alpha(self) -> float:
        """The error of one comparison, as the gate shares it over its looks."""
        return GatePolicy.from_json(self.gate).look_alpha

    @classmethod
    def parse(cls, data: Any, where: str) -> Project:
        """Read a project from plain data.

        :raises ConfigurationError: naming the file, the key and what is wrong with it
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ConfigurationError(f"Project file {where}: {key}: {first['msg']}.") from error
