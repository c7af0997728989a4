"""Whatever happens to the reply to a write, the task's retry ends where a run without a fault does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.exceptions import AccessDenied, ConfigurationError, MlopsError
from tests.faults.lifecycle import check_settled, lifecycle, retried
from tests.faults.proxy import Fault, FaultProxy

#: Seconds for one request here, so that a hang does not last.
PATIENCE = 1.5
#: Every write of a training, found again by the test without a fault.
WRITES = (
    "POST /experiments/create",
    "POST /runs/create",
    "POST /runs/log-batch",
    "POST /runs/log-inputs",
    "POST /logged-models",
    "POST /runs/outputs",
    "PUT /artifacts",
    "PATCH /logged-models/ID",
    "POST /runs/update",
    "PATCH /logged-models/ID/tags",
    "POST /registered-models/create",
    "POST /model-versions/create",
    "POST /model-versions/set-tag",
    "POST /registered-models/alias",
    "POST /registered-models/set-tag",
)
CREATES = ("POST /runs/create", "POST /logged-models", "POST /model-versions/create")
Train = Callable[..., None]


@pytest.fixture
def proxy(mlflow_uri: str) -> Iterator[FaultProxy]:
    with FaultProxy(mlflow_uri, PATIENCE) as proxy:
        yield proxy


@pytest.fixture
def train_through(proxy: FaultProxy, store: UPath, model_name: str) -> Train:
    def run(repeats: int = 2) -> None:
        with MlflowClient(MlflowSettings(proxy.url, timeout=PATIENCE, retries=repeats)) as lossy:
            lifecycle(lossy, store, model_name, retried)

    return run


def test_the_list_of_writes_is_complete(proxy: FaultProxy, train_through: Train) -> None:
    train_through()
    assert {write for write in proxy.writes if not write.endswith("/search")} == set(WRITES)


@pytest.mark.faults("lost reply", rounds=2)
@pytest.mark.parametrize(
    ("write", "fault", "repeats"),
    [
        *product(WRITES, [Fault.DROP], [2]),  # settled by the client's own repeat, where it may repeat
        *product(WRITES, [Fault.COMMIT_503], [0]),  # left to the task's retry
        *product(CREATES, [Fault.HANG, Fault.SLOW, Fault.REFUSE_503], [0]),
    ],
)
def test_a_lost_reply_adds_nothing(
    proxy: FaultProxy,
    train_through: Train,
    client: MlflowClient,
    model_name: str,
    write: str,
    fault: Fault,
    repeats: int,
) -> None:
    proxy.plan(write, fault)
    train_through(repeats)
    assert proxy.planned is None
    check_settled(client, model_name)


@pytest.mark.faults("wrong reply", rounds=1)
@pytest.mark.parametrize(
    ("write", "fault", "error"),
    [
        *product(WRITES, [Fault.PAGE], [ConfigurationError]),
        *product([*CREATES, "POST /runs/update"], [Fault.DENY], [AccessDenied]),
    ],
)
def test_a_reply_of_somebody_else_fails_the_task_and_a_cleared_run_ends_well(
    proxy: FaultProxy,
    train_through: Train,
    client: MlflowClient,
    model_name: str,
    write: str,
    fault: Fault,
    error: type[MlopsError],
) -> None:
    proxy.plan(write, fault)
    with pytest.raises(error):
        train_through()
    assert proxy.planned is None
    train_through()
    check_settled(client, model_name)
