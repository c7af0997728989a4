"""Which version a candidate is weighed against, and when the comparison would not be fair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.promotion import eligible, order_key
from airflow_mlops.core.registry import ModelVersion, Registry
from airflow_mlops.core.run_types import historical
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import NotFound


@dataclass(frozen=True)
class Champion:
    """A version, or the reason why the one in force is not compared; both None where nothing is in force."""

    version: ModelVersion | None = None
    excluded: str | None = None


def find_champion(
    registry: Registry, candidate: TrainedModel, *, alias: str = "champion", run_type: str = "live"
) -> Champion:
    """The champion of now for a live run, the one in force at the as-of (by the ledger) for a backfill."""
    name = candidate.model
    if historical(run_type):
        entries = ledger.history(registry.model_tags(name))
        number = ledger.in_force_at(entries, instant(candidate.facts[tags.AS_OF]))
    else:
        number = registry.alias(name, alias)
    if number is None:
        return Champion()
    try:
        version = registry.version(name, number)
    except NotFound:
        return Champion(excluded=f"Version {number}, the champion, was deleted.")
    reason = unfair(version, candidate)
    if reason is None:
        return Champion(version)
    # An old live run that is cleared meets a champion that is newer than itself: the one before it is the measure.
    older = [v for v in eligible(registry.versions(name)) if _as_of(v) <= instant(candidate.facts[tags.AS_OF])]
    fair = max((v for v in older if unfair(v, candidate) is None), key=order_key, default=None)
    return Champion(fair) if fair else Champion(excluded=f"Version {number}, the champion, {reason}.")


def _as_of(version: ModelVersion) -> datetime:
    return order_key(version)[0]


def unfair(champion: ModelVersion, candidate: TrainedModel) -> str | None:
    """Why the champion cannot be scored on the candidate's test rows, or None."""
    theirs, ours = champion.tags, candidate.facts
    if theirs.get(tags.KEY) == ours[tags.KEY]:
        return "is this very model"
    end, start = theirs.get(tags.TRAIN_END, tags.UNKNOWN), ours[tags.TEST_START]
    if tags.UNKNOWN not in (end, start):
        return None if instant(end) <= instant(start) else f"was trained on rows of this test (up to {end[:10]})"
    # Data without a time is split at random: only the same split of the same rows keeps the test unseen.
    same = (tags.DATA_VERSION, tags.SEED)
    if all(theirs.get(name) == ours[name] for name in same) and _test_size(theirs) == _test_size(ours):
        return None
    return "was trained on another split of the data, perhaps on rows of this test"


def _test_size(facts: Mapping[str, str]) -> Any:
    return json.loads(facts.get(tags.SPEC, "{}")).get("test_size")
