"""Which version belongs where: what a target holds, what is wanted of it, and what to do about the difference."""

from airflow_mlops.core.deployment.decision import Decision, decide
from airflow_mlops.core.deployment.events import Told, told_versions
from airflow_mlops.core.deployment.target import Deployed, Mode, Standing, Target, Trial, Wanted

__all__ = ["Decision", "Deployed", "Mode", "Standing", "Target", "Told", "Trial", "Wanted", "decide", "told_versions"]
