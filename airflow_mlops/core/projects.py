"""A project file: everything that the reference DAGs need to know of one model."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from airflow_mlops.core.drift.policy import DriftPolicy
from airflow_mlops.core.evaluation import higher_is_better
from airflow_mlops.core.evaluation.measures import METRICS
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.rollout import RolloutPolicy
from airflow_mlops.core.smoke import SmokeBudget
from airflow_mlops.core.validation.history import FreshnessPolicy, HistoryPolicy, VolumePolicy
from airflow_mlops.core.validation.quarantine import SHARE
from airflow_mlops.core.windows import TrainingWindow
from airflow_mlops.exceptions import ConfigurationError

#: Five fields, or one of the words for them.
_CRON = r"^(@(hourly|daily|weekly|monthly|quarterly|yearly)|\S+( +\S+){4})$"


def _policy(value: dict[str, Any]) -> dict[str, Any]:
    GatePolicy.from_json(value)
    return value


def _drift(value: dict[str, Any]) -> dict[str, Any]:
    DriftPolicy.from_json(value)
    return value


def _rollout(value: dict[str, Any]) -> dict[str, Any]:
    RolloutPolicy.from_json(value)
    return value


def _smoke(value: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        SmokeBudget(**(value or {}))
    except TypeError as error:
        raise ValueError(f"it knows {', '.join(SmokeBudget.__dataclass_fields__)}") from error
    return value


def _last(value: str) -> str:
    if not re.fullmatch(r"([2-9]|[1-9]\d{1,4})[hdw]", value):
        raise ValueError(f"{value!r} is not a span of two days, hours or weeks and more: write 28d or 48h")
    return value


def _span(value: str) -> str:
    if not re.fullmatch(r"\d{1,5}[hdw]", value):
        raise ValueError(f"{value!r} is not a span of time: write 1d or 6h")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{value!r} is unknown: use a name such as Europe/Paris") from error
    return value


def _window(value: dict[str, Any]) -> dict[str, Any]:
    TrainingWindow.from_json(value)
    return value


def _history(policy: type[HistoryPolicy]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        policy.parse(value)
        return value

    return check


def _metric(value: str) -> str:
    higher_is_better(value)
    return value


def _task(value: str) -> str:
    if value not in METRICS:
        raise ValueError(f"{value!r} is not one of {', '.join(METRICS)}")
    return value


class _Section(BaseModel):
    """Unknown keys are errors: a misspelt threshold must not be a missing one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSection(_Section):
    """Where one snapshot comes from: exactly one of files, delta, iceberg, sql and callable."""

    files: str | None = Field(None, description="Parquet, CSV or JSON lines: a file, folder or glob, local or at a URI")
    format: Literal["parquet", "csv", "jsonl"] | None = Field(None, description="Of the files, if names do not tell")
    types: dict[str, str] = Field({}, description="Arrow's types of columns of files, such as zip: string")
    columns: list[str] = Field([], description="Columns of the files to take; they may have others then")
    prune: list[str] = Field([], description="Folders that hold the day of event_time, or its year, month and day")
    delta: str | None = Field(None, description="Delta table, local or at a URI: its version of the as-of is pinned")
    iceberg: str | None = Field(None, description="Iceberg table in a catalog: its snapshot of the as-of is pinned")
    catalog: str | None = Field(None, description="Catalog of the Iceberg table, by PyIceberg's configuration")
    sql: str | None = Field(None, description="Query; may use :start, :end and :as_of")
    conn_id: str | None = Field(None, description="Airflow connection of the query")
    callable: str | None = Field(None, description="Import path of a function of start, end and as_of")
    kwargs: dict[str, Any] = Field({}, description="Further arguments of the callable")
    order_by: list[str] = Field([], description="Columns that put the rows in order (sql, callable)")
    event_time: str | None = Field(None, description="Column with the time of each row")
    key: list[str] = Field([], description="Of the rows that share these columns the one that became known last counts")
    min_rows: int = Field(1, ge=1, description="Fewer rows than this skip the date with a reason")

    def source(self) -> dict[str, Any]:
        """The argument of IngestSnapshotOperator."""
        keys = (
            "files", "format", "types", "columns", "prune", "delta", "iceberg", "catalog", "sql", "conn_id", "callable",
            "kwargs", "order_by",
        )  # fmt: skip
        return {key: getattr(self, key) for key in keys if getattr(self, key)}

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSection:
        if sum(kind is not None for kind in (self.files, self.delta, self.iceberg, self.sql, self.callable)) != 1:
            raise ValueError("name exactly one of files, delta, iceberg, sql and callable")
        return self


class PrepareSection(_Section):
    """The function that makes the training table of the sources' tables."""

    function: str
    arguments: dict[str, Any] = {}
    order_by: list[str] | None = None


