"""Promotions in any order, with retries, repeats and backfills between them: production never goes back in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.promotion import order_key
from airflow_mlops.core.registry import Registry, register_once
from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.steps.promotion import promote
from airflow_mlops.testing.registry import InMemoryRegistry
from tests.conftest import FAULT_SEED

DATES, ORDERS = 60, 20
WRITES = ("create_version", "tag_version", "set_alias", "tag_model")


@dataclass(frozen=True)
class Run:
    """A run of one date: a live one or a backfill that its author lets promote; a plain backfill writes nothing."""

    date: int
    kind: str
    faults: tuple[int, ...] = ()


class Faulty:
    """A registry whose writes are cut off: each number is how many writes later, odd ones after the write was done."""

    def __init__(self, registry: Registry, faults: tuple[int, ...]) -> None:
        self._registry = registry
        self._faults = list(faults)
        self._left = faults[0] // 2 if faults else -1

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._registry, name)
        return self._cut(real) if name in WRITES else real

    def _cut(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*args: Any) -> Any:
            self._left -= 1
            if not self._faults or self._left >= 0:
                return write(*args)
            fault = self._faults.pop(0)
            self._left = self._faults[0] // 2 if self._faults else -1
            if fault % 2:
                write(*args)
            raise ServiceUnavailable("cut off")

        return cut


def carry_out(registry: Registry, name: str, run: Run) -> None:
    """Register and promote, again after each fault."""
    if run.kind == "backfill":
        return
    as_of = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=run.date)).isoformat()
    facts, faulty = {tags.KEY: f"key of {run.date}", tags.AS_OF: as_of}, Faulty(registry, run.faults)
    for _ in range(len(run.faults) + 1):
        try:
            version, _ = register_once(faulty, name, source="s3://bucket/model", run_id=None, facts=facts)  # type: ignore[arg-type]
            promote(faulty, name=name, version=version.version, reason="better", actor=f"run {run.date}")  # type: ignore[arg-type]
        except ServiceUnavailable:
            continue
        return
    raise AssertionError("more tries failed than there were faults")


def check_order(registry: Registry, name: str, runs: list[Run], after_each: Callable[[], None] = lambda: None) -> None:
    """No run moves the alias back, and at the end all is as if the runs had come in the order of their dates."""
    champion = None
    for run in runs:
        carry_out(registry, name, run)
        after_each()
        number = registry.alias(name, "champion")
        before, champion = champion, registry.version(name, number) if number else None
        assert before is None or (champion is not None and order_key(champion) >= order_key(before))
    wrote = {f"key of {run.date}" for run in runs if run.kind != "backfill"}
    versions, entries = registry.versions(name), ledger.history(registry.model_tags(name))
    assert sorted(v.tags[tags.KEY] for v in versions) == sorted(wrote)  # one of each key
    assert all(tags.APPROVED in version.tags for version in versions)
    newest = max((run.date for run in runs if run.kind != "backfill"), default=None)
    assert (champion.tags[tags.KEY] if champion else None) == (None if newest is None else f"key of {newest}")
    as_ofs = [entry.as_of for entry in entries]
    assert as_ofs == sorted(set(as_ofs))
    assert not entries or (champion is not None and entries[-1].champion == champion.version)


def shuffled(dates: list[int], chance: Random) -> list[Run]:
    """A run of each date; some are cut off and retried, some cleared and run again later, some a backfill first."""
    runs: list[Run] = []
    for date in dates:
        kind = chance.choice(["live", "live", "backfill", "backfill that promotes"])
        faults = tuple(chance.randrange(8) for _ in range(chance.choice([0, 0, 1, 2])))
        runs.append(Run(date, kind, faults))
    for again in chance.sample(runs, len(runs) // 6):
        runs.insert(chance.randint(0, len(runs)), Run(again.date, "live"))
    return runs


@pytest.mark.faults("shuffles", rounds=10)
def test_no_order_of_promotions_is_ever_a_demotion(
    fault_round: int, record_property: Callable[[str, object], None]
) -> None:
    done = 0

    @seed(f"{FAULT_SEED} {fault_round}")
    @settings(
        max_examples=ORDERS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.permutations(range(DATES)), st.integers(0))
    def orders(dates: list[int], number: int) -> None:
        nonlocal done
        check_order(InMemoryRegistry(), "m", shuffled(dates, Random(number)))
        done += 1

    orders()
    record_property("repetitions", done)
    assert done >= ORDERS


@pytest.mark.faults("shuffles on MLflow")
def test_a_real_server_goes_the_way_of_its_twin(mlflow_uri: str, client: Any, model_name: str, chance: Random) -> None:
    """The same dozen dates on both, compared after each run."""
    twin, registry = InMemoryRegistry(), client.registry
    dates = list(range(12))
    chance.shuffle(dates)
    runs = shuffled(dates, chance)
    ahead = iter(runs)

    def compare() -> None:
        carry_out(twin, model_name, next(ahead))
        assert registry.alias(model_name, "champion") == twin.alias(model_name, "champion")
        ours, theirs = ([(v.version, v.tags, v.status) for v in each.versions(model_name)] for each in (registry, twin))
        assert ours == theirs
        ours, theirs = (
            [
                (e.sequence, e.previous, e.champion, e.actor, e.reason)
                for e in ledger.history(each.model_tags(model_name))
            ]
            for each in (registry, twin)
        )
        assert ours == theirs

    check_order(registry, model_name, runs, after_each=compare)
