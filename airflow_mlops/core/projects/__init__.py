"""A project file: everything that the reference DAGs need to know of one model."""

from airflow_mlops.core.projects.project import Project
from airflow_mlops.core.projects.training import SourceSection

__all__ = ["Project", "SourceSection"]
