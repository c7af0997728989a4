"""MLflow is away, or anything is killed at any moment of a backfill and of live runs: nothing is lost or doubled.

Moments and victims are random; ``AIRFLOW_MLOPS_FAULT_SEED`` makes the choices of an earlier run again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core import tags
from airflow_mlops.core.windows import instant
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.servers import LocalStack, local_stack
from tests.conftest import FAULT_SEED, FAULT_SHARE
from tests.integration.retrains import backfill, dag_folder, dag_id, month, standing, states, wait_for, wait_for_dag

pytestmark = pytest.mark.integration

PROJECT, DAG = "pulse", dag_id("pulse")
KILLS = max(2, round(20 * FAULT_SHARE))
MONTHS = 12 if KILLS > 10 else 4
#: How soon Airflow notices what died: by default after five minutes without a sign of life.
SOON = {
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    folder = tmp_path_factory.mktemp("kills")
    with local_stack(folder / "servers", dag_folder(folder / "dags", PROJECT), env=SOON) as running:
        wait_for_dag(running.airflow.api, DAG)
        yield running


class Killer:
    """Kills what a random choice says, and starts it again at once."""

    def __init__(self, stack: LocalStack, seed: int) -> None:
        self.stack = stack
        self.random = random.Random(seed)
        self.killed: Counter[str] = Counter()

    def strike(self) -> None:
        time.sleep(self.random.uniform(1, 10))
        victim = self.random.choice((self.task, self.worker, self.scheduler, self.mlflow))
        victim()
        self.killed[victim.__name__] += 1

    def task(self) -> None:
        """The process that runs a task's code; its worker sees it at once."""
        wait_for(lambda: self._kill_one([task for _, task in self._busy()]))

    def worker(self) -> None:
        """The process that watches over a task, which is left alone and goes on. An idle one would take the lock of
        the queue with it, on which every other worker of a LocalExecutor waits.
        """
        wait_for(lambda: self._kill_one([worker for worker, _ in self._busy()]))

    def scheduler(self) -> None:
        """The scheduler with its workers and their tasks."""
        self.stack.airflow.scheduler.kill()
        self.stack.airflow.scheduler.start()

    def mlflow(self) -> None:
        for process in self.stack.mlflow.processes:
            process.kill()
        self.stack.mlflow.start()

    def _busy(self) -> list[tuple[psutil.Process, psutil.Process]]:
        """Each worker that has a task, with the task."""
        pairs = []
        for process in self.stack.airflow.scheduler.members():
            with suppress(psutil.NoSuchProcess):
                parent = process.parent()
                if parent and "LocalExecutor" in " ".join(parent.cmdline()):
                    pairs.append((parent, process))
        return pairs

    def _kill_one(self, processes: list[psutil.Process]) -> bool:
        with suppress(psutil.NoSuchProcess):
            if processes:
                self.random.choice(processes).kill()
                return True
        return False


@pytest.mark.faults("MLflow is away during a task", rounds=1)
def test_an_outage_fails_the_task_soon_and_its_retry_goes_on(stack: LocalStack) -> None:
    api = stack.airflow.api
    stack.mlflow.stop()
    api.pause(DAG, False)
    run_id = wait_for(lambda: api.runs(DAG, run_type="scheduled"))[0]["dag_run_id"]
    wait_for(lambda: states(api, DAG, run_id)["train"] == "up_for_retry")
    stack.mlflow.start()
    assert api.wait(DAG, run_id)["state"] == "success"
    # On a slow machine a second try may still come before the server is back.
    *failed, last = api.tries(DAG, run_id, "train")
    assert ({one["state"] for one in failed}, last["state"]) == ({"failed"}, "success")
    assert max(one["duration"] for one in failed) < 3 * 30  # half a minute, on a machine that does nothing else
    assert f"MLflow at {stack.mlflow.url} did not answer" in log_of(stack, run_id, "train")


def log_of(stack: LocalStack, run_id: str, task_id: str) -> str:
    folder = stack.airflow.logs / f"dag_id={DAG}" / f"run_id={run_id}" / f"task_id={task_id}"
    return (folder / "attempt=1.log").read_text()


@pytest.mark.faults("random kill of a task, worker, scheduler or MLflow", rounds=1)
def test_random_kills_lose_and_double_nothing(stack: LocalStack, request: pytest.FixtureRequest) -> None:
    request.node.user_properties.append(("repetitions", KILLS))
    api, killer = stack.airflow.api, Killer(stack, FAULT_SEED)
    expected = [month(number) for number in range(-MONTHS, 1)]
    api.pause(DAG, False)
    backfill(stack, DAG, month(-1 - MONTHS), month(-2), "--run-backwards", "--max-active-runs", "4")
    for number in range(1, KILLS + 1):
        if number % 2 or not active(stack):
            expected.append(month(len(expected) - MONTHS))
            api.trigger(DAG, {"as_of": expected[-1].isoformat()})
        killer.strike()
    settle(stack)
    print(f"killed: {dict(killer.killed)}")

    with MlflowClient(MlflowSettings(stack.mlflow.url)) as client:
        dates = [instant(model.tags[tags.AS_OF]) for model in standing(client, PROJECT)]
        assert sorted(dates) == expected
        versions = [version for version in client.registry.versions(PROJECT) if not version.superseded]
        assert len({version.tags[tags.KEY] for version in versions}) == len(versions) > 0
        assert client.tracking.open_runs(client.tracking.experiment_id(PROJECT), {}) == []
        check_invariants(client, PROJECT)


def active(stack: LocalStack) -> list[str]:
    runs = stack.airflow.api.runs(DAG)
    return [run["dag_run_id"] for run in runs if run["state"] in ("queued", "running")]


def settle(stack: LocalStack) -> None:
    """Let Airflow finish, and do what an operator would: clear what used up its retries, restart what stands still."""
    api, failed = stack.airflow.api, list[str]()
    for _ in range(5):
        if not ended(stack):
            # A worker had taken a task from the LocalExecutor's queue and not begun it: nobody else looks for it.
            stack.airflow.scheduler.kill()
            stack.airflow.scheduler.start()
            continue
        if not (failed := [run["dag_run_id"] for run in api.runs(DAG, state="failed")]):
            return
        for run_id in failed:
            api.clear(DAG, run_id, only_failed=True)
    raise AssertionError({run_id: states(api, DAG, run_id) for run_id in {*failed, *active(stack)}})


def ended(stack: LocalStack, patience: float = 90) -> bool:
    """Wait until no run is at work; False if for so many seconds no task succeeded."""
    done, since = -1, time.monotonic()
    while active(stack):
        page = stack.airflow.api.get(f"/dags/{DAG}/dagRuns/~/taskInstances", state="success", limit=1)
        if page["total_entries"] != done:
            done, since = page["total_entries"], time.monotonic()
        elif time.monotonic() - since > patience:
            return False
        time.sleep(2)
    return True
