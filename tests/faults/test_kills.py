"""A training that is killed at any write, and started again, ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
from multiprocessing.context import ForkServerContext

import pytest
from upath import UPath

from airflow_mlops import _failpoints
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from tests.faults.lifecycle import check_settled, exit_code, lifecycle

#: Places that are passed more than once: among the files of a model, and in evaluation and gate.
AGAIN = ("upload.after:2", "upload.before:6", "log.before:2", "log.after:3")


def child(failpoint: str, uri: str, store: str, name: str) -> None:
    os.environ[_failpoints.VARIABLE] = failpoint
    with MlflowClient(MlflowSettings(uri)) as client:
        lifecycle(client, UPath(store), name)


@pytest.mark.faults("kill", rounds=3)
@pytest.mark.parametrize("failpoint", [*_failpoints.POINTS, *AGAIN])
def test_a_killed_training_is_finished_by_its_retry(
    processes: ForkServerContext, client: MlflowClient, mlflow_uri: str, store: UPath, model_name: str, failpoint: str
) -> None:
    assert exit_code(processes, child, failpoint, mlflow_uri, str(store), model_name) == -signal.SIGKILL
    assert exit_code(processes, child, "", mlflow_uri, str(store), model_name) == 0
    check_settled(client, model_name)
