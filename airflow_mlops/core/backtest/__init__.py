"""How often is retraining worth it? Read off models of the past, each judged on windows that it had not seen."""

from airflow_mlops.core.backtest.cadence import conclude
from airflow_mlops.core.backtest.plan import BacktestSpec, PastModel, Period, Plan, Window, plan
from airflow_mlops.core.backtest.result import Age, Backtest, Cell, Gain, Recommendation

__all__ = [
    "Age",
    "Backtest",
    "BacktestSpec",
    "Cell",
    "Gain",
    "PastModel",
    "Period",
    "Plan",
    "Recommendation",
    "Window",
    "conclude",
    "plan",
]
