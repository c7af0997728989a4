"""Rollback, pin and unpin: killed at any write, or a reply lost, and done again they end as without the fault."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest

from airflow_mlops import _failpoints
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.promotion import Retraction
from airflow_mlops.core.registry import Registry
from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.steps.promotion import pin, promote, rollback, settle, unpin
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.registry import InMemoryRegistry
from tests.faults.lifecycle import exit_code, retried
from tests.faults.proxy import Fault, FaultProxy

SAID = {"reason": "it fails in the south", "actor": "ada"}
#: Each with what comes before it.
DEEDS: dict[str, tuple[Callable[[Registry, str], Any], Callable[[Registry, str], Any]]] = {
    "rollback": (lambda *_: None, lambda registry, name: rollback(registry, name, to=1, deed="run/task", **SAID)),
    "pin": (lambda *_: None, lambda registry, name: pin(registry, name, 1, **SAID)),
    "unpin": (
        lambda registry, name: pin(registry, name, 1, reason="the audit", actor="ada"),
        lambda registry, name: unpin(registry, name, **SAID),
    ),
}
#: The writes of each deed, and which of its kind each is.
PASSED = {
    "rollback": ["tag.{}", "tag.{}:2", "alias.{}", "ledger.{}"],
    "pin": ["ledger.{}", "alias.{}", "ledger.{}:2"],
    "unpin": ["ledger.{}", "alias.{}", "ledger.{}:2"],
}
#: What the others show as well, and takes its time.
LONG = pytest.mark.integration
POINTS = [
    pytest.param(deed, write.format(side), marks=LONG if deed == "unpin" else ())
    for deed, writes in PASSED.items()
    for write in writes
    for side in ("before", "after")
]
VERSION_TAG, MODEL_TAG, ALIAS = (
    "POST /model-versions/set-tag", "POST /registered-models/set-tag", "POST /registered-models/alias",
)  # fmt: skip
WRITES = [
    *product(["rollback"], [(VERSION_TAG, 1), (VERSION_TAG, 2), (ALIAS, 1), (MODEL_TAG, 1)]),
    *product(["pin", "unpin"], [(MODEL_TAG, 1), (ALIAS, 1), (MODEL_TAG, 2)]),
]


@dataclass(frozen=True)
class State:
    """All that a deed leaves, but for its time."""

    alias: int | None
    retracted: dict[int, Retraction]
    ledger: list[tuple[Any, ...]]


def state(registry: Registry, name: str) -> State:
    gone = {v.version: Retraction.of(v) for v in registry.versions(name)}
    entries = ledger.history(registry.model_tags(name))
    return State(
        registry.alias(name, "champion"),
        {number: replace(found, at="") for number, found in gone.items() if found},
        [(e.sequence, e.previous, e.champion, e.pinned, e.actor, e.reason, dict(e.evidence)) for e in entries],
    )


def add(registry: Registry, name: str, *months: int) -> None:
    registry.ensure_model(name)
    for month in months:
        facts = dict.fromkeys(tags.REQUIRED, tags.UNKNOWN) | {
            tags.KEY: str(month),
            tags.AS_OF: f"2026-{month:02}-01T00:00:00+00:00",
            tags.METRICS: json.dumps({"roc_auc": 0.8}),
        }
        version = registry.create_version(name, "s3://bucket/model", None, facts)
        promote(registry, name=name, version=version.version, reason="better", actor="run")


def prepare(registry: Registry, name: str, deed: str) -> None:
    add(registry, name, 8, 9, 10)
    DEEDS[deed][0](registry, name)


def check_as_without_a_fault(client: MlflowClient, name: str, deed: str) -> None:
    """Then, and after the next promotions and the next reconcile."""
    twin, registry = InMemoryRegistry(), client.registry
    prepare(twin, name, deed)
    DEEDS[deed][1](twin, name)
    assert state(registry, name) == state(twin, name)
    check_invariants(client, name)
    for each in (registry, twin):
        promote(each, name=name, version=3, reason="again", actor="a cleared task")
        settle(each, name, "champion", actor="anybody")
        add(each, name, 11)
    assert state(registry, name) == state(twin, name)
    assert list(state(registry, name).retracted) == ([2, 3] if deed == "rollback" else [])
    check_invariants(client, name)


def child(failpoint: str, uri: str, name: str, deed: str) -> None:
    os.environ[_failpoints.VARIABLE] = failpoint
    with MlflowClient(MlflowSettings(uri)) as client:
        DEEDS[deed][1](client.registry, name)


@pytest.mark.faults("kill", rounds=2)
@pytest.mark.parametrize(("deed", "failpoint"), POINTS)
def test_a_killed_deed_is_finished_by_its_retry(
    processes: ForkServerContext, client: MlflowClient, mlflow_uri: str, model_name: str, deed: str, failpoint: str
) -> None:
    prepare(client.registry, model_name, deed)
    assert exit_code(processes, child, failpoint, mlflow_uri, model_name, deed) == -signal.SIGKILL
    assert exit_code(processes, child, "", mlflow_uri, model_name, deed) == 0
    check_as_without_a_fault(client, model_name, deed)


@pytest.mark.faults("lost reply", rounds=1)
@pytest.mark.parametrize(("fault", "repeats"), [(Fault.COMMIT_503, 0), pytest.param(Fault.DROP, 2, marks=LONG)])
@pytest.mark.parametrize(("deed", "write"), WRITES)
def test_a_lost_reply_to_a_deed_changes_nothing(
    client: MlflowClient,
    mlflow_uri: str,
    model_name: str,
    deed: str,
    write: tuple[str, int],
    fault: Fault,
    repeats: int,
) -> None:
    prepare(client.registry, model_name, deed)
    request, nth = write
    with (
        FaultProxy(mlflow_uri) as proxy,
        MlflowClient(MlflowSettings(proxy.url, retries=repeats)) as lossy,
    ):
        proxy.plan(request, fault, nth)
        retried(lambda: DEEDS[deed][1](lossy.registry, model_name))
        assert proxy.planned is None
    check_as_without_a_fault(client, model_name, deed)


def test_a_deed_whose_retries_end_says_so(mlflow_uri: str, client: MlflowClient, model_name: str) -> None:
    prepare(client.registry, model_name, "pin")
    with FaultProxy(mlflow_uri) as proxy, MlflowClient(MlflowSettings(proxy.url, retries=0)) as lossy:
        proxy.plan(ALIAS, Fault.REFUSE_503)
        with pytest.raises(ServiceUnavailable, match="A retry goes on from here"):
            DEEDS["pin"][1](lossy.registry, model_name)
