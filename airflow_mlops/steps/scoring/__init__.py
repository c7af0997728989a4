"""Score a batch: rows in, one file of the log of predictions out, there whole or not at all."""

from airflow_mlops.steps.scoring.rows import Rows, find_rows
from airflow_mlops.steps.scoring.scoring import score
from airflow_mlops.steps.scoring.stream import Keep

__all__ = ["Keep", "Rows", "find_rows", "score"]
