"""Deployments: repeated, raced, killed, lost on the way; at the end the target holds what the alias says."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.clients.folder import FolderTarget
from airflow_mlops.core import tags
from airflow_mlops.core.deployment import Deployed, Mode, Standing, Trial, Wanted
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.exceptions import (
    ConfigurationError,
    DeploymentError,
    DigestMismatch,
    NotFound,
    Outdated,
    ServiceUnavailable,
    UntrustedModel,
)
from airflow_mlops.steps import deployment
from airflow_mlops.steps.deployment import Request, deploy, plan
from airflow_mlops.steps.promotion import pin, promote, rollback
from airflow_mlops.testing.registry import InMemoryRegistry

CHAMPION = Request(ModelRef("m", alias="champion"))


@dataclass
class Shelf:
    """A target in memory; each of its changes can be disturbed."""

    held: Standing = field(default_factory=Standing)
    puts: list[Wanted] = field(default_factory=list)
    #: Called before and after a put, with what is put.
    before: Any = None
    after: Any = None
    address: str = "shelf://here"
    modes: frozenset[Mode] = frozenset(("champion", "canary", "shadow"))
    takes_files: bool = False

    def standing(self, name: str) -> Standing:
        return self.held

    def put(self, wanted: Wanted, files: Path | None) -> None:
        if self.before:
            self.before(wanted)
        self.puts.append(wanted)
        if wanted.mode == "champion":
            self.held = Standing(wanted.deployed)
        else:
            self.held = Standing(self.held.champion, Trial(wanted.deployed, wanted.mode, wanted.share))
        if self.after:
            self.after(wanted)

    def withdraw(self, name: str) -> None:
        self.held = Standing(self.held.champion)

    def close(self) -> None: ...


@dataclass
class Client:
    """As much of MLflow as a deployment asks for."""

    registry: InMemoryRegistry = field(default_factory=InMemoryRegistry)
    tracking: Any = None

    def add(self, as_of: str) -> int:
        """A version, not approved."""
        self.registry.ensure_model("m")
        number = len(self.registry.versions("m")) + 1
        facts = {tags.AS_OF: as_of, tags.DIGEST: f"d{number}"}
        return self.registry.create_version("m", f"models:/m-{number}", None, facts).version

    def promoted(self, as_of: str) -> int:
        number = self.add(as_of)
        promote(self.registry, name="m", version=number, reason="better", actor="test")
        return number


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "_PAUSE", 0.0)


@pytest.fixture
def client() -> Any:
    client = Client()
    client.promoted("2026-09-01")
    return client


def there(shelf: Shelf) -> int | None:
    return shelf.held.champion.version if shelf.held.champion else None


def test_what_is_live_is_left_alone(client: Any) -> None:
    shelf = Shelf()
    first, again = deploy(client, shelf, CHAMPION), deploy(client, shelf, CHAMPION)
    assert (first.changed, first.version, first.previous, first.settled) == (True, 1, None, True)
    assert (again.changed, again.version, again.previous) == (False, 1, 1)
    assert again.reason == "Version 1 of model m is there already, as champion."
    assert len(shelf.puts) == 1


def test_a_late_event_deploys_what_the_alias_says_now(client: Any) -> None:
    shelf = Shelf()
    client.promoted("2026-11-01")
    client.promoted("2026-10-01")  # arrives last, is older
    for _ in range(3):
        deploy(client, shelf, CHAMPION)
    assert [wanted.deployed.version for wanted in shelf.puts] == [2]


def test_going_back_is_deploying_again(client: Any) -> None:
    shelf = Shelf()
    client.promoted("2026-10-01")
    deploy(client, shelf, CHAMPION)
    rollback(client.registry, "m", reason="wrong", actor="ada")
    found = deploy(client, shelf, CHAMPION)
    assert (found.version, found.previous, there(shelf)) == (1, 2, 1)
    with pytest.raises(DeploymentError, match=r"Version 2 of model m was retracted \(wrong\)"):
        deploy(client, shelf, Request(ModelRef("m", 2)))
    assert there(shelf) == 1
    assert deploy(client, shelf, Request(ModelRef("m", 2), asked=True)).version == there(shelf) == 2
    pin(client.registry, "m", 2, reason="the audit", actor="ada")
    assert not deploy(client, shelf, CHAMPION).changed


def test_what_nobody_approved_stays_out(client: Any) -> None:
    shelf = Shelf()
    client.registry.set_alias("m", "champion", client.add("2026-12-01"))  # by hand
    with pytest.raises(DeploymentError, match="was not approved"):
        deploy(client, shelf, CHAMPION)
    with pytest.raises(NotFound, match="promote a version first"):
        deploy(client, shelf, Request(ModelRef("nobody", alias="champion")))
    with pytest.raises(ConfigurationError, match="name a version number"):
        Request(CHAMPION.ref, asked=True)
    client.registry.create_version("m", "models:/m-9", None, {tags.APPROVED: "2026-12-02"})
    with pytest.raises(UntrustedModel, match="no digest"):
        deploy(client, shelf, Request(ModelRef("m", 3)))
    assert shelf.puts == []


def test_the_alias_that_moves_meanwhile_is_followed(client: Any) -> None:
    moves = iter(["2026-10-01", "2026-11-01"])
    shelf = Shelf(after=lambda _: [client.promoted(as_of) for as_of in [next(moves, None)] if as_of])
    found = deploy(client, shelf, CHAMPION)
    assert [wanted.deployed.version for wanted in shelf.puts] == [1, 2, 3]
    assert (found.version, found.previous, there(shelf)) == (3, None, 3)


def test_a_number_that_the_alias_left_is_late_and_made_up_for(client: Any) -> None:
    client.promoted("2026-10-01")
    shelf = Shelf()
    with pytest.raises(Outdated, match="Version 1 of model m is not its champion, version 2 is"):
        deploy(client, shelf, Request(ModelRef("m", 1)))
    with pytest.raises(Outdated):
        plan(client, shelf, Request(ModelRef("m", 1)))
    assert shelf.puts == []
    moves = iter(["2026-11-01"])
    shelf.after = lambda _: [client.promoted(as_of) for as_of in moves]  # while version 2 is on its way
    assert deploy(client, shelf, Request(ModelRef("m", 2))).version == there(shelf) == 3


def test_a_plan_changes_nothing(client: Any) -> None:
    shelf = Shelf()
    deployed, decision = plan(client, shelf, CHAMPION)
    assert (deployed, decision.action, shelf.puts) == (Deployed("m", 1, "d1"), "deploy", [])
    deploy(client, shelf, CHAMPION)
    assert plan(client, shelf, CHAMPION)[1].action == "keep"


def test_a_lost_reply_is_no_failure_and_a_lost_request_is_one(client: Any) -> None:
    def lose(_: Wanted) -> None:
        raise ServiceUnavailable("gone")

    after = Shelf(after=lose)
    assert deploy(client, after, CHAMPION).changed
    assert len(after.puts) == 1
    before = Shelf(before=lose)
    with pytest.raises(ServiceUnavailable, match="gone"):
        deploy(client, before, CHAMPION)
    assert there(before) is None


def test_a_target_that_took_it_back_says_why(client: Any) -> None:
    shelf = Shelf()

    def take_back(_: Wanted) -> None:
        shelf.held = Standing(Deployed("m", 0, "d0"), problem="an alarm rang")

    shelf.after = take_back
    with pytest.raises(DeploymentError, match=r"did not keep version 1 of model m: an alarm rang"):
        deploy(client, shelf, CHAMPION)


def test_other_bytes_at_the_target_are_noticed(client: Any) -> None:
    shelf = Shelf()

    def tamper(_: Wanted) -> None:
        shelf.held = Standing(Deployed("m", 1, "other"))

    shelf.after = tamper
    with pytest.raises(DigestMismatch, match="other bytes as version 1"):
        deploy(client, shelf, CHAMPION)
    shelf.after = None
    assert deploy(client, shelf, CHAMPION).changed  # they are replaced
    assert shelf.held.champion == Deployed("m", 1, "d1")


def test_somebody_who_deploys_without_end_is_not_fought_without_end(client: Any) -> None:
    shelf = Shelf()

    def undo(_: Wanted) -> None:
        shelf.held = Standing(Deployed("m", 7, "d7"))

    shelf.after = undo
    with pytest.raises(ServiceUnavailable, match="kept changing"):
        deploy(client, shelf, CHAMPION)
    assert len(shelf.puts) == 5


def test_a_busy_target_is_waited_for_or_left_to_itself(client: Any) -> None:
    shelf = Shelf(Standing(busy=True))
    with pytest.raises(ServiceUnavailable, match="still busy after 0 s"):
        deploy(client, shelf, CHAMPION, patience=0)
    begun = deploy(client, shelf, CHAMPION, wait=False)
    assert (begun.settled, begun.changed) == (False, False)
    looks = iter([Standing(busy=True), Standing(busy=True), Standing()])
    shelf.standing = lambda name: next(looks, shelf.held)  # type: ignore[method-assign]
    shelf.held = Standing()
    assert deploy(client, shelf, CHAMPION).changed


def test_a_trial_stands_beside_the_champion(client: Any) -> None:
    shelf, canary = Shelf(), Request(CHAMPION.ref, "canary", 0.2)
    assert deploy(client, shelf, canary).holds is False  # nothing to stand by
    deploy(client, shelf, CHAMPION)
    assert deploy(client, shelf, canary).holds is False  # the champion itself
    client.promoted("2026-10-01")
    found = deploy(client, shelf, canary)
    assert (found.holds, found.share, found.previous) == (True, 0.2, 1)
    assert shelf.held == Standing(Deployed("m", 1, "d1"), Trial(Deployed("m", 2, "d2"), "canary", 0.2))
    assert not deploy(client, shelf, canary).changed
    assert deploy(client, shelf, CHAMPION).version == 2


def test_a_target_says_what_it_cannot_hold(client: Any, tmp_path: Path) -> None:
    from upath import UPath

    with pytest.raises(DeploymentError, match="cannot hold a canary: it knows champion"):
        deploy(client, FolderTarget(UPath(tmp_path)), Request(CHAMPION.ref, "canary", 0.2))


@pytest.mark.faults("concurrent deployments", rounds=20)
def test_many_at_once_leave_what_the_alias_says(chance: random.Random) -> None:
    """Promotions and deployments in any order, with lost replies: whoever is last to look sets it right."""
    client, shelf, lock = Client(), Shelf(), threading.Lock()
    client.promoted("2026-01-01")
    rolls = [chance.random() for _ in range(400)]

    def lose(_: Wanted) -> None:
        with lock:
            lost = rolls.pop() < 0.2 if rolls else False
        if lost:
            raise ServiceUnavailable("the reply was lost")

    shelf.after = lose

    def work(month: int) -> None:
        for _ in range(10):  # as often as Airflow tries again
            try:
                with lock:
                    client.promoted(f"2026-{month:02}-02")
                deploy(client, shelf, CHAMPION)  # type: ignore[arg-type]
                return
            except ServiceUnavailable:
                continue
        raise AssertionError("never deployed")

    months = chance.sample(range(1, 13), 8)
    threads = [threading.Thread(target=work, args=(month,)) for month in months]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert there(shelf) == client.registry.alias("m", "champion")