class ValidationSection(_Section):
    """The expectation suite of the training table."""

    suite: str = Field(description="File of the suite, relative to the project file")
    min_rows: int = Field(1, ge=1)
    sensitive: list[str] = Field([], description="Columns whose values no report may show")
    engine: Literal["auto", "pandas", "sql", "spark"] = Field(
        "auto", description="The verdict is the same; auto goes by size"
    )
    max_quarantined: float = Field(
        SHARE, ge=0, le=1, description="Largest share of the rows that severity quarantine may split off; more block"
    )
    freshness: Annotated[bool | dict[str, Any], AfterValidator(_history(FreshnessPolicy))] = Field(
        False, description="Compare the newest event with earlier snapshots: true, or arguments of FreshnessPolicy"
    )
    volume: Annotated[bool | dict[str, Any], AfterValidator(_history(VolumePolicy))] = Field(
        False, description="Compare the number of rows with earlier snapshots: true, or arguments of VolumePolicy"
    )


class TrainingSection(_Section):
    """The estimator and what it gets; arguments of TrainModelOperator."""

    estimator: str
    parameters: dict[str, Any] = {}
    task: Annotated[str, AfterValidator(_task)] = "classification"
    target: str
    features: list[str] | None = None
    exclude: list[str] = []
    seed: int = 0
    trusted: list[str] = Field([], description="Importable classes of your own that the model file may hold")


class EvaluationSection(_Section):
    """How candidate, champion and baseline are compared."""

    metric: Annotated[str, AfterValidator(_metric)]
    secondary: list[Annotated[str, AfterValidator(_metric)]] = Field([], description="Further metrics to compare")
    clusters: str | None = Field(None, description="Column whose values are resampled whole, such as the day")
    baseline: list[str] = Field([], description="Columns of the simple baseline: the shrunken mean of each group")


class BacktestSection(_Section):
    """What the backtest asks of the models of the past; periods are those of the schedule."""

    cadences: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, description="How often to retrain, in periods, such as 1, 3 and 6 months", min_length=1
    )
    max_age: int | None = Field(default=None, ge=0, description="Oldest models to ask, in periods")
    margin: float | None = Field(default=None, gt=0, description="Smallest gain of the metric that would matter")


class DriftSection(_Section):
    """What the drift check compares with the rows that the champion was trained on."""

    schedule: str = Field(default="0 6 * * 1", pattern=_CRON, description="Cron expression of the checks")
    last: Annotated[str, AfterValidator(_last)] = Field(
        default="28d", description="Rows of so long before each check: 28d"
    )
    policy: Annotated[dict[str, Any], AfterValidator(_drift)] = Field(
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


class ScoringSection(_Section):
    """What the batch scoring does with the rows of each of its intervals; arguments of BatchScoreOperator."""

    schedule: str = Field(default="0 0 * * *", pattern=_CRON, description="Cron expression of the intervals")
    alias: Annotated[str, AfterValidator(check_alias)] = Field(default="champion", description="Of the version to ask")
    before: Annotated[str, AfterValidator(_span)] = Field(
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


class CanarySection(_Section):
    """A trial of a new champion on a part of the requests, before it answers all of them."""

    share: float = Field(default=0.1, gt=0, lt=1, description="Of the requests")
    patience: float = Field(default=3600, gt=0, description="Seconds after which an undecided canary is taken back")
    policy: Annotated[dict[str, Any], AfterValidator(_rollout)] = Field(
        default={}, description="Arguments of RolloutPolicy"
    )


class DeploymentSection(_Section):
    """Where the champion goes."""

    target: str | dict[str, Any] = Field(description="Such as serving://serving_default; with options: {uri: …, …}")
    if_absent: Literal["fail", "skip"] = Field(
        default="fail", description="What to do where the target's Airflow connection does not exist"
    )
    smoke_test: Annotated[dict[str, Any] | None, AfterValidator(_smoke)] = Field(
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


class Project(_Section):
    """One model's project file."""

    name: Annotated[str, AfterValidator(lambda name: check_name(name, "project"))]
    description: str = ""
    owner: str = "airflow"
    schedule: str = Field(pattern=_CRON, description="Cron expression of the data intervals, such as 0 0 1 * *")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field("UTC", description="Of the schedule")
    start: date = Field(date(2025, 1, 1), description="First day that Airflow may schedule")
    window: Annotated[dict[str, Any], AfterValidator(_window)] = Field(description="Arguments of TrainingWindow")
    sources: dict[str, SourceSection] = Field(min_length=1)
    prepare: PrepareSection
    validation: ValidationSection
    training: TrainingSection
    evaluation: EvaluationSection
    gate: Annotated[dict[str, Any], AfterValidator(_policy)] = Field(description="Arguments of GatePolicy")
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
