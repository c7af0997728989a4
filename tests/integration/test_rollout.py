"""Candidates beside a champion on a real server: bad ones go, and nobody is hurt."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.clients.serving import ServingClient, ServingSettings, ServingTarget
from airflow_mlops.core import tags
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.rollout import RolloutPolicy
from airflow_mlops.exceptions import MlopsError
from airflow_mlops.steps.deployment import Request, deploy
from airflow_mlops.steps.golden import read_golden
from airflow_mlops.steps.rollout import watch_rollout
from tests.serving.conftest import TOKEN, Running, running
from tests.serving.models import Odd, Shelf
from tests.versions import MILES, light, make_version, own

pytestmark = pytest.mark.integration

OUT = Path(__file__).parents[2] / "build/test"


class Tagged(Shelf):
    """Takes tags too."""

    def tag_version(self, name: str, version: int, key: str, value: str) -> None:
        told = self._read(name)
        told["versions"][str(version)][key] = value
        self._write(name, told)

    def model_tags(self, name: str) -> dict[str, str]:
        return {}


@dataclass
class Clients:
    """Ask without an end, two rows of ten with a number that some models cannot take."""

    server: Running
    ended: threading.Event = field(default_factory=threading.Event)
    answers: list[tuple[float, int, str]] = field(default_factory=list)

    def __call__(self) -> None:
        chance = random.Random(0)
        while not self.ended.is_set():
            row = {"n0": 1e9 if chance.random() < 0.2 else 1.0, "w0": "red"}
            answer = self.server.ask([row], **{"X-Request-Key": str(chance.random())})
            told = answer.json().get("version") if answer.is_success else ""
            self.answers.append((time.monotonic(), answer.status_code, told))


@contextmanager
def asking(server: Running) -> Iterator[Clients]:
    clients = Clients(server)
    threads = [threading.Thread(target=clients, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.ended.set()
        for thread in threads:
            thread.join(30)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Tagged(tmp_path / "shelf")


@pytest.fixture
def server(shelf: Shelf, tmp_path: Path) -> Iterator[Running]:
    shelf.set_alias("m", "champion", odd(shelf))
    with running(shelf, tmp_path / "keep", load_seconds=45) as found:
        assert found.ready()
        yield found


def odd(shelf: Shelf, how: str = "fine") -> int:
    return shelf.publish(Odd(how).fit(None), task="regression", facts={tags.APPROVED: "2026-10-01"})


def write(name: str, result: Any) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(json.dumps(result, indent=1))


def client_of(server: Running) -> ServingClient:
    return ServingClient(ServingSettings(server.url, TOKEN))


def test_a_canary_that_fails_is_taken_back(server: Running, shelf: Shelf) -> None:
    bad = odd(shelf, "sometimes")
    with client_of(server) as client, asking(server) as clients:
        client.deploy(bad, "canary", 0.1)
        found = watch_rollout(shelf, client, name="m", version=bad, poll_interval=0.2, patience=120)
        decided = time.monotonic()
        time.sleep(2.5)
    assert (found.verdict.decision, found.verdict.reason_code) == ("take_back", "errors")
    assert shelf.version("m", bad).tags[tags.ROLLOUT] == found.verdict.summary
    assert {status for _, status, _ in clients.answers} == {200}
    by_candidate = [at for at, _, told in clients.answers if told == str(bad)]
    back = max(0.0, max(by_candidate) - decided)
    assert back < 2
    assert found.traffic is not None
    result = {
        "seed": 0, "share": 0.1, "errors": 0.2, "candidate_requests": found.traffic.candidate.requests,
        "candidate_errors": found.traffic.candidate.errors, "looks": found.looks, "seconds_to_be_back": round(back, 3),
        "requests": len(clients.answers), "failed_requests": sum(s != 200 for _, s, _ in clients.answers),
    }  # fmt: skip
    write("canary.json", result)


def test_a_canary_that_is_fine_becomes_champion(server: Running, shelf: Shelf) -> None:
    fine = odd(shelf)
    shelf.set_alias("m", "champion", fine)
    policy = RolloutPolicy(requests=60, champion_requests=60, warm_up=10, slow=0.5)
    with client_of(server) as client, asking(server) as clients:
        client.deploy(fine, "canary", 0.3)
        found = watch_rollout(shelf, client, name="m", policy=policy, poll_interval=0.2, patience=180)
    assert (found.verdict.decision, found.deployed) == ("accept", True), found.verdict
    assert server.version() == fine
    assert {status for _, status, _ in clients.answers} == {200}


def test_bad_candidates_leave_their_reason(server: Running, shelf: Shelf) -> None:
    found = []
    target = ServingTarget(client_of(server))
    for how in ("file", "slow_load", "error", "nan", "wide", "slow"):
        bad = odd(shelf, "fine" if how == "file" else how)
        if how == "file":
            (shelf.root / f"m-m-{bad}" / "model.skops").write_bytes(b"PK\x05\x06" + b"\0" * 18)
        with asking(server) as clients, pytest.raises(MlopsError) as refused:
            deploy(shelf, target, Request(ModelRef("m", bad), asked=True))
        assert shelf.version("m", bad).tags[tags.REFUSED] == str(refused.value)
        told = server.http.get("/version").json()
        assert (told["champion"]["version"], told["last_error"]["version"]) == (1, str(bad))
        assert told["last_error"]["reason"].rstrip(".") in str(refused.value)
        assert {(status, version) for _, status, version in clients.answers} == {(200, "1")}
        found.append({"case": how, "refused": True, "requests": len(clients.answers), "failed_requests": 0})
    target.close()
    write("candidates.json", found)


@pytest.mark.parametrize(("build", "trusted"), [(light, ()), (own, (MILES,))], ids=["LightGBM", "own transformer"])
def test_from_training_to_an_answer(
    build: Callable[[], Any], trusted: tuple[str, ...], client: MlflowClient, mlflow_uri: str, store: UPath,
    tmp_path: Path, model_name: str,
) -> None:  # fmt: skip
    version = make_version(client, store, model_name, build, trusted=trusted, champion=True)
    golden = read_golden(client, version)
    assert golden is not None
    connect = partial(MlflowClient, MlflowSettings(mlflow_uri))
    model = f"models:/{model_name}@champion"
    with running(connect, tmp_path / "keep", model, trusted=trusted) as server:
        assert server.ready(), server.http.get("/version").json()
        told = server.ask([dict(row) for row in golden.rows]).json()
    assert told["predictions"] == list(golden.values)
    assert told["scores"] == pytest.approx(list(golden.scores or ()), abs=1e-9, rel=0)
