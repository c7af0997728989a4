"""Wait for a training that runs elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_mlops.core.polling import AwaitedRun, Poll, judge_run
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.exceptions import MlopsError, TransientError
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.triggers.base import PollingTrigger


class MLflowRunTrigger(PollingTrigger):
    """Looks at an MLflow run until it has ended or time is up.

    :param mlflow_conn_id: Airflow connection to MLflow
    :param run_id: the run
    :param experiment: else the experiment of the run
    :param tags: and tags of which the newest run that carries them is meant
    """

    arguments: ClassVar[tuple[str, ...]] = ("mlflow_conn_id", "run_id", "experiment", "tags")

    def __init__(
        self,
        *,
        mlflow_conn_id: str,
        run_id: str | None,
        experiment: str | None,
        tags: Mapping[str, str],
        **wait: Any,
    ) -> None:
        super().__init__(**wait)
        self.mlflow_conn_id = mlflow_conn_id
        self.run_id = run_id
        self.experiment = experiment
        self.tags = tags
        self.client: Mlflow | None = None

    async def open(self) -> None:
        self.awaited = AwaitedRun(self.run_id, self.experiment, self.tags)
        self.client = await MlflowHook(self.mlflow_conn_id).aclient()

    def look(self) -> Poll:
        if self.client is None:
            raise RuntimeError("open() comes first.")
        return look(self.client, self.awaited)

    async def cleanup(self) -> None:
        if self.client is not None:
            await asyncio.to_thread(self.client.close)


def look(client: Mlflow, awaited: AwaitedRun) -> Poll:
    """One look at the run; a server that is away is no answer about it."""
    tracking = client.tracking
    try:
        run_id = awaited.run_id or tracking.newest_run(awaited.experiment or "", awaited.tags)
        run = tracking.run(run_id) if run_id else None
    except TransientError as error:
        return Poll("wait", f"Nothing is known of {awaited}: {error}")
    except MlopsError as error:
        return Poll("failed", str(error))
    return judge_run(run, awaited, client.run_url(run.experiment_id, run.run_id) if run else "")
