"""The champion is the newest approved version, or the pinned one: told by tags, never by who came last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.pins import pin_of, pinned
from airflow_mlops.core.registry import ModelVersion, Registry
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, RegistryError, ServiceUnavailable

#: Rounds before giving up; each lost round means that somebody else approved something newer meanwhile.
_ROUNDS = 20


@dataclass(frozen=True)
class Retraction:
    """Why a version may never be champion again, and the rollback that said so.

    :param deed: names one rollback, so that its repetition is known as such
    :param to: the version that the rollback went back to
    :param versions: all that this rollback retracts
    """

    reason: str
    actor: str = tags.UNKNOWN
    at: str = tags.UNKNOWN
    deed: str | None = None
    to: int | None = None
    versions: Sequence[int] = ()

    @property
    def tag_value(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, version: ModelVersion) -> Retraction | None:
        """Read back; what a person wrote into the tag by hand is the reason.

        >>> Retraction.of(ModelVersion("m", 1, "s", tags={tags.RETRACTED: "it was wrong"})).reason
        'it was wrong'
        """
        text = version.tags.get(tags.RETRACTED)
        if text is None:
            return None
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError):
            return cls(text)


@dataclass(frozen=True)
class RollbackPlan:
    """The version to go back to, and those to retract for it."""

    to: int
    versions: Sequence[int]


def order_key(version: ModelVersion) -> tuple[datetime, int]:
    """Newest as-of first in rank, then the higher number."""
    return instant(version.tags[tags.APPROVED]), version.version


def barred(version: ModelVersion) -> str | None:
    """Why no approval makes a version champion any more, or None."""
    retraction, subject = Retraction.of(version), f"Version {version.version} of model {version.name}"
    if retraction:
        return f"{subject} was retracted ({retraction.reason}): only a pin by a person brings it back."
    if version.superseded:
        return f"{subject} is superseded by version {version.tags[tags.SUPERSEDED_BY]}, which is the same model."
    return None


def eligible(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Versions that may be champion: ready, approved, neither retracted nor superseded."""
    return [v for v in versions if v.status == "READY" and tags.APPROVED in v.tags and not barred(v)]


def rightful_champion(versions: Iterable[ModelVersion], pin: int | None = None) -> ModelVersion | None:
    """The version that the alias ought to point at, or None when nothing is pinned or approved.

    >>> old = ModelVersion("m", 1, "s", tags={tags.APPROVED: "2026-10-01"})
    >>> late = ModelVersion("m", 2, "s", tags={tags.APPROVED: "2026-09-01"})
    >>> rightful_champion([old, late]).version, rightful_champion([old, late], pin=2).version
    (1, 2)
    """
    known = list(versions)
    named = (v for v in known if v.version == pin and v.status == "READY")
    return next(named, None) or max(eligible(known), key=order_key, default=None)


def approve(registry: Registry, version: ModelVersion, as_of: str) -> None:
    """Say that a version may be champion, with its place in the order."""
    registry.tag_version(version.name, version.version, tags.APPROVED, as_of)


def retract(registry: Registry, version: ModelVersion, retraction: Retraction) -> None:
    """Say that a version may never be champion again; the first word stands."""
    if tags.RETRACTED not in version.tags:
        registry.tag_version(version.name, version.version, tags.RETRACTED, retraction.tag_value)


def reconcile(registry: Registry, name: str, alias: str) -> ModelVersion | None:
    """Point the alias at the rightful champion, and read back until two looks agree.

    Setting an alias is unconditional in MLflow (the last writer wins), so the alias is derived from the tags again
    and again instead of being assigned once.
    """
    settled = False
    for _ in range(_ROUNDS):
        best = rightful_champion(registry.versions(name), pinned(registry.model_tags(name)))
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


def plan_rollback(
    name: str, versions: Sequence[ModelVersion], model_tags: Mapping[str, str], *, to: int | str | datetime, deed: str
) -> RollbackPlan:
    """What a rollback retracts: every approved version above the one that it goes back to.

    A deed that has begun is finished as it was planned, whatever was approved since; one that has ended is not done
    again.

    :raises RegistryError: the model is pinned, or there is nothing to go back to
    """
    begun = (Retraction.of(version) for version in versions)
    for retraction in begun:
        if retraction and retraction.to is not None and retraction.deed == deed:
            return RollbackPlan(retraction.to, retraction.versions)
    if pin := pin_of(model_tags):
        raise RegistryError(
            f"Model {name} is pinned to version {pin.version} by {pin.actor} ({pin.reason}), nothing was retracted: "
            "pin another version, or unpin it first."
        )
    target = _target(name, versions, ledger.history(model_tags), to)
    above = [v for v in versions if tags.APPROVED in v.tags and not barred(v) and order_key(v) > order_key(target)]
    return RollbackPlan(target.version, [v.version for v in above])


def _target(
    name: str, versions: Sequence[ModelVersion], entries: list[ledger.LedgerEntry], to: int | str | datetime
) -> ModelVersion:
    champion = rightful_champion(versions)
    may_serve = {version.version: version for version in eligible(versions)}
    wanted = _number_or_instant(to)
    if champion is None:
        number, what = None, "has no champion"
    elif wanted is None:
        number = ledger.previous(entries, champion.version, may_serve)
        what = f"had no champion before version {champion.version} that may still serve"
    elif isinstance(wanted, datetime):
        number, what = ledger.in_force_at(entries, wanted), f"had no champion at {wanted.isoformat()}"
    else:
        number, what = wanted, ""
    if number is None:
        raise RegistryError(f"Model {name} {what}: there is nothing to go back to, and nothing was retracted.")
    if number not in may_serve:
        raise RegistryError(
            f"Version {number} of model {name} cannot be gone back to, nothing was retracted: it is not there, not "
            f"ready, never approved, or retracted. May serve: {', '.join(map(str, may_serve))}."
        )
    return may_serve[number]


def _number_or_instant(to: int | str | datetime) -> int | datetime | None:
    """What ``to`` means; None for the previous version."""
    text = str(to).strip()
    if text == "previous":
        return None
    if text.isdecimal():
        return int(text)
    try:
        return instant(to if isinstance(to, datetime) else text)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"Rollback to {to!r} is not possible: write 'previous', a version number, or an instant such as 2026-11-01."
        ) from error
