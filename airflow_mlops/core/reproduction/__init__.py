"""Whether a model can be made again from its record, and what a record becomes when parts of it are overridden."""

from airflow_mlops.core.reproduction.environment import DECISIVE, PackageChange, environment_changes
from airflow_mlops.core.reproduction.overrides import Overrides, window_of
from airflow_mlops.core.reproduction.verdict import (
    EXACT,
    MetricPair,
    PredictionDifference,
    Reproduction,
    compare_code,
    compare_metrics,
    compare_predictions,
)

__all__ = [
    "DECISIVE",
    "EXACT",
    "MetricPair",
    "Overrides",
    "PackageChange",
    "PredictionDifference",
    "Reproduction",
    "compare_code",
    "compare_metrics",
    "compare_predictions",
    "environment_changes",
    "window_of",
]
