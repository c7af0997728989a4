"""What moves the champion: promotion, rollback and pins. Each writes tags, reconciles the alias, then the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.pins import Pin, check_pinnable, pin_of
from airflow_mlops.core.promotion import (
    Retraction,
    approve,
    barred,
    plan_rollback,
    reconcile,
    retract,
    rightful_champion,
)
from airflow_mlops.core.registry import ModelVersion, Registry
from airflow_mlops.exceptions import ConfigurationError, RegistryError, ServiceUnavailable

#: Rounds of alias and ledger before giving up; each lost one means that somebody else moved the champion meanwhile.
_ROUNDS = 10


@dataclass(frozen=True)
class Promotion:
    """How a promotion ended.

    :param champion: the version that the alias points at now
    :param promoted: whether that is the version of this promotion; an older as-of never displaces a newer one
    """

    name: str
    alias: str
    version: int
    champion: int | None
    promoted: bool
    reason: str
    as_of: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rollback:
    """How a rollback ended.

    :param version: the version that it went back to
    :param champion: the version that the alias points at now
    :param rolled_back: whether these are the same; a pin, or what was approved since, stands above a rollback
    :param retracted: the versions that this rollback retracted, now or when it was first tried
    """

    name: str
    alias: str
    version: int
    champion: int | None
    rolled_back: bool
    retracted: Sequence[int]
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "retracted": list(self.retracted)}


@dataclass(frozen=True)
class Pinning:
    """How a pin or its lifting ended: the pinned version or None, and the version that the alias points at now."""

    name: str
    alias: str
    pinned: int | None
    champion: int | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def promote(
    registry: Registry,
    *,
    name: str,
    version: int,
    alias: str = "champion",
    reason: str,
    actor: str,
    evidence: dict[str, Any] | None = None,
) -> Promotion:
    """Make a version champion if it is the newest approved one; safe to repeat, and by many at once.

    A version that was retracted or superseded stays so: the outcome says why.

    :param actor: who promotes: the Airflow run's URL, or a person
    :raises RegistryError: the version does not say which as-of it is about
    """
    check_name(name)
    check_alias(alias)
    chosen = registry.version(name, version)
    as_of = chosen.tags.get(tags.AS_OF, tags.UNKNOWN)
    if as_of == tags.UNKNOWN:
        raise RegistryError(
            f"Version {version} of model {name} names no as-of: register it with RegisterModelOperator."
        )
    bar = barred(chosen)
    if bar is None:
        approve(registry, chosen, as_of)
    champion = _number(settle(registry, name, alias, actor=actor, reason=reason, of=version, evidence=evidence))
    promoted = champion == version
    if not promoted:
        reason = bar or f"Version {champion} of model {name} stays its {alias}: it is of a newer as-of, or pinned."
    return Promotion(name, alias, version, champion, promoted, reason, as_of)


def rollback(
    registry: Registry,
    name: str,
    *,
    alias: str = "champion",
    to: int | str | datetime = "previous",
    reason: str,
    actor: str,
    deed: str | None = None,
) -> Rollback:
    """Go back to a version: retract every approved one above it, and reconcile.

    Each retraction names the deed and all that the deed retracts, so that a repetition finishes what was begun, and
    finds nothing to do when it was finished.

    :param to: ``previous`` (by the ledger, of those that may still serve), a version number, or an instant
    :param deed: the same for each try of one rollback, such as the Airflow task's URL; None for a deed of its own
    :raises RegistryError: the model is pinned, or there is nothing to go back to; nothing is retracted then
    """
    check_name(name)
    check_alias(alias)
    _check_said(actor, reason)
    deed = deed or uuid.uuid4().hex
    # Versions first: an overlapping copy of this deed that has written to the ledger shows in them by then.
    versions = registry.versions(name)
    plan = plan_rollback(name, versions, registry.model_tags(name), to=to, deed=deed)
    retraction = Retraction(reason, actor, _now().isoformat(), deed, plan.to, plan.versions)
    for version in versions:
        if version.version in plan.versions:
            retract(registry, version, retraction)
    evidence = {"to": str(to), "retracted": list(plan.versions)}
    champion = _number(settle(registry, name, alias, actor=actor, reason=reason, of=plan.to, evidence=evidence))
    return Rollback(name, alias, plan.to, champion, champion == plan.to, plan.versions, reason)


def pin(registry: Registry, name: str, version: int, *, alias: str = "champion", reason: str, actor: str) -> Pinning:
    """Make a version champion by the word of a person, until it is unpinned or another is pinned.

    :param actor: the person
    :raises RegistryError: the version is not there, not ready, or superseded
    """
    check_name(name)
    check_alias(alias)
    _check_said(actor, reason)
    check_pinnable(registry.version(name, version))
    registry.tag_model(name, tags.PINNED, Pin(version, actor, reason, _now().isoformat()).tag_value)
    champion = settle(registry, name, alias, actor=actor, reason=reason, of=version)
    return Pinning(name, alias, version, _number(champion), reason)


def unpin(registry: Registry, name: str, *, alias: str = "champion", reason: str, actor: str) -> Pinning:
    """Lift the pin: the newest approved version is champion again.

    :raises RegistryError: nothing else is approved, so that the model would be left without a champion
    """
    check_name(name)
    check_alias(alias)
    _check_said(actor, reason)
    if rightful_champion(registry.versions(name)) is None:
        raise RegistryError(f"Model {name} has no approved version to be champion: promote or pin another one first.")
    if pin_of(registry.model_tags(name)):
        registry.tag_model(name, tags.PINNED, Pin(None, actor, reason, _now().isoformat()).tag_value)
    champion = settle(registry, name, alias, actor=actor, reason=reason)
    return Pinning(name, alias, None, _number(champion), reason)


def settle(
    registry: Registry,
    name: str,
    alias: str,
    *,
    actor: str,
    reason: str = "reconciled",
    of: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> ModelVersion | None:
    """Point the alias at the rightful champion, and write the ledger; also mends what a crash or a hand left.

    :param of: the version that the reason is about; the ledger calls any other champion reconciled
    """
    _claim(registry, name, alias)
    for _ in range(_ROUNDS):
        champion = reconcile(registry, name, alias)
        if champion is None:
            return None
        ledger.record(
            registry,
            name,
            champion=champion.version,
            as_of=champion.tags.get(tags.AS_OF, tags.UNKNOWN),
            at=_now(),
            actor=actor,
            reason=reason if of in (None, champion.version) else "reconciled",
            evidence=evidence or {},
        )
        # Somebody may have promoted between the alias and the entry: then the entry is old news already.
        last = ledger.history(registry.model_tags(name))[-1]
        if last.champion == champion.version == registry.alias(name, alias):
            return champion
    raise ServiceUnavailable(f"The champion of model {name} kept moving for {_ROUNDS} rounds: try again.")


def _claim(registry: Registry, name: str, alias: str) -> None:
    """A model has one champion alias: approvals, pins and the ledger speak of that one."""
    claimed = registry.model_tags(name).get(tags.ALIAS)
    if claimed is None:
        registry.tag_model(name, tags.ALIAS, alias)
    elif claimed != alias:
        raise ConfigurationError(
            f"Model {name} has its champion at the alias {claimed}: {alias} would be a second one."
        )


def _check_said(actor: str, reason: str) -> None:
    for what, text in (("actor", actor), ("reason", reason)):
        if not text.strip():
            raise ConfigurationError(f"The {what} is empty: say who and why, it goes to the ledger.")


def _number(version: ModelVersion | None) -> int | None:
    return version.version if version else None


def _now() -> datetime:
    return datetime.now(UTC)
