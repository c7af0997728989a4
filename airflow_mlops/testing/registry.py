"""A registry in memory that behaves as MLflow's does: it passes the same contract tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.exceptions import NotFound


@dataclass
class _Model:
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class InMemoryRegistry:
    """Implements :class:`airflow_mlops.core.registry.Registry`; safe to share between threads."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._models)

    def ensure_model(self, name: str) -> None:
        with self._lock:
            self._models.setdefault(name, _Model())

    def create_version(self, name: str, source: str, run_id: str | None, tags: Mapping[str, str]) -> ModelVersion:
        with self._lock:
            versions = self._model(name).versions
            number = max(versions, default=0) + 1
            versions[number] = ModelVersion(name, number, source, run_id, tags=dict(tags))
            return versions[number]

    def version(self, name: str, version: int) -> ModelVersion:
        with self._lock:
            return self._version(name, version)

    def versions(self, name: str, with_tags: Mapping[str, str] | None = None) -> list[ModelVersion]:
        with self._lock:
            found = self._models.get(name, _Model()).versions.values()
            return [v for v in found if dict(v.tags) | dict(with_tags or {}) == dict(v.tags)]

    def tag_version(self, name: str, version: int, key: str, value: str) -> None:
        with self._lock:
            old = self._version(name, version)
            self._models[name].versions[version] = replace(old, tags={**old.tags, key: value})

    def alias(self, name: str, alias: str) -> int | None:
        with self._lock:
            return self._models.get(name, _Model()).aliases.get(alias)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        with self._lock:
            self._version(name, version)
            self._models[name].aliases[alias] = version

    def model_tags(self, name: str) -> dict[str, str]:
        with self._lock:
            return dict(self._models.get(name, _Model()).tags)

    def tag_model(self, name: str, key: str, value: str) -> None:
        with self._lock:
            self._model(name).tags[key] = value

    def _model(self, name: str) -> _Model:
        if name not in self._models:
            raise NotFound(f"Registered model {name} does not exist.", code="RESOURCE_DOES_NOT_EXIST")
        return self._models[name]

    def _version(self, name: str, version: int) -> ModelVersion:
        if version not in self._model(name).versions:
            raise NotFound(f"Version {version} of model {name} does not exist.", code="RESOURCE_DOES_NOT_EXIST")
        return self._models[name].versions[version]
