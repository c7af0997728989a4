"""Load the heavy libraries once, in the process that Airflow forks its tasks from.

A task of the LocalExecutor is a fork of a worker, which is a fork of the scheduler; a task of the CeleryExecutor is a
fork of the Celery worker. What those have loaded every task has, for no time and in shared memory. Two lines in
``$AIRFLOW_HOME/config/airflow_local_settings.py``, which Airflow reads at its start, are enough::

    from airflow_mlops.preload import preload

    preload()
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

#: What the steps import, the slowest last.
LIBRARIES = (
    "pyarrow.compute", "pyarrow.parquet", "pandas", "sklearn.ensemble", "skops.io", "mlflow.sklearn",
    "great_expectations",
)  # fmt: skip
#: Airflow's processes that tasks are forked from, by the words of their command.
_PARENTS = (["scheduler"], ["celery", "worker"])


def preload(command: Sequence[str] | None = None) -> bool:
    """Import the libraries if this process runs tasks; whether it does.

    :param command: the words after ``airflow``; None for those of this process
    """
    words = list(sys.argv[1:] if command is None else command)
    if not any(words[: len(parent)] == parent for parent in _PARENTS):
        return False
    # Great Expectations logs two hundred lines of what it registers. Skops looks through every module that is loaded,
    # and Airflow's warn of a thousand names that are deprecated.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in LIBRARIES:
            import_module(library)
    return True
