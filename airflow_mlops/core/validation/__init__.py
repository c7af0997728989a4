"""Expectation suites read strictly, and the verdict on what Great Expectations found.

Great Expectations drops an unknown type or a bad severity with a log line, and then passes; an empty suite passes too.
Here each of them is an error. A check that crashed never counts as passed, and a report holds no value of any row.
"""

from airflow_mlops.core.validation.report import ExpectationOutcome, ValidationReport
from airflow_mlops.core.validation.suite import Expectation, Severity, Suite

__all__ = ["Expectation", "ExpectationOutcome", "Severity", "Suite", "ValidationReport"]
