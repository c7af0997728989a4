"""A training that is killed at any write, and started again, ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext

import pytest
from upath import UPath

from airflow_mlops import _failpoints
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from tests.faults.lifecycle import check_settled, lifecycle

#: Places that are passed more than once: among the files of a model, and in evaluation and gate.
AGAIN = ("upload.after:2", "upload.before:6", "log.before:2", "log.after:3")


def child(failpoint: str, uri: str, store: str, name: str) -> None:
    os.environ[_failpoints.VARIABLE] = failpoint
    with MlflowClient(MlflowSettings(uri)) as client:
        lifecycle(client, UPath(store), name)


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Children of a process that has the slow imports behind it, and no threads as the tests' own has."""
    context = get_context("forkserver")
    slow = ["mlflow.sklearn", "mlflow.pyfunc", "skops.io", "sklearn.linear_model", "pyarrow.dataset", "scipy.stats"]
    context.set_forkserver_preload(["tests.faults.lifecycle", *slow])
    return context


@pytest.mark.faults("kill")
@pytest.mark.parametrize("failpoint", [*_failpoints.POINTS, *AGAIN])
def test_a_killed_training_is_finished_by_its_retry(
    processes: ForkServerContext, client: MlflowClient, mlflow_uri: str, store: UPath, model_name: str, failpoint: str
) -> None:
    assert exit_code(processes, failpoint, mlflow_uri, str(store), model_name) == -signal.SIGKILL
    assert exit_code(processes, "", mlflow_uri, str(store), model_name) == 0
    check_settled(client, model_name)


def exit_code(processes: ForkServerContext, *args: str) -> int | None:
    process = processes.Process(target=child, args=args)
    process.start()
    process.join(60)
    process.kill()
    process.join()
    return process.exitcode
