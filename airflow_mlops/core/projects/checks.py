"""What may stand at a key: each check returns the value, or says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict

from airflow_mlops.core.drift.policy import DriftPolicy
from airflow_mlops.core.evaluation import higher_is_better
from airflow_mlops.core.evaluation.measures import METRICS
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.rollout import RolloutPolicy
from airflow_mlops.core.smoke import SmokeBudget
from airflow_mlops.core.validation.history import HistoryPolicy
from airflow_mlops.core.windows import TrainingWindow

#: Five fields, or one of the words for them.
CRON = r"^(@(hourly|daily|weekly|monthly|quarterly|yearly)|\S+( +\S+){4})$"


def gate_policy(value: dict[str, Any]) -> dict[str, Any]:
    GatePolicy.from_json(value)
    return value


def drift_policy(value: dict[str, Any]) -> dict[str, Any]:
    DriftPolicy.from_json(value)
    return value


def rollout_policy(value: dict[str, Any]) -> dict[str, Any]:
    RolloutPolicy.from_json(value)
    return value


def smoke_budget(value: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        SmokeBudget(**(value or {}))
    except TypeError as error:
        raise ValueError(f"it knows {', '.join(SmokeBudget.__dataclass_fields__)}") from error
    return value


def long_span(value: str) -> str:
    if not re.fullmatch(r"([2-9]|[1-9]\d{1,4})[hdw]", value):
        raise ValueError(f"{value!r} is not a span of two days, hours or weeks and more: write 28d or 48h")
    return value


def span(value: str) -> str:
    if not re.fullmatch(r"\d{1,5}[hdw]", value):
        raise ValueError(f"{value!r} is not a span of time: write 1d or 6h")
    return value


def timezone_name(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{value!r} is unknown: use a name such as Europe/Paris") from error
    return value


def training_window(value: dict[str, Any]) -> dict[str, Any]:
    TrainingWindow.from_json(value)
    return value


def history_policy(policy: type[HistoryPolicy]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        policy.parse(value)
        return value

    return check


def metric_name(value: str) -> str:
    higher_is_better(value)
    return value


def task_name(value: str) -> str:
    if value not in METRICS:
        raise ValueError(f"{value!r} is not one of {', '.join(METRICS)}")
    return value


class Section(BaseModel):
    """Unknown keys are errors: a misspelt threshold must not be a missing one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
