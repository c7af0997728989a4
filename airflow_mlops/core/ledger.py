"""What was in production, since when and why: one tag per entry on the registered model, never rewritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlops.core import tags
from airflow_mlops.core.registry import Registry
from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.windows import instant


@dataclass(frozen=True)
class LedgerEntry:
    """One change of the champion. ``at`` is when it was written, by the writer's clock."""

    sequence: int
    at: str
    previous: int | None
    champion: int | None
    as_of: str
    actor: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The entry's own tag: the same change told twice (a retry, two copies of a task) has the same name."""
        fact = digest([self.previous, self.champion, self.actor, self.reason])
        return f"{tags.LEDGER}{self.sequence:06d}.{fact[:8]}"


def history(model_tags: Mapping[str, str]) -> list[LedgerEntry]:
    """All entries, oldest first."""
    texts = (value for key, value in model_tags.items() if key.startswith(tags.LEDGER))
    return sorted((LedgerEntry(**json.loads(text)) for text in texts), key=lambda e: (e.sequence, e.at))


def in_force_at(entries: list[LedgerEntry], moment: datetime) -> int | None:
    """The version that was champion at an instant."""
    before = [entry for entry in entries if instant(entry.at) <= moment]
    return before[-1].champion if before else None


def record(
    registry: Registry,
    name: str,
    *,
    champion: int | None,
    as_of: str,
    at: datetime,
    actor: str,
    reason: str,
    evidence: Mapping[str, Any],
) -> LedgerEntry | None:
    """Write an entry if the champion is not the last entry's; that also repairs a crash before the writing."""
    entries = history(registry.model_tags(name))
    previous = entries[-1].champion if entries else None
    if champion == previous:
        return None
    entry = LedgerEntry(len(entries) + 1, at.isoformat(), previous, champion, as_of, actor, reason, evidence)
    registry.tag_model(name, entry.tag, json.dumps(asdict(entry), sort_keys=True))
    return entry
