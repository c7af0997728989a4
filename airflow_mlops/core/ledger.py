"""What was in production, since when and why: one tag per entry on the registered model, never rewritten."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlops.core import tags
from airflow_mlops.core.pins import pinned
from airflow_mlops.core.registry import Registry
from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import RegistryError


@dataclass(frozen=True)
class LedgerEntry:
    """One change of the champion, or of its pin. ``at`` is when it was written, by the writer's clock."""

    sequence: int
    at: str
    previous: int | None
    champion: int | None
    as_of: str
    actor: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    pinned: int | None = None

    @property
    def tag(self) -> str:
        """The entry's own tag: the same change told twice (a retry, two copies of a task) has the same name."""
        fact = digest([self.previous, self.champion, self.pinned, self.actor, self.reason])
        return f"{tags.LEDGER}{self.sequence:06d}.{fact[:8]}"


def history(model_tags: Mapping[str, str]) -> list[LedgerEntry]:
    """All entries, oldest first."""
    found = (_read(key, value) for key, value in model_tags.items() if key.startswith(tags.LEDGER))
    return sorted(found, key=lambda e: (e.sequence, e.at))


def _read(tag: str, text: str) -> LedgerEntry:
    try:
        return LedgerEntry(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise RegistryError(
            f"The tag {tag} holds no entry of the ledger ({error}): somebody wrote it by hand."
        ) from error


def in_force_at(entries: list[LedgerEntry], moment: datetime) -> int | None:
    """The version that was champion at an instant."""
    before = [entry for entry in entries if instant(entry.at) <= moment]
    return before[-1].champion if before else None


def previous(entries: list[LedgerEntry], of: int, among: Container[int] | None = None) -> int | None:
    """The version in force before another took its place for the last time; of those among which it must be, if told.

    >>> one, two, three = (LedgerEntry(n, "2026-11-01", None, n, "2026-11-01", "me", "") for n in (1, 2, 3))
    >>> previous([one, two, three, two], of=2), previous([one, two, three, two], of=2, among={1, 2})
    (3, 1)
    """
    champions = [entry.champion for entry in entries]
    last = max((place for place, number in enumerate(champions) if number == of), default=len(champions))
    before = (number for number in reversed(champions[:last]) if number not in (None, of))
    return next((number for number in before if among is None or number in among), None)


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
    """Write an entry if champion or pin are not the last entry's; that also repairs a crash before the writing."""
    model_tags = registry.model_tags(name)
    entries, pin = history(model_tags), pinned(model_tags)
    before, pin_before = (entries[-1].champion, entries[-1].pinned) if entries else (None, None)
    if (champion, pin) == (before, pin_before):
        return None
    entry = LedgerEntry(len(entries) + 1, at.isoformat(), before, champion, as_of, actor, reason, evidence, pin)
    registry.tag_model(name, entry.tag, json.dumps(asdict(entry), sort_keys=True))
    return entry
