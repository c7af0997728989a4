"""What stands where: which version is in production since when, and what became of the other models."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.pins import Pin, pin_of
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.tracking import LoggedModel
from airflow_mlops.core.windows import instant


@dataclass(frozen=True)
class Standing:
    """One trained model of a name, registered or not, and what became of it.

    :param state: champion, approved, retracted, superseded, refused, historical, or what it waits for
    :param facts: its tags, those of the version before those of the logged model
    """

    state: str
    model_id: str | None
    version: int | None
    run_id: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"version {self.version}" if self.version is not None else self.model_id or tags.UNKNOWN

    @property
    def as_of(self) -> datetime | None:
        text = self.facts.get(tags.AS_OF, tags.UNKNOWN)
        return None if text == tags.UNKNOWN else instant(text)

    @property
    def verdict(self) -> str:
        return self.facts.get(tags.VERDICT, "none")

    @property
    def metrics(self) -> dict[str, float]:
        """The figures on its test that are numbers."""
        told = _read(self.facts, tags.METRICS)
        return {name: value for name, value in told.items() if isinstance(value, int | float) and math.isfinite(value)}

    @property
    def spec(self) -> dict[str, Any]:
        return _read(self.facts, tags.SPEC)

    @property
    def primary_metric(self) -> str | None:
        """What it was judged by; the first figure where its record does not say."""
        return _read(self.facts, tags.EVALUATION).get("metric") or next(iter(self.metrics), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "model_id": self.model_id,
            "version": self.version,
            "run_id": self.run_id,
            "state": self.state,
            "as_of": self.facts.get(tags.AS_OF, tags.UNKNOWN),
            "run_type": self.facts.get(tags.RUN_TYPE, tags.UNKNOWN),
            "verdict": self.verdict,
            "verdict_summary": self.facts.get(tags.VERDICT_SUMMARY, tags.UNKNOWN),
            "metrics": self.metrics,
            "spec": self.spec,
            "data_version": self.facts.get(tags.DATA_VERSION, tags.UNKNOWN),
            "code_version": self.facts.get(tags.CODE_VERSION, tags.UNKNOWN),
        }


@dataclass(frozen=True)
class Reign:
    """A stretch of time in which one version was champion; ``until`` is None while it lasts."""

    version: int
    as_of: str
    since: str
    until: str | None
    actor: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class ModelStatus:
    """A registered model at a glance; the standings are the newest as-of first."""

    name: str
    alias: str
    champion: int | None
    reign: Reign | None
    pin: Pin | None
    standings: Sequence[Standing]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "alias": self.alias,
            "champion": self.champion,
            "since": self.reign and self.reign.to_json(),
            "pin": self.pin and dict(vars(self.pin)),
            "models": [standing.to_json() for standing in self.standings],
        }


def state_of(version: ModelVersion, champion: int | None) -> str:
    """What became of a version.

    >>> state_of(ModelVersion("m", 1, "s", tags={tags.APPROVED: "2026-10-01", tags.RETRACTED: "wrong"}), 2)
    'retracted'
    >>> state_of(ModelVersion("m", 1, "s", tags={tags.VERDICT: "hold"}), 2)
    'refused'
    """
    if version.version == champion:
        return "champion"
    for tag, state in ((tags.SUPERSEDED_BY, "superseded"), (tags.RETRACTED, "retracted"), (tags.APPROVED, "approved")):
        if tag in version.tags:
            return state
    return "refused" if version.tags.get(tags.VERDICT, "promote") != "promote" else "not approved"


def _read(facts: Mapping[str, str], tag: str) -> dict[str, Any]:
    """A record that a tag holds as JSON; empty where nobody knows it."""
    try:
        found = json.loads(facts.get(tag, "{}"), parse_constant=str)  # of a NaN no JSON can be made again
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unregistered(model: LoggedModel) -> str:
    verdict = model.tags.get(tags.VERDICT)
    if tags.SUPERSEDED_BY in model.tags:
        return "superseded"
    if model.tags.get(tags.RUN_TYPE, "live") != "live":
        return "historical"
    return "not judged" if verdict is None else "refused" if verdict != "promote" else "not registered"


def standings(models: Iterable[LoggedModel], versions: Iterable[ModelVersion], champion: int | None) -> list[Standing]:
    """Every model of a name once, the newest as-of first, of equal ones the higher version number."""
    logged = {model.model_id: model for model in models}
    found = []
    for version in versions:
        model = logged.pop(version.model_id, None) if version.model_id else None
        facts = {**(model.tags if model else {}), **version.tags}
        found.append(Standing(state_of(version, champion), version.model_id, version.version, version.run_id, facts))
    found += [Standing(_unregistered(m), m.model_id, None, m.run_id, m.tags) for m in logged.values()]
    return sorted(found, key=lambda s: (s.facts.get(tags.AS_OF, ""), s.version or 0), reverse=True)


def reign_at(entries: Sequence[ledger.LedgerEntry], moment: datetime) -> Reign | None:
    """The champion at an instant, since when and until when.

    >>> one, pin, two = (ledger.LedgerEntry(n, f"2026-1{n - 1}-02", None, v, "2026-10-01", "me", f"reason {n}")
    ...                  for n, v in ((1, 1), (2, 1), (3, 2)))
    >>> found = reign_at([one, pin, two], instant("2026-11-15"))
    >>> found.version, found.since, found.until, found.reason
    (1, '2026-10-02', '2026-12-02', 'reason 1')
    """
    begins, reign = None, None
    for entry in entries:
        if instant(entry.at) > moment:
            if begins and entry.champion != begins.champion:
                return _reign(begins, entry.at)
        elif begins is None or entry.champion != begins.champion:
            begins = entry
        reign = _reign(begins, None) if begins else None
    return reign


def _reign(entry: ledger.LedgerEntry, until: str | None) -> Reign | None:
    if entry.champion is None:
        return None
    return Reign(entry.champion, entry.as_of, entry.at, until, entry.actor, entry.reason)


def describe_status(
    name: str,
    *,
    models: Iterable[LoggedModel],
    versions: Sequence[ModelVersion],
    model_tags: Mapping[str, str],
    champion: int | None,
    now: datetime,
) -> ModelStatus:
    """Put together what a registry tells of one model."""
    return ModelStatus(
        name,
        model_tags.get(tags.ALIAS, "champion"),
        champion,
        reign_at(ledger.history(model_tags), now),
        pin_of(model_tags),
        standings(models, versions, champion),
    )
