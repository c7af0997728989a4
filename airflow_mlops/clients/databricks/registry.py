"""Unity Catalog's model registry as :class:`airflow_mlops.core.registry.Registry`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlops.clients.databricks.calls import MlflowCalls
from airflow_mlops.clients.mlflow.http import settle
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.exceptions import NotFound, RegistryError

#: The source as we name it, which the catalog replaces by a folder.
_SOURCE = "mlops.source"


class DatabricksRegistry:
    """Registered models, versions, aliases and their tags."""

    def __init__(self, mlflow: MlflowCalls) -> None:
        self._mlflow = mlflow

    def names(self) -> list[str]:
        return sorted(str(model.name) for model in self._mlflow.pages("search_registered_models", max_results=100))

    def ensure_model(self, name: str) -> None:
        if self._model(name) is None:
            try:
                self._mlflow("create_registered_model", name)
            except RegistryError as error:
                if not error.code.endswith("ALREADY_EXISTS"):
                    raise

    def create_version(self, name: str, source: str, run_id: str | None, tags: Mapping[str, str]) -> ModelVersion:
        """Create a version; we send it once, MLflow's client repeats it after a 429 or a 5xx.

        Unlike other creates this one moves files with keys of its own, so that it cannot be sent by hand. A repeat
        carries the same idempotency key, and :func:`~airflow_mlops.core.registry.register_once` settles on the lower.
        """
        written = {_key(key): value for key, value in {**tags, _SOURCE: source}.items()}
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
        if model_id and self._mlflow.unity_catalog:
            # Given an id, the catalog's client asks the process's global tracking URI for the model.
            source, model_id = self._mlflow("get_logged_model", model_id).artifact_location, None
        how = {"run_id": run_id, "model_id": model_id, "tags": written, "await_creation_for": 0}
        return _version(self._mlflow("create_model_version", name, source, **how))

    def version(self, name: str, version: int) -> ModelVersion:
        return _version(self._mlflow("get_model_version", name, str(version)))

    def versions(self, name: str, with_tags: Mapping[str, str] | None = None) -> list[ModelVersion]:
        """All finished versions that carry these tags, by number; a version cut off in its upload never finishes.

        Unity Catalog neither filters by tags nor tells them in a search, so each version is read by itself.
        """
        try:
            quote = '"' if "'" in name else "'"
            listed = list(self._mlflow.pages("search_model_versions", filter_string=f"name = {quote}{name}{quote}"))
        except NotFound:
            return []
        found = (self.version(name, int(each.version)) for each in listed if each.status == "READY")
        wanted = dict(with_tags or {}).items()
        return sorted((v for v in found if wanted <= v.tags.items()), key=lambda v: v.version)

    def tag_version(self, name: str, version: int, key: str, value: str) -> None:
        settle(lambda: self._mlflow("set_model_version_tag", name, str(version), _key(key), value))

    def alias(self, name: str, alias: str) -> int | None:
        model = self._model(name)
        version = model.aliases.get(alias) if model else None
        return None if version is None else int(version)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        settle(lambda: self._mlflow("set_registered_model_alias", name, alias, str(version)))

    def model_tags(self, name: str) -> dict[str, str]:
        model = self._model(name)
        return _read(model.tags) if model else {}

    def tag_model(self, name: str, key: str, value: str) -> None:
        settle(lambda: self._mlflow("set_registered_model_tag", name, _key(key), value))

    def _model(self, name: str) -> Any:
        try:
            return self._mlflow("get_registered_model", name)
        except NotFound:
            return None


def _key(key: str) -> str:
    """Unity Catalog reserves ``. , - = / :`` in names of tags; ours hold the dot alone, and never two underscores."""
    return key.replace(".", "__")


def _read(tags: Mapping[str, str]) -> dict[str, str]:
    return {key.replace("__", "."): value for key, value in tags.items()}


def _version(data: Any) -> ModelVersion:
    tags = _read(data.tags)
    return ModelVersion(
        name=data.name,
        version=int(data.version),
        source=tags.get(_SOURCE, data.source),
        run_id=data.run_id or None,
        status=data.status,
        tags=tags,
    )
