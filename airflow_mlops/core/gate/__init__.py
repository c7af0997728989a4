"""The gate: everything known of a candidate as one verdict, with its reasons in plain words. It fails closed.

Models are compared at ``alpha / looks_per_year`` (Bonferroni). Whoever compares point values promotes every second
retrain of a model that is no better; at 5 % a look there is still a false promotion in every second year of twelve.
"""

from airflow_mlops.core.gate.judge import judge
from airflow_mlops.core.gate.policy import BaselineRule, ChampionRule, GatePolicy
from airflow_mlops.core.gate.verdict import Check, Decision, Status, Verdict

__all__ = ["BaselineRule", "ChampionRule", "Check", "Decision", "GatePolicy", "Status", "Verdict", "judge"]
