"""Train a model again from its record and compare, or make a new candidate of a record with overrides."""

from airflow_mlops.core.reproduction import Overrides
from airflow_mlops.steps.reproduction.compare import reproduce
from airflow_mlops.steps.reproduction.data import Sources
from airflow_mlops.steps.reproduction.record import Record, find_record
from airflow_mlops.steps.reproduction.rerun import Candidate, rerun

__all__ = ["Candidate", "Overrides", "Record", "Sources", "find_record", "reproduce", "rerun"]
