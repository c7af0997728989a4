"""Watching a candidate: what is asked, what is done, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_mlops.core import tags
from airflow_mlops.core.rollout import RolloutPolicy
from airflow_mlops.exceptions import DeploymentError, ServiceUnavailable
from airflow_mlops.steps.rollout import Rollout, watch_rollout
from airflow_mlops.testing.registry import InMemoryRegistry

POLICY = RolloutPolicy(requests=100, champion_requests=100, warm_up=10)


@dataclass
class Server:
    """Answers as the scoring server does; each look finds ten more requests of the candidate, and ninety of the other.

    :param errors: of ten requests the candidate fails so many
    :param away: looks that find nobody
    :param dies_after: looks after which the server itself takes the candidate back
    """

    errors: int = 0
    slow: int = 0
    away: int = 0
    dies_after: int = 10**9
    champion: int = 1
    candidate: int | None = 2
    looks: int = 0
    done: list[Any] = field(default_factory=list)
    error: dict[str, Any] | None = None

    def version(self) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise ServiceUnavailable("away")
        if self.looks >= self.dies_after and self.candidate:
            self.error = {"version": str(self.candidate), "reason": "The process of version 2 ended."}
            self.candidate = None
        trial = {"mode": "canary", "share": 0.1, "package": self._package(self.candidate)} if self.candidate else None
        return {"champion": self._package(self.champion), "candidate": trial, "last_error": self.error}

    def rollout(self) -> dict[str, Any]:
        self.looks += 1
        n = self.looks
        return {
            "champion": {"requests": 90 * n, "errors": n // 2, "slow": 4 * n},
            "candidate": {"requests": 10 * n, "errors": self.errors * n, "slow": self.slow * n},
            "since": "2026-10-01T00:00:00+00:00",
        }

    def deploy(self, version: int) -> dict[str, Any]:
        self.done.append(("deploy", version))
        self.champion, self.candidate = version, None
        return self.version()

    def withdraw(self) -> dict[str, Any]:
        self.done.append("withdraw")
        self.candidate = None
        return self.version()

    def _package(self, version: int | None) -> dict[str, Any]:
        return {"name": "m", "version": version}


@pytest.fixture
def two() -> InMemoryRegistry:
    found = InMemoryRegistry()
    found.ensure_model("m")
    for number in (1, 2):
        found.create_version("m", f"models:/m-{number}", None, {})
    found.set_alias("m", "champion", 2)
    return found


@pytest.fixture
def watch(two: InMemoryRegistry) -> Callable[..., Rollout]:
    def watch(server: Server, **how: Any) -> Rollout:
        return watch_rollout(two, server, **{"name": "m", "policy": POLICY, "sleep": lambda _: None, **how})

    return watch


def test_a_bad_candidate_is_taken_back_and_the_reason_kept(watch: Any, two: InMemoryRegistry) -> None:
    server = Server(errors=3)
    found = watch(server)
    assert (found.verdict.decision, found.version, found.deployed) == ("take_back", 2, False)
    assert server.done == ["withdraw"]
    assert found.looks <= 3
    told = two.version("m", 2).tags[tags.ROLLOUT]
    assert told == found.verdict.summary
    assert told.startswith("Taken back: it failed ")


def test_a_good_one_becomes_what_the_alias_says_it_is(watch: Any, two: InMemoryRegistry) -> None:
    server = Server()
    found = watch(server)
    assert (found.verdict.decision, found.deployed, found.looks) == ("accept", True, 10)
    assert server.done == [("deploy", 2)]
    assert two.version("m", 2).tags[tags.ROLLOUT].startswith("Accepted: it failed 0 of 100 requests")


def test_one_that_nobody_promoted_stays_a_candidate(watch: Any, two: InMemoryRegistry) -> None:
    two.set_alias("m", "champion", 1)
    server = Server()
    found = watch(server)
    assert (found.verdict.decision, found.deployed, server.done) == ("accept", False, [])


def test_a_slow_one_is_taken_back_after_its_warm_up(watch: Any) -> None:
    found = watch(Server(slow=9))
    assert (found.verdict.decision, found.verdict.reason_code) == ("take_back", "slow")
    assert found.looks > 1


def test_an_undecided_one_is_taken_back_when_patience_ends(watch: Any) -> None:
    server = Server()
    found = watch(server, patience=0.0, policy=RolloutPolicy())
    assert (found.verdict.decision, found.verdict.reason_code) == ("take_back", "timeout")
    assert server.done == ["withdraw"]


def test_a_server_that_is_away_is_asked_again(watch: Any) -> None:
    assert watch(Server(away=5)).verdict.decision == "accept"
    with pytest.raises(ServiceUnavailable):
        watch(Server(away=10**6), patience=0.0)


def test_what_an_earlier_try_or_the_server_ended_is_told(watch: Any, two: InMemoryRegistry) -> None:
    died = watch(Server(dies_after=3), version=2)
    assert died.verdict.summary == "Taken back: the server took it back: The process of version 2 ended."
    assert two.version("m", 2).tags[tags.ROLLOUT] == died.verdict.summary
    found = watch(Server(champion=2, candidate=None), version=2)
    assert (found.verdict.decision, found.deployed, found.looks) == ("accept", True, 1)


def test_there_must_be_the_candidate_that_is_meant(watch: Any) -> None:
    with pytest.raises(DeploymentError, match="tries no candidate"):
        watch(Server(candidate=None))
    with pytest.raises(DeploymentError, match="tries version 2 of model m, not 3"):
        watch(Server(), version=3)
    with pytest.raises(DeploymentError, match="serves model m, not other"):
        watch(Server(), name="other")


def test_counts_that_begin_anew_begin_a_new_warm_up(watch: Any) -> None:
    class Restarted(Server):
        def rollout(self) -> dict[str, Any]:
            if self.looks == 4:
                self.looks = 0
                self.restarts += 1
            return super().rollout()

        restarts = 0

    class Once(Restarted):
        def rollout(self) -> dict[str, Any]:
            if self.restarts:
                return Server.rollout(self)
            return super().rollout()

    found = watch(Once(slow=1))
    assert found.verdict.decision == "accept"
    assert found.looks == 14
