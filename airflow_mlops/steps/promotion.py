"""Promote a version: approve it, reconcile the alias, and write the ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.promotion import approve, reconcile
from airflow_mlops.core.registry import Registry
from airflow_mlops.exceptions import RegistryError


@dataclass(frozen=True)
class Promotion:
    """How a promotion ended.

    :param champion: the version that the alias points at now
    :param promoted: whether that is the version of this promotion; an older as-of never displaces a newer one
    """

    name: str
    alias: str
    version: int
    champion: int
    promoted: bool
    reason: str
    as_of: str

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
    approve(registry, chosen, as_of)
    champion = reconcile(registry, name, alias)
    if champion is None:
        raise RegistryError(f"Version {version} of model {name} was retracted or superseded: it cannot be promoted.")
    ledger.record(
        registry,
        name,
        champion=champion.version,
        as_of=champion.tags[tags.AS_OF],
        at=datetime.now(UTC),
        actor=actor,
        reason=reason if champion.version == version else "reconciled",
        evidence=evidence or {},
    )
    return Promotion(name, alias, version, champion.version, champion.version == version, reason, as_of)
