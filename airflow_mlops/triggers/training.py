"""Wait for a training that runs elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_mlops.core.polling import AwaitedRun, Poll, judge_run
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.exceptions import MlopsError, TransientError
from airflow_mlops.hooks.mlflow import MlflowHook


class MLflowRunTrigger(BaseTrigger):
    """Looks at an MLflow run until it has ended or time is up; one event, a ``Poll`` as plain values.

    The connection is read here: what is serialised holds no credentials.

    :param mlflow_conn_id: Airflow connection to MLflow
    :param run_id: the run
    :param experiment: else the experiment of the run
    :param tags: and tags of which the newest run that carries them is meant
    :param poke_interval: seconds between two looks
    :param deadline: end of the wait, in seconds of the epoch: it outlives a restart of the triggerer
    """

    def __init__(
        self,
        *,
        mlflow_conn_id: str,
        run_id: str | None,
        experiment: str | None,
        tags: Mapping[str, str],
        poke_interval: float,
        deadline: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mlflow_conn_id = mlflow_conn_id
        self.run_id = run_id
        self.experiment = experiment
        self.tags = tags
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.client: Mlflow | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("mlflow_conn_id", "run_id", "experiment", "tags", "poke_interval", "deadline")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            awaited = AwaitedRun(self.run_id, self.experiment, self.tags)
            self.client = await MlflowHook(self.mlflow_conn_id).aclient()
        except MlopsError as error:
            yield _event(Poll("failed", str(error)))
            return
        while True:
            # In a thread: the client waits for its answers, and the loop is that of every other trigger.
            seen = await asyncio.to_thread(look, self.client, awaited)
            poll = seen.by(self.deadline, time.time())
            self.log.info(poll.reason)
            if poll.state != "wait":
                yield _event(poll)
                return
            await asyncio.sleep(max(0.0, min(self.poke_interval, self.deadline - time.time())))

    async def cleanup(self) -> None:
        if self.client is not None:
            await asyncio.to_thread(self.client.close)


def _event(poll: Poll) -> TriggerEvent:
    return TriggerEvent(poll.to_json())  # type: ignore[no-untyped-call]


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
