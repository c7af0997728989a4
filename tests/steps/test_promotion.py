"""Promotion, rollback and pins, against the in-memory registry and a real MLflow server by both clients."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.pins import Pin, pinned
from airflow_mlops.core.promotion import Retraction, approve, order_key, reconcile, retract
from airflow_mlops.core.registry import ModelVersion, Registry
from airflow_mlops.exceptions import ConfigurationError, NotFound, RegistryError, ServiceUnavailable
from airflow_mlops.steps.promotion import pin, promote, rollback, settle, unpin
from airflow_mlops.testing.registry import InMemoryRegistry

SOURCE = "s3://bucket/model"


def add(registry: Registry, name: str, *months: int) -> None:
    """Register a version for each month, and promote it."""
    registry.ensure_model(name)
    for month in months:
        facts = {tags.AS_OF: f"2026-{month:02}-01T00:00:00+00:00"}
        version = registry.create_version(name, SOURCE, None, facts)
        promote(registry, name=name, version=version.version, reason="better", actor="run")


def back(registry: Registry, name: str, **how: Any) -> Any:
    return rollback(registry, name, **{"reason": "it fails in the south", "actor": "ada", **how})


def retracted(registry: Registry, name: str) -> list[int]:
    return [v.version for v in registry.versions(name) if tags.RETRACTED in v.tags]


def told(registry: Registry, name: str) -> list[tuple[int | None, str]]:
    return [(entry.champion, entry.reason) for entry in ledger.history(registry.model_tags(name))]


class Dies:
    """A registry whose process is killed at its n-th write of one kind."""

    def __init__(self, registry: Registry, method: str, at: int = 1) -> None:
        self._registry, self._method, self._left = registry, method, at

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._left -= 1
            if self._left == 0:
                raise ServiceUnavailable("killed")
        return getattr(self._registry, name)


class TestRollback:
    def test_to_the_previous_champion(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9, 10)
        found = back(registry, model_name)
        assert found.to_json() == {
            "name": model_name,
            "alias": "champion",
            "version": 2,
            "champion": 2,
            "rolled_back": True,
            "retracted": [3],
            "reason": "it fails in the south",
        }
        assert registry.alias(model_name, "champion") == 2
        retraction = Retraction.of(registry.version(model_name, 3))
        assert retraction is not None
        assert (retraction.actor, retraction.reason, retraction.to) == ("ada", "it fails in the south", 2)
        last = ledger.history(registry.model_tags(model_name))[-1]
        assert (last.previous, last.champion, last.actor, last.reason) == (3, 2, "ada", "it fails in the south")
        assert last.evidence == {"to": "previous", "retracted": [3]}

    def test_two_rollbacks_go_back_twice_and_then_there_is_nothing(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9, 10)
        assert [back(registry, model_name).champion for _ in range(2)] == [2, 1]
        before = registry.versions(model_name), registry.model_tags(model_name)
        with pytest.raises(RegistryError, match="no champion before version 1 that may still serve: there is nothing"):
            back(registry, model_name)
        assert (registry.versions(model_name), registry.model_tags(model_name)) == before

    def test_a_repeated_deed_rolls_back_once(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9, 10)
        first = back(registry, model_name, deed="run/task")
        history = told(registry, model_name)
        assert back(registry, model_name, deed="run/task") == first
        assert retracted(registry, model_name) == [3]
        assert told(registry, model_name) == history

    def test_a_repeated_deed_leaves_what_was_promoted_since(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        back(registry, model_name, deed="run/task")
        add(registry, model_name, 10)
        found = back(registry, model_name, deed="run/task")
        assert (found.version, found.champion, found.rolled_back) == (1, 3, False)
        assert retracted(registry, model_name) == [2]

    @pytest.mark.parametrize(
        ("method", "at"), [("tag_version", 1), ("tag_version", 2), ("set_alias", 1), ("tag_model", 1)]
    )
    def test_a_killed_rollback_is_finished_as_it_was_begun(
        self, registry: Registry, model_name: str, method: str, at: int
    ) -> None:
        add(registry, model_name, 7, 8, 9, 10)
        dying: Any = Dies(registry, method, at)
        with pytest.raises(ServiceUnavailable):
            back(dying, model_name, to=2, deed="run/task")
        found = back(registry, model_name, to=2, deed="run/task")
        assert (found.champion, retracted(registry, model_name)) == (2, [3, 4])
        assert told(registry, model_name)[-1] == (2, "it fails in the south")
        assert len(told(registry, model_name)) == 5

    @pytest.mark.faults
    def test_copies_of_a_deed_at_once_roll_back_once(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9, 10)
        start = threading.Barrier(4)

        def race() -> Any:
            start.wait()
            return back(registry, model_name, deed="run/task")

        with ThreadPoolExecutor(4) as pool:
            found = {future.result().champion for future in [pool.submit(race) for _ in range(4)]}
        assert (found, retracted(registry, model_name)) == ({2}, [3])

    def test_what_was_never_champion_between_the_two_is_passed_over(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 10, 9)  # September came late
        found = back(registry, model_name)
        assert (found.champion, found.retracted) == (1, [2, 3])

    def test_to_a_version_and_to_an_instant(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 7, 8)
        between = datetime.now(UTC)
        add(registry, model_name, 9, 10)
        assert back(registry, model_name, to="3").champion == 3
        assert back(registry, model_name, to=between.isoformat()).champion == 2
        assert back(registry, model_name, to=between).retracted == []  # it is in force already
        assert retracted(registry, model_name) == [3, 4]

    @pytest.mark.parametrize(
        ("how", "complaint"),
        [
            ({"to": 7}, "Version 7 of model .* cannot be gone back to"),
            ({"to": 3}, "Version 3 of model .* cannot be gone back to"),
            ({"to": "2020-01-01"}, "had no champion at 2020-01-01"),
            ({"to": "last week"}, "'last week' is not possible"),
            ({"to": "-1"}, "'-1' is not possible"),
            ({"reason": " "}, "reason is empty"),
            ({"actor": ""}, "actor is empty"),
            ({"alias": "latest"}, "reserved by MLflow"),
        ],
    )
    def test_what_cannot_be_done_retracts_nothing(self, how: dict[str, Any], complaint: str) -> None:
        registry = InMemoryRegistry()
        add(registry, "m", 8, 9)
        registry.create_version("m", SOURCE, None, {})  # never approved
        with pytest.raises((ConfigurationError, RegistryError), match=complaint):
            back(registry, "m", **how)
        assert (retracted(registry, "m"), registry.alias("m", "champion")) == ([], 2)

    def test_a_model_that_nobody_knows(self, registry: Registry, model_name: str) -> None:
        with pytest.raises(RegistryError, match="has no champion: there is nothing to go back to"):
            back(registry, model_name)

    def test_a_retracted_version_never_returns_by_itself(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        back(registry, model_name)
        again = promote(registry, name=model_name, version=2, reason="better", actor="run")
        assert (again.promoted, again.champion) == (False, 1)
        assert again.reason.startswith(f"Version 2 of model {model_name} was retracted (it fails in the south)")
        add(registry, model_name, 7)  # the next retrain, of an older date
        settle(registry, model_name, "champion", actor="run")
        assert registry.alias(model_name, "champion") == 1
        add(registry, model_name, 10)
        assert registry.alias(model_name, "champion") == 4

    def test_the_first_reason_of_a_retraction_stands(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        retract(registry, registry.version(model_name, 2), Retraction("first"))
        retract(registry, registry.version(model_name, 2), Retraction("second"))
        retraction = Retraction.of(registry.version(model_name, 2))
        assert retraction is not None
        assert retraction.reason == "first"


class TestPin:
    def test_a_pin_stands_above_what_is_newer_until_it_is_lifted(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        found = pin(registry, model_name, 1, reason="the audit", actor="ada")
        assert (found.pinned, found.champion) == (1, 1)
        add(registry, model_name, 10)
        assert registry.alias(model_name, "champion") == 1
        lifted = unpin(registry, model_name, reason="the audit is over", actor="ada")
        assert (lifted.pinned, lifted.champion) == (None, 3)
        assert told(registry, model_name)[2:] == [(1, "the audit"), (3, "the audit is over")]

    def test_a_pin_of_the_champion_is_told_once_and_so_is_its_end(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8)
        for _ in range(2):
            pin(registry, model_name, 1, reason="holiday", actor="ada")
        for _ in range(2):
            unpin(registry, model_name, reason="back at work", actor="ada")
        entries = ledger.history(registry.model_tags(model_name))
        assert [(e.champion, e.pinned, e.reason) for e in entries] == [
            (1, None, "better"),
            (1, 1, "holiday"),
            (1, None, "back at work"),
        ]

    def test_a_person_brings_a_retracted_version_back(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        back(registry, model_name)
        assert pin(registry, model_name, 2, reason="it was the data", actor="ada").champion == 2
        assert promote(registry, name=model_name, version=2, reason="better", actor="run").promoted
        assert unpin(registry, model_name, reason="enough", actor="ada").champion == 1

    def test_a_pinned_model_is_not_rolled_back(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        pin(registry, model_name, 2, reason="the audit", actor="ada")
        with pytest.raises(RegistryError, match=r"pinned to version 2 by ada \(the audit\), nothing was retracted"):
            back(registry, model_name)
        assert retracted(registry, model_name) == []

    def test_a_pin_that_came_during_a_rollback_wins_and_the_outcome_says_so(
        self, registry: Registry, model_name: str
    ) -> None:
        add(registry, model_name, 8, 9)
        back(registry, model_name, deed="run/task")
        pin(registry, model_name, 2, reason="no", actor="grace")
        found = back(registry, model_name, deed="run/task")
        assert (found.champion, found.rolled_back) == (2, False)

    def test_a_version_that_is_not_there_or_superseded_is_not_pinned(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        with pytest.raises(NotFound):
            pin(registry, model_name, 7, reason="x", actor="ada")
        registry.tag_version(model_name, 2, tags.SUPERSEDED_BY, "1")
        with pytest.raises(RegistryError, match="pin version 1, which is the same model"):
            pin(registry, model_name, 2, reason="x", actor="ada")
        assert pinned(registry.model_tags(model_name)) is None

    def test_a_pin_has_a_name_and_a_reason(self) -> None:
        registry = InMemoryRegistry()
        add(registry, "m", 8)
        for said in ({"reason": "", "actor": "ada"}, {"reason": "x", "actor": " "}):
            with pytest.raises(ConfigurationError, match="is empty"):
                pin(registry, "m", 1, **said)
            with pytest.raises(ConfigurationError, match="is empty"):
                unpin(registry, "m", **said)

    def test_a_pin_is_not_lifted_where_nothing_else_may_be_champion(self, registry: Registry, model_name: str) -> None:
        registry.ensure_model(model_name)
        registry.create_version(model_name, SOURCE, None, {})
        assert pin(registry, model_name, 1, reason="a start", actor="ada").champion == 1
        with pytest.raises(RegistryError, match="has no approved version to be champion"):
            unpin(registry, model_name, reason="x", actor="ada")
        assert pinned(registry.model_tags(model_name)) == 1


class TestLedger:
    def test_a_crash_between_alias_and_ledger_is_mended_by_the_next_reconcile(
        self, registry: Registry, model_name: str
    ) -> None:
        add(registry, model_name, 8)
        registry.create_version(model_name, SOURCE, None, {tags.AS_OF: "2026-09-01"})
        dying: Any = Dies(registry, "tag_model")
        with pytest.raises(ServiceUnavailable):
            promote(dying, name=model_name, version=2, reason="better", actor="run")
        assert (registry.alias(model_name, "champion"), told(registry, model_name)) == (2, [(1, "better")])
        settle(registry, model_name, "champion", actor="run")
        assert told(registry, model_name) == [(1, "better"), (2, "reconciled")]

    def test_an_alias_moved_by_hand_is_put_back_and_the_ledger_survives(
        self, registry: Registry, model_name: str
    ) -> None:
        add(registry, model_name, 8, 9)
        registry.set_alias(model_name, "champion", 1)
        settle(registry, model_name, "champion", actor="run")
        assert registry.alias(model_name, "champion") == 2
        assert told(registry, model_name) == [(1, "better"), (2, "better")]

    def test_an_alias_deleted_by_hand_is_put_back_and_the_ledger_survives(
        self, client: Any, mlflow_uri: str, model_name: str
    ) -> None:
        from mlflow import MlflowClient

        add(client.registry, model_name, 8, 9)
        MlflowClient(mlflow_uri).delete_registered_model_alias(model_name, "champion")
        assert client.registry.alias(model_name, "champion") is None
        settle(client.registry, model_name, "champion", actor="run")
        assert client.registry.alias(model_name, "champion") == 2
        assert told(client.registry, model_name) == [(1, "better"), (2, "better")]

    def test_previous_by_the_ledger(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, 8, 9)
        entries = ledger.history(registry.model_tags(model_name))
        assert [ledger.previous(entries, of=number) for number in (2, 1)] == [1, None]
        assert ledger.previous(entries, of=3) == 2  # the ledger does not know it yet


def registry_of(days: list[int]) -> InMemoryRegistry:
    """The model m, with a version for each of these days of a month."""
    registry = InMemoryRegistry()
    registry.ensure_model("m")
    for day in days:
        registry.create_version("m", SOURCE, None, {tags.AS_OF: f"2026-01-{day:02}"})
    return registry


deeds = st.tuples(st.sampled_from(["approve", "retract", "pin", "unpin", "settle"]), st.integers(1, 5))


@example([2, 1, 1, 1, 1], [("pin", 1), ("settle", 1), ("unpin", 1), ("settle", 1), ("approve", 2)])
@given(st.lists(st.integers(1, 28), min_size=5, max_size=5), st.lists(deeds, max_size=30))
def test_whatever_is_said_in_whatever_order_the_champion_is_the_rightful_one(
    days: list[int], said: list[tuple[str, int]]
) -> None:
    """Tags are written without a reconcile, as if each writer were killed; some reconcile comes at last."""
    registry, name = registry_of(days), "m"
    approved, gone, pin_now = set[int](), set[int](), None
    rank = {number: (day, number) for number, day in enumerate(days, 1)}
    champion, allowed_down = None, False
    for what, number in [*said, ("settle", 0)]:
        version = registry.version(name, number) if number else None
        if what == "settle":
            settle(registry, name, "champion", actor="a")
            before, champion = champion, registry.alias(name, "champion")
            best = pin_now or max(approved - gone, key=rank.__getitem__, default=None)
            assert best is None or champion == best
            if before and champion and rank[champion] < rank[before]:
                assert allowed_down
            # What was pinned without an approval stays, after the pin has gone, until something is approved.
            allowed_down = allowed_down and best is None
            continue
        assert version is not None
        if what == "approve":
            approve(registry, version, version.tags[tags.AS_OF])
            approved.add(number)
        elif what == "retract":
            retract(registry, version, Retraction("x"))
            gone.add(number)
        else:
            pin_now = number if what == "pin" else None
            registry.tag_model(name, tags.PINNED, Pin(pin_now, "a", "r", "2026-01-01").tag_value)
        allowed_down |= what != "approve"
    entries = ledger.history(registry.model_tags(name))
    assert [entry.previous for entry in entries] == [None, *(entry.champion for entry in entries)][: len(entries)]
    if pin_now or approved - gone:
        assert (entries[-1].champion, entries[-1].pinned) == (champion, pin_now)


steps = st.tuples(st.sampled_from(["promote", "rollback", "pin", "unpin"]), st.integers(1, 5))


@given(st.lists(st.integers(1, 28), min_size=5, max_size=5), st.lists(steps, max_size=20))
def test_steps_in_any_order_keep_the_alias_right_and_refuse_without_a_trace(
    days: list[int], said: list[tuple[str, int]]
) -> None:
    registry, name = registry_of(days), "m"
    for what, number in said:
        before = registry.versions(name), registry.model_tags(name), registry.alias(name, "champion")
        by: dict[str, Any] = {"reason": "r", "actor": "a"}
        try:
            if what == "promote":
                promote(registry, name=name, version=number, **by)
            elif what == "rollback":
                rollback(registry, name, to=number, **by)
            elif what == "pin":
                pin(registry, name, number, **by)
            else:
                unpin(registry, name, **by)
        except RegistryError:
            assert (registry.versions(name), registry.model_tags(name), registry.alias(name, "champion")) == before
            continue
        champion: ModelVersion | None = reconcile(registry, name, "champion")
        assert registry.alias(name, "champion") == (champion and champion.version)
        if what == "promote" and (old := before[2]) and champion and old != champion.version:
            assert order_key(champion) > order_key(registry.version(name, old))


def test_a_promotion_between_alias_and_entry_leaves_the_ledger_at_the_champion(
    registry: Registry, model_name: str
) -> None:
    """Another promoter comes after the alias was set and before the entry is written, once."""
    for _ in range(2):
        registry.ensure_model(model_name)
        registry.create_version(model_name, "s3://bucket/model", None, {tags.KEY: "k"})
    for number, day in ((1, "2026-10-01"), (2, "2026-11-01")):
        registry.tag_version(model_name, number, tags.AS_OF, f"{day}T00:00:00+00:00")

    class Overtaken:
        """The registry as the slower of two sees it."""

        overtaken = False

        def __getattr__(self, name: str) -> Any:
            return getattr(registry, name)

        def tag_model(self, name: str, key: str, value: str) -> None:
            if key.startswith(tags.LEDGER) and not self.overtaken:
                self.overtaken = True
                promote(registry, name=model_name, version=2, reason="newer", actor="fast")
            registry.tag_model(name, key, value)

    promote(Overtaken(), name=model_name, version=1, reason="older", actor="slow")  # type: ignore[arg-type]
    entries = ledger.history(registry.model_tags(model_name))
    assert registry.alias(model_name, "champion") == entries[-1].champion == 2


def test_a_model_has_one_champion_alias(registry: Registry, model_name: str) -> None:
    registry.ensure_model(model_name)
    registry.create_version(model_name, "s3://bucket/model", None, {tags.KEY: "k", tags.AS_OF: "2026-10-01"})
    promote(registry, name=model_name, version=1, reason="good", actor="me")
    with pytest.raises(ConfigurationError, match="champion at the alias champion"):
        promote(registry, name=model_name, version=1, alias="challenger", reason="good", actor="me")
    assert registry.alias(model_name, "challenger") is None
