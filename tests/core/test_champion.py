"""Which version a candidate is weighed against: the one in force, and never one that knows the test."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.champion import Champion, find_champion
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.testing.registry import InMemoryRegistry

NAME = "m"


def facts(key: str, **more: str) -> dict[str, str]:
    """A model without a time, split at random."""
    known = {tags.KEY: key, tags.DATA_VERSION: "d", tags.SEED: "0", tags.SPEC: json.dumps({"test_size": 0.25})}
    unknown = dict.fromkeys((tags.TRAIN_END, tags.TEST_START), tags.UNKNOWN)
    return {**known, **unknown, tags.AS_OF: "2026-10-01T00:00:00+00:00", **more}


def candidate(**more: str) -> TrainedModel:
    return TrainedModel(NAME, "m-c", "r", "1", "uri", facts("candidate", **more))


def registry_with(*versions: dict[str, str], champion: int | None = None) -> InMemoryRegistry:
    registry = InMemoryRegistry()
    registry.ensure_model(NAME)
    for number, told in enumerate(versions, 1):
        registry.create_version(NAME, f"models:/m-{number}", None, told)
    if champion:
        registry.set_alias(NAME, "champion", champion)
    return registry


def test_nothing_is_in_force() -> None:
    assert find_champion(InMemoryRegistry(), candidate()) == Champion()
    assert find_champion(registry_with(facts("a")), candidate()) == Champion()
    assert find_champion(InMemoryRegistry(), candidate(), run_type="backfill") == Champion()


def test_a_live_run_meets_the_champion_of_now() -> None:
    registry = registry_with(facts("a"), facts("b"), champion=1)
    found = find_champion(registry, candidate())
    assert found.version is not None
    assert (found.version.version, found.excluded) == (1, None)
    registry.set_alias(NAME, "shadow", 2)
    other = find_champion(registry, candidate(), alias="shadow").version
    assert other is not None
    assert other.version == 2


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [("2026-08-15", None), ("2026-09-01", 1), ("2026-09-15", 1), ("2026-10-15", 2)],
)
def test_a_backfill_meets_the_champion_that_was_in_force_at_its_as_of(as_of: str, expected: int | None) -> None:
    registry = registry_with(facts("a"), facts("b"), champion=2)
    for number, month in ((1, 9), (2, 10)):
        ledger.record(
            registry,
            NAME,
            champion=number,
            as_of=f"2026-{month:02}-01T00:00:00+00:00",
            at=datetime(2026, month, 1, tzinfo=UTC),
            actor="test",
            reason="",
            evidence={},
        )
    found = find_champion(registry, candidate(**{tags.AS_OF: f"{as_of}T00:00:00+00:00"}), run_type="backfill")
    assert (found.version and found.version.version) == expected


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [
        ({}, {tags.KEY: "champion"}, "is this very model"),
        (
            {tags.TRAIN_END: "2026-09-02"},
            {tags.TEST_START: "2026-09-01"},
            "trained on rows of this test .up to 2026-09-02",
        ),
        ({tags.TRAIN_END: "2026-09-01T00:00:01"}, {tags.TEST_START: "2026-09-01"}, "trained on rows of this test"),
        ({tags.TRAIN_END: "2026-09-01"}, {tags.TEST_START: "2026-09-01"}, None),
        ({tags.TRAIN_END: "2026-09-01T02:00:00+02:00"}, {tags.TEST_START: "2026-09-01"}, None),
        ({tags.TRAIN_END: "2026-08-01"}, {tags.TEST_START: "2026-09-01"}, None),
        ({}, {}, None),
        ({tags.DATA_VERSION: "other"}, {}, "another split"),
        ({tags.SEED: "1"}, {}, "another split"),
        ({tags.SPEC: json.dumps({"test_size": 0.5})}, {}, "another split"),
        ({tags.TRAIN_END: "2026-08-01"}, {tags.DATA_VERSION: "other"}, "another split"),
        ({tags.DATA_VERSION: "other"}, {tags.TEST_START: "2026-09-01"}, "another split"),
    ],
)
def test_a_champion_that_may_know_the_test_is_left_out_with_the_reason(
    theirs: dict[str, str], ours: dict[str, Any], reason: str | None
) -> None:
    registry = registry_with(facts("champion", **theirs), champion=1)
    found = find_champion(registry, candidate(**ours))
    if reason is None:
        assert found.version is not None
        assert found.excluded is None
    else:
        assert found.version is None
        assert found.excluded is not None
        assert found.excluded.startswith("Version 1, the champion, ")
        assert re.search(reason, found.excluded)


def test_a_version_that_somebody_registered_by_hand_tells_nothing_and_is_left_out() -> None:
    found = find_champion(registry_with({}, champion=1), candidate())
    assert found.excluded is not None
    assert "another split of the data" in found.excluded


def test_an_old_run_that_is_cleared_meets_the_champion_before_the_one_that_knows_its_test() -> None:
    """Version 3 was trained on the test's rows, version 2 is retracted, version 1 is the newest that is fair."""

    def timed(key: str, month: int, **more: str) -> dict[str, str]:
        day = f"2026-{month:02}-01T00:00:00+00:00"
        ends = {tags.AS_OF: day, tags.APPROVED: day, tags.TRAIN_END: f"2026-{month - 1:02}-01T00:00:00+00:00"}
        return facts(key, **ends, **more)

    registry = registry_with(timed("a", 6), timed("b", 7, **{tags.RETRACTED: "x"}), timed("c", 12), champion=3)
    ours = {tags.AS_OF: "2026-08-01T00:00:00+00:00", tags.TEST_START: "2026-07-01T00:00:00+00:00"}
    found = find_champion(registry, candidate(**ours))
    assert found.version is not None
    assert (found.version.version, found.excluded) == (1, None)


def test_a_champion_that_was_deleted_is_told_and_no_error() -> None:
    registry = registry_with(facts("a"))
    ledger.record(
        registry,
        NAME,
        champion=7,
        as_of="2026-09-01T00:00:00+00:00",
        at=datetime(2026, 9, 1, tzinfo=UTC),
        actor="test",
        reason="",
        evidence={},
    )
    found = find_champion(registry, candidate(), run_type="backfill")
    assert (found.version, found.excluded) == (None, "Version 7, the champion, was deleted.")
