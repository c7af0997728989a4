"""MLflow's model registry as :class:`airflow_mlops.core.registry.Registry`."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from airflow_mlops._failpoints import around
from airflow_mlops.clients.mlflow.http import MlflowHttp, settle
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.exceptions import NotFound, RegistryError, TransientError

#: Seconds over which the first registrations of a new model spread.
_SPREAD = 0.5


class MlflowRegistry:
    """Registered models, versions, aliases and their tags."""

    def __init__(self, http: MlflowHttp) -> None:
        self._http = http

    def names(self) -> list[str]:
        found = self._pages("/registered-models/search", "registered_models", max_results=1000)
        return sorted(str(model["name"]) for model in found)

    def ensure_model(self, name: str) -> None:
        if self._model(name) is not None:
            return
        # Fifteen that create one name at once lock MLflow's pool of connections for half a minute.
        time.sleep(random.uniform(0, _SPREAD))  # noqa: S311
        if self._model(name) is not None:
            return
        try:
            with around("registered_model"):
                self._http.post("/registered-models/create", {"name": name})
        except RegistryError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        except TransientError:
            if self._model(name) is None:
                raise

    def create_version(self, name: str, source: str, run_id: str | None, tags: Mapping[str, str]) -> ModelVersion:
        body: dict[str, Any] = {"name": name, "source": source}
        body["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        if run_id:
            body["run_id"] = run_id
        if source.startswith("models:/m-"):
            body["model_id"] = source.removeprefix("models:/")
        with around("version"):
            return _version(self._http.post("/model-versions/create", body)["model_version"])

    def version(self, name: str, version: int) -> ModelVersion:
        return _version(self._http.get("/model-versions/get", name=name, version=str(version))["model_version"])

    def versions(self, name: str, with_tags: Mapping[str, str] | None = None) -> list[ModelVersion]:
        quote = '"' if "'" in name else "'"  # a name of another's may hold one
        wanted = [
            f"name = {quote}{name}{quote}",
            *(f"tags.`{key}` = '{value}'" for key, value in (with_tags or {}).items()),
        ]
        found = self._pages("/model-versions/search", "model_versions", filter=" AND ".join(wanted), max_results=1000)
        return sorted((_version(each) for each in found), key=lambda v: v.version)

    def tag_version(self, name: str, version: int, key: str, value: str) -> None:
        body = {"name": name, "version": str(version), "key": key, "value": value}
        with around("tag"):
            self._settle("/model-versions/set-tag", body)

    def alias(self, name: str, alias: str) -> int | None:
        model = self._model(name)
        aliases = (model or {}).get("aliases", [])
        return next((int(each["version"]) for each in aliases if each["alias"] == alias), None)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        with around("alias"):
            self._settle("/registered-models/alias", {"name": name, "alias": alias, "version": str(version)})

    def model_tags(self, name: str) -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in (self._model(name) or {}).get("tags", [])}

    def tag_model(self, name: str, key: str, value: str) -> None:
        with around("ledger"):
            self._settle("/registered-models/set-tag", {"name": name, "key": key, "value": value})

    def _pages(self, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: str | None = ""
        while token is not None:
            page = self._http.get(path, **query, page_token=token)
            found += page.get(key, [])
            token = page.get("next_page_token") or None
        return found

    def _model(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._http.get("/registered-models/get", name=name)["registered_model"])
        except NotFound:
            return None

    def _settle(self, path: str, body: dict[str, Any]) -> None:
        settle(lambda: self._http.post(path, body, repeat=True))


def _version(data: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(
        name=data["name"],
        version=int(data["version"]),
        source=data.get("source", ""),
        run_id=data.get("run_id") or None,
        status=data.get("status", "UNKNOWN"),
        tags={tag["key"]: tag["value"] for tag in data.get("tags", [])},
    )
