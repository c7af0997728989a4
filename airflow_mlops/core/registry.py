"""What we need of a model registry, and how to register exactly once with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_mlops.core import tags
from airflow_mlops.exceptions import RegistryError, TransientError


@dataclass(frozen=True)
class ModelVersion:
    """A version as the registry tells it."""

    name: str
    version: int
    source: str
    run_id: str | None = None
    status: str = "READY"
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_id(self) -> str | None:
        """The logged model behind it; MLflow's SQL store keeps it in the source alone."""
        return self.source.removeprefix("models:/") if self.source.startswith("models:/m-") else None

    @property
    def superseded(self) -> bool:
        return tags.SUPERSEDED_BY in self.tags

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version, "source": self.source, "run_id": self.run_id}


class Registry(Protocol):
    """A model registry without compare-and-swap: MLflow's, or the in-memory twin for tests."""

    def names(self) -> list[str]:
        """All registered models, by name."""

    def ensure_model(self, name: str) -> None:
        """Create the registered model unless it is there."""

    def create_version(self, name: str, source: str, run_id: str | None, tags: Mapping[str, str]) -> ModelVersion:
        """Create a version; never sent twice: after a lost reply it raises TransientError and may be there."""

    def version(self, name: str, version: int) -> ModelVersion:
        """One version. Raises NotFound."""

    def versions(self, name: str, with_tags: Mapping[str, str] | None = None) -> list[ModelVersion]:
        """All versions that carry these tags, by number; none for an unknown model."""

    def tag_version(self, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version."""

    def alias(self, name: str, alias: str) -> int | None:
        """The version that an alias points at."""

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version, whatever it pointed at."""

    def model_tags(self, name: str) -> dict[str, str]:
        """Tags of the registered model; empty for an unknown one."""

    def tag_model(self, name: str, key: str, value: str) -> None:
        """Set a tag of the registered model."""


def find_registered(registry: Registry, name: str, key: str) -> list[ModelVersion]:
    """Versions of one idempotency key that count, the winner (the lowest number) first."""
    return [v for v in registry.versions(name, {tags.KEY: key}) if not v.superseded]


def register_once(
    registry: Registry, name: str, *, source: str, run_id: str | None, facts: Mapping[str, str]
) -> tuple[ModelVersion, bool]:
    """One version per idempotency key, however often and by however many this is called; True if this call made it.

    Look first, create with the key in the same request, look again. A lost reply is settled by the second look; of
    two that raced the lower number wins, as every reader that sees the higher one sees the lower one too.
    """
    key = facts[tags.KEY]
    registry.ensure_model(name)
    created: ModelVersion | None = None
    if not find_registered(registry, name, key):
        try:
            created = registry.create_version(name, source, run_id, facts)
        except TransientError:
            if not find_registered(registry, name, key):
                raise
    found = find_registered(registry, name, key)
    if not found:
        raise RegistryError(f"Model {name}: the registry does not find the version it just made: is it a read replica?")
    winner, *duplicates = found
    for duplicate in duplicates:
        registry.tag_version(name, duplicate.version, tags.SUPERSEDED_BY, str(winner.version))
    return winner, created is not None and created.version == winner.version
