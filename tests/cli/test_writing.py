"""The commands that move the champion, on a real server."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_mlops.cli.writing import rollback
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.steps.promotion import promote
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.registry import InMemoryRegistry
from tests.cli.conftest import Reply, build_shelf

Call = Callable[..., Reply]


@pytest.fixture
def three(client: MlflowClient, model_name: str) -> str:
    """A model with three versions that were champion in turn."""
    client.registry.ensure_model(model_name)
    for month in ("2026-08-01", "2026-09-01", "2026-10-01"):
        version = client.registry.create_version(model_name, "s3://bucket/model", None, {tags.AS_OF: month})
        promote(client.registry, name=model_name, version=version.version, reason="better", actor="run")
    return model_name


def last(client: MlflowClient, name: str) -> ledger.LedgerEntry:
    return ledger.history(client.registry.model_tags(name))[-1]


def test_a_rollback_goes_back_within_five_seconds(call: Call, client: MlflowClient, three: str) -> None:
    before = time.monotonic()
    found = call("rollback", three, "--reason", "it fails in the south")
    assert time.monotonic() - before < 5
    assert (found.code, found.out) == (0, f"{three}: went back to version 2; retracted: 3.\n")
    entry = last(client, three)
    assert (entry.champion, entry.reason) == (2, "it fails in the south")
    assert "@" in entry.actor


def test_a_rollback_to_a_version_or_a_date(call: Call, client: MlflowClient, three: str) -> None:
    first = ledger.history(client.registry.model_tags(three))[0]
    found = call("rollback", three, "--to", first.at, "--reason", "bad data", "--actor", "ada", "--json")
    assert (found.data["version"], found.data["retracted"], last(client, three).actor) == (1, [2, 3], "ada")
    refused = call("rollback", three, "--to", "3", "--reason", "no")
    assert refused.code == 1
    assert "Version 3" in refused.err
    assert "retracted" in refused.err
    assert client.registry.alias(three, "champion") == 1


class Flaky(InMemoryRegistry):
    """Away for the first move of the alias after it was told so."""

    away = False

    def set_alias(self, name: str, alias: str, version: int) -> None:
        if self.away:
            self.away = False
            raise ServiceUnavailable("MLflow did not answer.")
        super().set_alias(name, alias, version)


def test_a_rollback_that_was_cut_off_is_finished_and_not_doubled() -> None:
    registry = Flaky()
    registry.ensure_model("m")
    for month in ("2026-08-01", "2026-09-01", "2026-10-01"):
        version = registry.create_version("m", "s3://bucket/model", None, {tags.AS_OF: month})
        promote(registry, name="m", version=version.version, reason="better", actor="run")
    connections: Any = SimpleNamespace(client=SimpleNamespace(registry=registry))
    asked = Namespace(name="m", to="previous", reason="it fails in the south", actor="ada", alias="champion")
    registry.away = True
    with pytest.raises(ServiceUnavailable):
        rollback(connections, asked)
    finished = rollback(connections, asked).data
    assert (finished["champion"], finished["retracted"]) == (2, [3])
    assert rollback(connections, asked).data["champion"] == 1


def test_pin_and_unpin(call: Call, client: MlflowClient, three: str) -> None:
    assert call("pin", three, "1", "--reason", "the audit").out == (
        f"{three}: version 1 is pinned, and champion is version 1.\n"
    )
    assert "pinned  to version 1 by" in call("status", three).out
    refused = call("rollback", three, "--reason", "no")
    assert (refused.code, "is pinned to version 1" in refused.err) == (1, True)
    assert call("unpin", three, "--reason", "it is over", "--json").data["champion"] == 3
    assert (last(client, three).champion, last(client, three).pinned) == (3, None)


def test_a_chosen_model_goes_through_the_gate_of_the_project(
    call: Call, client: MlflowClient, mlflow_uri: str, tmp_path: Path, model_name: str
) -> None:
    shelf = build_shelf(mlflow_uri, tmp_path / model_name)
    refused = call("promote", shelf.name, shelf.refused, "--reason", "I like it")
    assert refused.code == 1
    assert "0.99" in refused.err  # by the policy that it was judged by
    old = call("promote", shelf.name, shelf.historical, "--reason", "we began with a backfill")
    assert old.code == 1
    assert "is not champion; version 2 is" in " ".join(old.out.split())
    taken = call("promote", shelf.name, shelf.refused, "--project", str(shelf.file), "--reason", "the bar was wrong")
    assert (taken.code, taken.err) == (0, "")
    assert "version 4 is champion now" in taken.out
    assert last(client, shelf.name).reason == "the bar was wrong"
    check_invariants(client, shelf.name)
