"""A candidate beside the champion, on live requests: take it back, accept it, or wait."""

from airflow_mlops.core.rollout.judge import judge_rollout
from airflow_mlops.core.rollout.policy import RolloutPolicy
from airflow_mlops.core.rollout.traffic import Side, Traffic
from airflow_mlops.core.rollout.verdict import Measure, RolloutVerdict

__all__ = ["Measure", "RolloutPolicy", "RolloutVerdict", "Side", "Traffic", "judge_rollout"]
