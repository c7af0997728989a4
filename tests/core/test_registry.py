"""One contract for every registry: the in-memory twin and a real MLflow server by both clients pass the same tests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.promotion import approve, eligible, reconcile, rightful_champion
from airflow_mlops.core.registry import ModelVersion, Registry, find_registered, register_once
from airflow_mlops.exceptions import NotFound, RegistryError, ServiceUnavailable
from airflow_mlops.testing.registry import InMemoryRegistry

SOURCE = "s3://bucket/model"


def add(registry: Registry, name: str, as_of: str | None = None, **facts: str) -> ModelVersion:
    registry.ensure_model(name)
    version = registry.create_version(name, SOURCE, None, {tags.KEY: "k", **facts})
    if as_of:
        approve(registry, version, as_of)
    return registry.version(name, version.version)


class TestContract:
    def test_an_unknown_model_is_empty_and_not_an_error(self, registry: Registry, model_name: str) -> None:
        assert registry.versions(model_name) == []
        assert registry.model_tags(model_name) == {}
        assert registry.alias(model_name, "champion") is None

    def test_versions_count_from_one_and_keep_their_tags(self, registry: Registry, model_name: str) -> None:
        first, second = add(registry, model_name, a="1"), add(registry, model_name, a="2")
        assert (first.version, second.version) == (1, 2)
        assert second.tags["a"] == "2"
        assert second.source == SOURCE
        assert [v.version for v in registry.versions(model_name, {"a": "2"})] == [2]
        assert [v.version for v in registry.versions(model_name)] == [1, 2]

    def test_a_model_may_be_ensured_again(self, registry: Registry, model_name: str) -> None:
        registry.ensure_model(model_name)
        registry.ensure_model(model_name)
        assert registry.versions(model_name) == []

    def test_all_models_are_listed_by_name(self, registry: Registry, model_name: str) -> None:
        before = registry.names()
        registry.ensure_model(f"{model_name}-b")
        registry.ensure_model(f"{model_name}-a")
        assert registry.names() == sorted([*before, f"{model_name}-a", f"{model_name}-b"])

    def test_a_tag_is_replaced(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name)
        registry.tag_version(model_name, 1, "x", "1")
        registry.tag_version(model_name, 1, "x", "2")
        registry.tag_model(model_name, "y", "3")
        assert registry.version(model_name, 1).tags["x"] == "2"
        assert registry.model_tags(model_name) == {"y": "3"}

    def test_an_alias_moves(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name)
        add(registry, model_name)
        registry.set_alias(model_name, "champion", 1)
        assert registry.alias(model_name, "champion") == 1
        registry.set_alias(model_name, "champion", 2)
        assert registry.alias(model_name, "champion") == 2
        assert registry.alias(model_name, "challenger") is None

    def test_what_does_not_exist_is_not_found(self, registry: Registry, model_name: str) -> None:
        with pytest.raises(NotFound):
            registry.create_version(model_name, SOURCE, None, {})
        registry.ensure_model(model_name)
        for missing in (
            lambda: registry.version(model_name, 7),
            lambda: registry.tag_version(model_name, 7, "a", "b"),
            lambda: registry.set_alias(model_name, "champion", 7),
        ):
            with pytest.raises(NotFound):
                missing()


class TestRegisterOnce:
    def facts(self, key: str = "a" * 64) -> dict[str, str]:
        return {tags.KEY: key, tags.AS_OF: "2026-11-01T00:00:00+00:00"}

    def test_again_finds_the_same_version(self, registry: Registry, model_name: str) -> None:
        first, made = register_once(registry, model_name, source=SOURCE, run_id=None, facts=self.facts())
        again, made_again = register_once(registry, model_name, source=SOURCE, run_id=None, facts=self.facts())
        other, _ = register_once(registry, model_name, source=SOURCE, run_id=None, facts=self.facts("b" * 64))
        assert (first.version, made, again.version, made_again, other.version) == (1, True, 1, False, 2)

    def test_a_lost_reply_makes_no_second_version(self, registry: Registry, model_name: str) -> None:
        lossy = LosesReplies(registry)
        version, _ = register_once(lossy, model_name, source=SOURCE, run_id=None, facts=self.facts())
        assert version.version == 1
        assert len(registry.versions(model_name)) == 1

    def test_a_lost_request_is_told(self, registry: Registry, model_name: str) -> None:
        with pytest.raises(ServiceUnavailable):
            register_once(LosesRequests(registry), model_name, source=SOURCE, run_id=None, facts=self.facts())
        assert registry.versions(model_name) == []

    @pytest.mark.faults
    def test_racers_agree_on_the_lowest_version(self, registry: Registry, model_name: str) -> None:
        registry.ensure_model(model_name)
        start = threading.Barrier(4)

        def race() -> int:
            start.wait()
            return register_once(registry, model_name, source=SOURCE, run_id=None, facts=self.facts())[0].version

        with ThreadPoolExecutor(4) as pool:
            winners = {future.result() for future in [pool.submit(race) for _ in range(4)]}
        assert winners == {1}
        assert [v.version for v in find_registered(registry, model_name, self.facts()[tags.KEY])] == [1]


class TestPromotion:
    def test_nothing_approved_is_legal(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name)
        assert reconcile(registry, model_name, "champion") is None
        assert registry.alias(model_name, "champion") is None

    def test_an_older_as_of_never_displaces_a_newer_one(self, registry: Registry, model_name: str) -> None:
        add(registry, model_name, "2026-10-01T00:00:00+00:00")
        add(registry, model_name, "2026-09-01T00:00:00+00:00")
        champion = reconcile(registry, model_name, "champion")
        assert champion is not None
        assert champion.version == registry.alias(model_name, "champion") == 1

    @pytest.mark.parametrize("mark", [tags.RETRACTED, tags.SUPERSEDED_BY])
    def test_retracted_and_superseded_versions_are_passed_over(
        self, registry: Registry, model_name: str, mark: str
    ) -> None:
        add(registry, model_name, "2026-09-01T00:00:00+00:00")
        add(registry, model_name, "2026-10-01T00:00:00+00:00", **{mark: "1"})
        champion = reconcile(registry, model_name, "champion")
        assert champion is not None
        assert champion.version == 1

    @pytest.mark.faults
    def test_concurrent_promoters_end_on_the_newest(self, registry: Registry, model_name: str) -> None:
        days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=7 * i % 40) for i in range(6)]
        versions = [add(registry, model_name) for _ in days]
        start = threading.Barrier(len(days))

        def promote(version: ModelVersion, day: datetime) -> None:
            start.wait()
            approve(registry, version, day.isoformat())
            reconcile(registry, model_name, "champion")

        with ThreadPoolExecutor(len(days)) as pool:
            for future in [pool.submit(promote, v, d) for v, d in zip(versions, days, strict=True)]:
                future.result()
        assert registry.alias(model_name, "champion") == versions[days.index(max(days))].version


approvals = st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), min_size=1, max_size=12)


@given(approvals, st.randoms())
def test_the_champion_does_not_depend_on_the_order_of_approvals(
    facts: list[tuple[int, bool, bool]], random: Any
) -> None:
    registry, name = InMemoryRegistry(), "m"
    registry.ensure_model(name)
    for _ in facts:
        registry.create_version(name, SOURCE, None, {})
    order = list(enumerate(facts, 1))
    random.shuffle(order)
    for number, (day, approved, retracted) in order:
        if retracted:
            registry.tag_version(name, number, tags.RETRACTED, "1")
        if approved:
            approve(registry, registry.version(name, number), f"2026-01-{day + 1:02d}")
            reconcile(registry, name, "champion")
    allowed = [
        (day, number) for number, (day, approved, retracted) in enumerate(facts, 1) if approved and not retracted
    ]
    assert registry.alias(name, "champion") == (max(allowed)[1] if allowed else None)


def test_a_version_that_is_not_ready_is_no_champion() -> None:
    pending = ModelVersion("m", 1, SOURCE, status="PENDING_REGISTRATION", tags={tags.APPROVED: "2026-01-01"})
    assert eligible([pending]) == []
    assert rightful_champion([pending]) is None


class TestLedger:
    def write(self, registry: Registry, name: str, champion: int, day: int) -> ledger.LedgerEntry | None:
        at = datetime(2026, 1, day, tzinfo=UTC)
        return ledger.record(
            registry, name, champion=champion, as_of="2026-01-01", at=at, actor="me", reason="better", evidence={"x": 1}
        )

    def test_it_answers_what_was_in_production(self, registry: Registry, model_name: str) -> None:
        registry.ensure_model(model_name)
        assert self.write(registry, model_name, 1, 5) is not None
        assert self.write(registry, model_name, 2, 9) is not None
        entries = ledger.history(registry.model_tags(model_name))
        assert [(e.sequence, e.previous, e.champion) for e in entries] == [(1, None, 1), (2, 1, 2)]
        found = [ledger.in_force_at(entries, datetime(2026, 1, day, tzinfo=UTC)) for day in (4, 5, 8, 9, 30)]
        assert found == [None, 1, 1, 2, 2]

    def test_the_same_champion_again_writes_nothing(self, registry: Registry, model_name: str) -> None:
        registry.ensure_model(model_name)
        self.write(registry, model_name, 1, 5)
        assert self.write(registry, model_name, 1, 6) is None
        assert len(ledger.history(registry.model_tags(model_name))) == 1


class _Wrapped:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


class LosesReplies(_Wrapped):
    """The server did it, the answer never came."""

    def create_version(self, *args: Any) -> ModelVersion:
        self._registry.create_version(*args)
        raise ServiceUnavailable("reply lost")


class LosesRequests(_Wrapped):
    def create_version(self, *args: Any) -> ModelVersion:
        raise ServiceUnavailable("request lost")


def test_an_error_that_is_no_outage_is_not_swallowed() -> None:
    class Refuses(_Wrapped):
        def create_version(self, *args: Any) -> ModelVersion:
            raise RegistryError("no", code="INVALID_PARAMETER_VALUE")

    with pytest.raises(RegistryError):
        register_once(Refuses(InMemoryRegistry()), "m", source=SOURCE, run_id=None, facts={tags.KEY: "k"})
