"""The sections that make and judge a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from airflow_mlops.core.projects.checks import (
    Section,
    history_policy,
    metric_name,
    task_name,
)
from airflow_mlops.core.validation.history import FreshnessPolicy, VolumePolicy
from airflow_mlops.core.validation.quarantine import SHARE


class SourceSection(Section):
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


class PrepareSection(Section):
    """The function that makes the training table of the sources' tables."""

    function: str
    arguments: dict[str, Any] = {}
    order_by: list[str] | None = None


class ValidationSection(Section):
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
    freshness: Annotated[bool | dict[str, Any], AfterValidator(history_policy(FreshnessPolicy))] = Field(
        False, description="Compare the newest event with earlier snapshots: true, or arguments of FreshnessPolicy"
    )
    volume: Annotated[bool | dict[str, Any], AfterValidator(history_policy(VolumePolicy))] = Field(
        False, description="Compare the number of rows with earlier snapshots: true, or arguments of VolumePolicy"
    )


class TrainingSection(Section):
    """The estimator and what it gets; arguments of TrainModelOperator."""

    estimator: str
    parameters: dict[str, Any] = {}
    task: Annotated[str, AfterValidator(task_name)] = "classification"
    target: str
    features: list[str] | None = None
    exclude: list[str] = []
    seed: int = 0
    trusted: list[str] = Field([], description="Importable classes of your own that the model file may hold")


class EvaluationSection(Section):
    """How candidate, champion and baseline are compared."""

    metric: Annotated[str, AfterValidator(metric_name)]
    secondary: list[Annotated[str, AfterValidator(metric_name)]] = Field([], description="Further metrics to compare")
    clusters: str | None = Field(None, description="Column whose values are resampled whole, such as the day")
    baseline: list[str] = Field([], description="Columns of the simple baseline: the shrunken mean of each group")


class BacktestSection(Section):
    """What the backtest asks of the models of the past; periods are those of the schedule."""

    cadences: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, description="How often to retrain, in periods, such as 1, 3 and 6 months", min_length=1
    )
    max_age: int | None = Field(default=None, ge=0, description="Oldest models to ask, in periods")
    margin: float | None = Field(default=None, gt=0, description="Smallest gain of the metric that would matter")
