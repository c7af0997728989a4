"""How good a model is, and whether it is better than another one on the same rows.

A test that says nothing (empty, one class, a prediction that is no number) gives NaN everywhere, never an exception and
never a number that looks like one: the gate fails closed on it.
"""

from airflow_mlops.core.evaluation.baseline import Baseline, fit_baseline
from airflow_mlops.core.evaluation.measures import METRICS, Metric, higher_is_better, label, metrics
from airflow_mlops.core.evaluation.paired import compare, evaluate, interval
from airflow_mlops.core.evaluation.result import Comparison, Evaluation

__all__ = [
    "METRICS",
    "Baseline",
    "Comparison",
    "Evaluation",
    "Metric",
    "compare",
    "evaluate",
    "fit_baseline",
    "higher_is_better",
    "interval",
    "label",
    "metrics",
]
