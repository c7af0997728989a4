"""Twenty at once, each with a connection of its own: the newest wins, and nobody sees an error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.promotion import order_key
from airflow_mlops.core.registry import Registry, find_registered, register_once
from airflow_mlops.steps.promotion import pin, promote, rollback
from airflow_mlops.testing.invariants import check_invariants
from tests.faults.lifecycle import once, retried

R = TypeVar("R")


def at_once(works: list[Callable[[], R]]) -> list[R]:
    """What each returns, when all are let go together; the error of one that fails."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], R]) -> R:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(run, work) for work in works]]


def facts(key: str, day: int) -> dict[str, str]:
    return dict.fromkeys(tags.REQUIRED, tags.UNKNOWN) | {
        tags.KEY: key,
        tags.AS_OF: f"2026-01-{day:02}T00:00:00+00:00",
        tags.METRICS: json.dumps({"roc_auc": 0.8}),
    }


def add(registry: Registry, name: str, days: list[int]) -> list[int]:
    """Registered versions; what they are numbered tells nothing of how new they are."""
    registry.ensure_model(name)
    return [
        registry.create_version(name, "s3://bucket/model", None, facts(f"{number} of {len(days)}", day)).version
        for number, day in enumerate(days)
    ]


@pytest.mark.faults("promoters", rounds=100)
def test_the_newest_of_many_promoters_wins(
    crowd: list[MlflowClient], client: MlflowClient, model_name: str, chance: Random
) -> None:
    """Some as-ofs are equal; in some rounds one of the crowd rolls back or pins meanwhile."""
    name, registry, other = model_name, client.registry, chance.choice(["nobody", "nobody", "rollback", "pin"])
    first, second, third = add(registry, name, [1, 2, 3])
    for number in (first, second, third):
        promote(registry, name=name, version=number, reason="better", actor="run")
    numbers = add(registry, name, [chance.randint(4, 28) for _ in crowd])
    works: list[Callable[[], Any]] = [
        partial(promote, each.registry, name=name, version=number, reason="better", actor=f"run {number}")
        for each, number in zip(crowd, numbers, strict=True)
    ]
    said = {"reason": "it fails", "actor": "ada"}
    if other == "rollback":
        works[0] = partial(rollback, crowd[0].registry, name, to=second, deed="d", **said)
    elif other == "pin":
        works[0] = partial(pin, crowd[0].registry, name, first, **said)
    at_once(works)
    check_invariants(client, name)  # the alias, the ledger's end and the rightful champion are one
    versions, champion = registry.versions(name), registry.alias(name, "champion")
    retracted = {version.version for version in versions if tags.RETRACTED in version.tags}
    assert (third in retracted) == (other == "rollback")
    raced = [version for version in versions if version.version in numbers[other != "nobody" :]]
    best = max((v for v in raced if v.version not in retracted), key=order_key, default=versions[second - 1])
    assert champion == (first if other == "pin" else best.version)


@pytest.mark.faults("registrations", rounds=10)
@pytest.mark.parametrize("model", ["known", "new"])
def test_many_that_register_one_key_agree_on_one_version(
    crowd: list[MlflowClient], client: MlflowClient, model_name: str, model: str
) -> None:
    if model == "known":
        client.registry.ensure_model(model_name)
    one = facts("a" * 64, 1)
    register = partial(register_once, name=model_name, source="s3://bucket/model", run_id=None, facts=one)
    # MLflow's server may stall when many create one model: that is what a task's retries are for.
    task = retried if model == "new" else once
    found = at_once([partial(task, partial(register, each.registry)) for each in crowd])
    (version,) = find_registered(client.registry, model_name, one[tags.KEY])
    assert {each.version for each, _ in found} == {version.version}
    assert sum(made for _, made in found) == 1
    check_invariants(client, model_name)


@pytest.mark.faults("experiments", rounds=5)
def test_many_that_train_a_new_model_first_share_its_experiment(crowd: list[MlflowClient], model_name: str) -> None:
    assert len(set(at_once([partial(each.tracking.experiment_id, model_name) for each in crowd]))) == 1
