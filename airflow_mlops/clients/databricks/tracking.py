"""A workspace's experiments, runs and logged models as :class:`airflow_mlops.core.tracking.Tracking`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_mlops.clients.databricks.calls import MlflowCalls
from airflow_mlops.clients.mlflow.http import settle
from airflow_mlops.core.tracking import LoggedModel, TrackedRun
from airflow_mlops.exceptions import ConfigurationError, RegistryError

#: A workspace names experiments by their path in it.
_FOLDER = "/Shared"


class DatabricksTracking:
    """The tracking half of a workspace."""

    def __init__(self, mlflow: MlflowCalls) -> None:
        self._mlflow = mlflow

    def experiment_id(self, name: str) -> str:
        path = _path(name)
        found = self._mlflow("get_experiment_by_name", path)
        if found is None:
            try:
                return str(self._mlflow.post_once("/experiments/create", {"name": path})["experiment_id"])
            except RegistryError as error:
                if error.code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self.experiment_id(path)
        if found.lifecycle_stage == "deleted":
            raise ConfigurationError(f"MLflow experiment {path!r} was deleted: restore it, or choose another name.")
        return str(found.experiment_id)

    def find_experiment(self, name: str) -> str | None:
        found = self._mlflow("get_experiment_by_name", _path(name))
        return None if found is None else str(found.experiment_id)

    def experiments(self) -> list[str]:
        return [str(one.experiment_id) for one in self._mlflow.pages("search_experiments")]

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> tuple[str, str]:
        body = {"experiment_id": experiment_id, "run_name": name, "start_time": _now(), "tags": _pairs(tags)}
        info = self._mlflow.post_once("/runs/create", body)["run"]["info"]
        return str(info["run_id"]), str(info["artifact_uri"])

    def artifact_uri(self, run_id: str) -> str:
        return str(self._mlflow("get_run", run_id).info.artifact_uri)

    def finish_run(self, run_id: str, status: str = "FINISHED") -> None:
        self._mlflow("set_terminated", run_id, status)

    def open_runs(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[str]:
        wanted = [f"tags.`{key}` = '{value}'" for key, value in with_tags.items()] + ["attributes.status = 'RUNNING'"]
        pages = self._mlflow.pages("search_runs", experiment_ids=[experiment_id], filter_string=" AND ".join(wanted))
        return [str(run.info.run_id) for run in pages]

    def run(self, run_id: str) -> TrackedRun:
        found = self._mlflow("get_run", run_id)
        models = found.outputs.model_outputs if found.outputs else []
        return TrackedRun(
            str(found.info.run_id),
            str(found.info.experiment_id),
            str(found.info.status),
            tuple(str(model.model_id) for model in models),
        )

    def newest_run(self, experiment: str, with_tags: Mapping[str, str]) -> str | None:
        found = self._mlflow("get_experiment_by_name", _path(experiment))
        if found is None:
            return None
        runs = self._mlflow(
            "search_runs",
            [found.experiment_id],
            " AND ".join(f"tags.`{key}` = '{value}'" for key, value in with_tags.items()),
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        return str(runs[0].info.run_id) if runs else None

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        model_id: str | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self._mlflow(
            "log_batch",
            run_id,
            metrics=[Metric(key, value, _now(), 0, model_id=model_id) for key, value in (metrics or {}).items()],
            params=[Param(key, str(value)) for key, value in (params or {}).items()],
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            synchronous=True,
        )

    def log_dataset(self, run_id: str, *, name: str, digest: str, uri: str, rows: int) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source, profile = json.dumps({"uri": uri}), json.dumps({"num_rows": rows})
        dataset = Dataset(name, digest[:32], "snapshot", source, profile=profile)
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        settle(lambda: self._mlflow("log_inputs", run_id, inputs))

    def create_model(self, experiment_id: str, name: str, run_id: str, tags: Mapping[str, str]) -> LoggedModel:
        body = {"experiment_id": experiment_id, "name": name, "source_run_id": run_id, "tags": _pairs(tags)}
        return self.model(self._mlflow.post_once("/logged-models", body)["model"]["info"]["model_id"])

    def finish_model(self, model_id: str) -> None:
        self._mlflow("finalize_logged_model", model_id, "READY")

    def tag_model(self, model_id: str, tags: Mapping[str, str]) -> None:
        self._mlflow("set_logged_model_tags", model_id, dict(tags))

    def model(self, model_id: str) -> LoggedModel:
        return _model(self._mlflow("get_logged_model", model_id))

    def models(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[LoggedModel]:
        wanted = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in with_tags.items()) or None
        pages = self._mlflow.pages(
            "search_logged_models", experiment_ids=[experiment_id], filter_string=wanted, max_results=50
        )
        found = (_model(each) for each in pages if str(each.status) == "READY")
        return sorted(found, key=lambda model: (model.created, model.model_id))

    def upload(self, artifact_uri: str, folder: Path) -> None:
        with self._mlflow.errors("the upload of files"):
            self._mlflow.files(artifact_uri).log_artifacts(str(folder))

    def download(self, artifact_uri: str, folder: Path) -> None:
        with self._mlflow.errors("the download of files"):
            self._mlflow.files(artifact_uri).download_artifacts("", dst_path=str(folder))


def _path(name: str) -> str:
    return name if name.startswith("/") else f"{_FOLDER}/{name}"


def _pairs(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def _now() -> int:
    return int(time.time() * 1000)


def _model(data: Any) -> LoggedModel:
    return LoggedModel(
        model_id=data.model_id,
        experiment_id=str(data.experiment_id),
        run_id=data.source_run_id or None,
        artifact_uri=data.artifact_location,
        created=int(data.creation_timestamp or 0),
        tags=dict(data.tags),
    )
