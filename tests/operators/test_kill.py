"""A task that is asked to stop unwinds: Airflow would let it run on until it is killed hard."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from sklearn.linear_model import LogisticRegression

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.operators.training import TrainModelOperator

AS_OF = "2026-04-01T00:00:00+00:00"


class Slow(LogisticRegression):
    """Would fit for two minutes."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Slow:
        for _ in range(1200):
            time.sleep(0.1)
        return self


def test_sigterm_during_a_fit_leaves_no_files_and_no_model(
    execute: Callable[..., Any],
    make_tasks: Callable[..., Any],
    client: MlflowClient,
    model_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tasks = make_tasks(train={"estimator": f"{Slow.__module__}.Slow"})
    for task_id in ("ingest", "prepare"):
        execute(tasks[task_id], params={"as_of": AS_OF})
    task: TrainModelOperator = tasks["train"]
    before = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    timer = threading.Timer(5.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    begin = time.monotonic()
    try:
        with pytest.raises(SystemExit, match="asked to stop"):
            execute(task)
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - begin < 30
    assert list(tmp_path.glob("mlops-*")) == []
    assert client.tracking.models(client.tracking.experiment_id(model_name), {}) == []


def test_a_timeout_stays_a_timeout(make_tasks: Callable[..., Any]) -> None:
    task = make_tasks()["train"]

    def time_out() -> None:
        try:
            raise AirflowTaskTimeout
        except AirflowTaskTimeout:
            task.on_kill()  # as Airflow does
            raise

    with pytest.raises(AirflowTaskTimeout):
        time_out()
