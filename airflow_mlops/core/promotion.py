"""The champion is the newest approved version: told by tags, never by who came last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from airflow_mlops.core import tags
from airflow_mlops.core.registry import ModelVersion, Registry
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ServiceUnavailable

#: Rounds before giving up; each lost round means that somebody else approved something newer meanwhile.
_ROUNDS = 20


def order_key(version: ModelVersion) -> tuple[datetime, int]:
    """Newest as-of first in rank, then the higher number."""
    return instant(version.tags[tags.APPROVED]), version.version


def eligible(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Versions that may be champion: ready, approved, neither retracted nor superseded."""
    return [
        v
        for v in versions
        if v.status == "READY" and tags.APPROVED in v.tags and tags.RETRACTED not in v.tags and not v.superseded
    ]


def rightful_champion(versions: Iterable[ModelVersion]) -> ModelVersion | None:
    """The version that the alias ought to point at, or None when nothing is approved.

    >>> old = ModelVersion("m", 1, "s", tags={tags.APPROVED: "2026-10-01"})
    >>> late = ModelVersion("m", 2, "s", tags={tags.APPROVED: "2026-09-01"})
    >>> rightful_champion([old, late]).version
    1
    """
    return max(eligible(versions), key=order_key, default=None)


def approve(registry: Registry, version: ModelVersion, as_of: str) -> None:
    """Say that a version may be champion, with its place in the order."""
    registry.tag_version(version.name, version.version, tags.APPROVED, as_of)


def reconcile(registry: Registry, name: str, alias: str) -> ModelVersion | None:
    """Point the alias at the rightful champion, and read back until two looks agree.

    Setting an alias is unconditional in MLflow (the last writer wins), so the alias is derived from the tags again
    and again instead of being assigned once.
    """
    settled = False
    for _ in range(_ROUNDS):
        best = rightful_champion(registry.versions(name))
        if best is None:
            return None
        if registry.alias(name, alias) == best.version:
            if settled:
                return best
            settled = True
        else:
            registry.set_alias(name, alias, best.version)
            settled = False
    raise ServiceUnavailable(f"Alias {alias} of model {name} kept moving for {_ROUNDS} rounds: try again.")
