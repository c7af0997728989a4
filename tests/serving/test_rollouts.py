"""Versions that come, are tried, swap and are refused, while the others serve on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.packages import MODEL_FILE
from airflow_mlops.serving.counts import Rollout
from airflow_mlops.store.predictions import read_predictions
from tests.serving.conftest import Running, eventually
from tests.serving.models import Odd, Shelf

ROW = [{"n0": 1.0, "w0": "red"}]
BAD = [{"n0": 1e9}]


def odd(shelf: Shelf, how: str = "fine", value: float = 0.0) -> int:
    return shelf.publish(Odd(how, value).fit(None), task="regression")


@pytest.fixture
def server(shelf: Shelf, serve: Callable[..., Running], tmp_path: Path) -> Running:
    """Version 1 serves and answers 1."""
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    return serve(log=str(tmp_path / "log"), load_seconds=10)


def answers(server: Running, count: int, key: str = "k") -> list[tuple[float, str]]:
    told = [server.ask(ROW, **{"X-Request-Key": f"{key}{at}"}).json() for at in range(count)]
    return [(one["predictions"][0], one["version"]) for one in told]


def test_a_deployed_version_serves_when_it_is_ready(server: Running, shelf: Shelf) -> None:
    number = odd(shelf, value=2)
    assert answers(server, 1) == [(1.0, "1")]
    told = server.deploy(number)
    assert told.status_code == 200
    assert told.json()["champion"]["version"] == 2
    assert answers(server, 1) == [(2.0, "2")]
    assert server.deploy(number).json() == told.json()  # what is live is nothing to do
    assert server.deploy(1).json()["champion"]["version"] == 1
    assert answers(server, 1) == [(1.0, "1")]
    missing = server.deploy(99)
    assert (missing.status_code, missing.json()["code"]) == (409, "NotFound")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("error", "failed to predict"), ("nan", "NaN or infinity"), ("wide", r"shape (1, 2) for 1 rows"),
        ("slow", "ms are allowed"), ("slow_load", "Not ready after"), ("file", "not those that were registered"),
    ],
)  # fmt: skip
def test_a_bad_candidate_is_refused_and_the_old_one_serves_on(
    server: Running, shelf: Shelf, how: str, reason: str
) -> None:
    number = odd(shelf, "fine" if how == "file" else how, value=2)
    if how == "file":
        (shelf.root / f"m-m-{number}" / MODEL_FILE).write_bytes(b"PK\x05\x06" + b"\0" * 18)
    with ThreadPoolExecutor(1) as pool:
        deployed = pool.submit(server.deploy, number)
        served = answers(server, 5)
        while not deployed.done():
            served += answers(server, 5)
    assert set(served) == {(1.0, "1")}
    refused = deployed.result()
    assert refused.status_code == 409
    assert reason in refused.json()["error"]
    told = server.http.get("/version").json()
    assert told["champion"]["version"] == 1
    assert told["last_error"]["version"] == str(number)
    assert reason in told["last_error"]["reason"]
    assert "secret" not in str(told)


def test_a_version_without_a_digest_is_refused(server: Running, shelf: Shelf) -> None:
    number = odd(shelf)
    told = shelf._read("m")
    del told["versions"][str(number)][tags.DIGEST]
    shelf._write("m", told)
    assert server.deploy(number).json()["code"] == "UntrustedModel"
    assert answers(server, 1) == [(1.0, "1")]


def test_a_class_that_was_not_named_is_refused(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", odd(shelf))
    server = serve(wait=False, trusted=(), model="models:/m/1")
    assert eventually(lambda: server.http.get("/version").json()["last_error"])
    told = server.http.get("/version").json()
    assert (told["champion"], told["last_error"]["code"]) == (None, "UntrustedModel")
    assert server.http.get("/ready").status_code == 503


def test_a_canary_answers_its_share_by_key(server: Running, shelf: Shelf) -> None:
    number = odd(shelf, value=2)
    told = server.deploy(number, mode="canary", share=0.3).json()
    assert (told["champion"]["version"], told["candidate"]["mode"], told["candidate"]["share"]) == (1, "canary", 0.3)
    found = answers(server, 100)
    by_two = [pair == (2.0, "2") for pair in found]
    assert set(found) == {(1.0, "1"), (2.0, "2")}
    assert 15 <= sum(by_two) <= 45
    assert [pair == (2.0, "2") for pair in answers(server, 100)] == by_two  # a key always meets the same model
    server.deploy(number, mode="canary", share=0.6)
    wider = [pair == (2.0, "2") for pair in answers(server, 100)]
    assert all(after for before, after in zip(by_two, wider, strict=True) if before)
    counted = server.http.get("/rollout").json()
    assert counted["champion"]["requests"] + counted["candidate"]["requests"] == 100
    assert counted["candidate"]["requests"] == sum(wider)
    assert counted["candidate"]["errors"] == 0
    assert server.deploy(number).json()["candidate"] is None  # it becomes the champion
    assert set(answers(server, 20)) == {(2.0, "2")}


def test_a_canary_that_fails_hurts_nobody_and_is_counted(server: Running, shelf: Shelf) -> None:
    server.deploy(odd(shelf, "sometimes", value=2), mode="canary", share=1.0)
    assert answers(server, 3) == [(2.0, "2")] * 3
    found = [server.ask(BAD).json() for _ in range(4)]
    assert [(one["predictions"], one["version"]) for one in found] == [([1.0], "1")] * 4
    counted = server.http.get("/rollout").json()
    assert counted["candidate"]["requests"] == 7
    assert counted["candidate"]["errors"] == 4
    assert counted["champion"]["errors"] == 0
    told = server.http.delete("/candidate", headers=server.token)
    assert told.json()["candidate"] is None
    assert answers(server, 3) == [(1.0, "1")] * 3
    assert server.http.get("/rollout").json()["candidate"]["requests"] == 0


def test_a_shadow_answers_nobody_and_is_logged(server: Running, shelf: Shelf, tmp_path: Path) -> None:
    server.deploy(odd(shelf, "sometimes", value=2), mode="shadow")
    assert set(answers(server, 10)) == {(1.0, "1")}
    assert server.ask(BAD).json()["version"] == "1"
    assert eventually(lambda: server.http.get("/rollout").json()["candidate"]["requests"] == 11)
    counted = server.http.get("/rollout").json()
    assert counted["champion"] | {"slow": 0} == {"requests": 11, "errors": 0, "slow": 0}
    assert counted["candidate"]["errors"] == 1
    assert (counted["copied"], counted["differ"]) == (10, 10)

    def logged(mode: str) -> list[dict[str, Any]]:
        return [row for b in read_predictions(UPath(tmp_path / "log"), "m", modes=[mode]) for row in b.to_pylist()]

    assert eventually(lambda: len(logged("shadow")) == 10)
    online, shadow = logged("online"), logged("shadow")
    assert len(online) == 11
    assert {row["prediction"] for row in online} == {1.0}
    assert {(row["prediction"], row["version"]) for row in shadow} == {(2.0, 2)}
    assert {row["id"] for row in shadow} < {row["id"] for row in online}


def test_the_alias_is_followed(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    server = serve(follow=0.1)
    bad, good = odd(shelf, "error"), odd(shelf, value=3)
    shelf.set_alias("m", "champion", bad)
    assert eventually(lambda: server.http.get("/version").json()["last_error"])
    assert answers(server, 1) == [(1.0, "1")]
    shelf.away(True)
    assert eventually(lambda: server.http.get("/version").json()["last_error"]["code"] == "ServiceUnavailable")
    assert answers(server, 1) == [(1.0, "1")]
    shelf.away(False)
    shelf.set_alias("m", "champion", good)
    assert eventually(lambda: server.version() == good)
    assert server.http.get("/version").json()["last_error"] is None


def test_deploys_at_once_take_turns(server: Running, shelf: Shelf) -> None:
    numbers = [odd(shelf, value=value) for value in (2, 3, 4)]
    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(server.deploy, numbers))
    assert [one.status_code for one in told] == [200] * 3
    last = server.version()
    assert last in numbers
    assert answers(server, 1) == [(float(last), str(last))]


def test_what_is_slow_is_slow_beside_the_champion() -> None:
    rollout = Rollout()
    for number in range(200):
        rollout.add(candidate=False, milliseconds=10 + number % 20)
    for number in range(100):
        rollout.add(candidate=True, milliseconds=100 if number % 2 else 10)
    told = rollout.to_json()
    assert told["candidate"] == {"requests": 100, "errors": 0, "slow": 50}
    assert 0 < told["champion"]["slow"] <= 15
