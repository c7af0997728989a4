"""What a look at something that happens elsewhere means; sensor and trigger share it."""

from airflow_mlops.core.polling.arrivals import AwaitedData
from airflow_mlops.core.polling.drift import AwaitedDrift, DriftWindow, judge_drift
from airflow_mlops.core.polling.endpoints import AwaitedEndpoint, judge_endpoint
from airflow_mlops.core.polling.files import AwaitedFiles, Watched, judge_files, watch
from airflow_mlops.core.polling.marks import FileMark, SeenFile, given_mark, plain_mark, row_mark
from airflow_mlops.core.polling.poll import Poll
from airflow_mlops.core.polling.registry import AwaitedAlias, AwaitedVersion, judge_alias, judge_versions
from airflow_mlops.core.polling.rows import AwaitedRows, SeenRows, judge_rows
from airflow_mlops.core.polling.runs import AwaitedRun, judge_run
from airflow_mlops.core.polling.verdicts import AwaitedVerdict, judge_verdicts

__all__ = [
    "AwaitedAlias",
    "AwaitedData",
    "AwaitedDrift",
    "AwaitedEndpoint",
    "AwaitedFiles",
    "AwaitedRows",
    "AwaitedRun",
    "AwaitedVerdict",
    "AwaitedVersion",
    "DriftWindow",
    "FileMark",
    "Poll",
    "SeenFile",
    "SeenRows",
    "Watched",
    "given_mark",
    "judge_alias",
    "judge_drift",
    "judge_endpoint",
    "judge_files",
    "judge_rows",
    "judge_run",
    "judge_verdicts",
    "judge_versions",
    "plain_mark",
    "row_mark",
    "watch",
]
