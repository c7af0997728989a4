"""MLflow experiments, runs, logged models and their artifacts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_mlops._failpoints import around
from airflow_mlops.clients.mlflow.http import MlflowHttp, collided, settle
from airflow_mlops.core.tracking import LoggedModel, TrackedRun
from airflow_mlops.exceptions import ConfigurationError, DigestMismatch, NotFound, RegistryError

_PROXIED = "mlflow-artifacts:/"
#: ``status = 'READY'`` silently finds nothing: the server compares the number of the enum.
_READY = 2
#: Without it the server takes an experiment for one of language models, and shows other pages.
_KIND = {"mlflow.experimentKind": "custom_model_development"}


class MlflowTracking:
    """The tracking half of a server."""

    def __init__(self, http: MlflowHttp) -> None:
        self._http = http

    def experiment_id(self, name: str) -> str:
        """Id of an experiment, created if it is not there."""
        try:
            found = self._http.get("/experiments/get-by-name", experiment_name=name)["experiment"]
        except NotFound:
            body = {"name": name, "tags": _pairs(_KIND)}
            try:
                with around("experiment"):
                    return str(self._http.post("/experiments/create", body)["experiment_id"])
            except RegistryError as error:
                if error.code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self.experiment_id(name)
        if found.get("lifecycle_stage") == "deleted":
            raise ConfigurationError(f"MLflow experiment {name!r} was deleted: restore it, or choose another name.")
        return str(found["experiment_id"])

    def find_experiment(self, name: str) -> str | None:
        """Id of an experiment, for those who only read."""
        try:
            return str(self._http.get("/experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])
        except NotFound:
            return None

    def experiments(self) -> list[str]:
        """Ids of all experiments that were not deleted."""
        found = self._http.search("/experiments/search", {"max_results": 1000}, "experiments")
        return [str(one["experiment_id"]) for one in found]

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> tuple[str, str]:
        """Start a run; its id and where its artifacts go."""
        body = {"experiment_id": experiment_id, "run_name": name, "start_time": _now(), "tags": _pairs(tags)}
        with around("run"):
            info = self._http.post("/runs/create", body)["run"]["info"]
        return str(info["run_id"]), str(info["artifact_uri"])

    def artifact_uri(self, run_id: str) -> str:
        return str(self._http.get("/runs/get", run_id=run_id)["run"]["info"]["artifact_uri"])

    def finish_run(self, run_id: str, status: str = "FINISHED") -> None:
        body = {"run_id": run_id, "status": status, "end_time": _now()}
        with around("finish"):
            self._http.post("/runs/update", body, repeat=True)

    def open_runs(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[str]:
        """Runs that carry these tags and were not ended."""
        wanted = [f"tags.`{key}` = '{value}'" for key, value in with_tags.items()] + ["attributes.status = 'RUNNING'"]
        body = {"experiment_ids": [experiment_id], "filter": " AND ".join(wanted), "max_results": 100}
        return [str(run["info"]["run_id"]) for run in self._http.search("/runs/search", body, "runs")]

    def run(self, run_id: str) -> TrackedRun:
        found = self._http.get("/runs/get", run_id=run_id)["run"]
        info, models = found["info"], found.get("outputs", {}).get("model_outputs", [])
        return TrackedRun(
            str(info["run_id"]),
            str(info["experiment_id"]),
            str(info["status"]),
            tuple(str(model["model_id"]) for model in models),
        )

    def newest_run(self, experiment: str, with_tags: Mapping[str, str]) -> str | None:
        found = self.find_experiment(experiment)
        if found is None:
            return None
        body = {
            "experiment_ids": [found],
            "filter": " AND ".join(f"tags.`{key}` = '{value}'" for key, value in with_tags.items()),
            "order_by": ["attributes.start_time DESC"],
            "max_results": 1,
        }
        runs = self._http.post("/runs/search", body, repeat=True).get("runs", [])
        return str(runs[0]["info"]["run_id"]) if runs else None

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        model_id: str | None = None,
    ) -> None:
        """Parameters, metrics and tags in one request; metrics belong to the model too when it is named."""
        points = [{"key": k, "value": v, "timestamp": _now(), "step": 0} for k, v in (metrics or {}).items()]
        if model_id:
            points = [{**point, "model_id": model_id} for point in points]
        body = {"run_id": run_id, "params": _pairs(params or {}), "metrics": points, "tags": _pairs(tags or {})}
        with around("log"):
            self._http.post("/runs/log-batch", body, repeat=True)

    def log_dataset(self, run_id: str, *, name: str, digest: str, uri: str, rows: int) -> None:
        """Name the training data on the run; MLflow keeps at most 36 characters of a digest."""
        dataset = {
            "name": name,
            "digest": digest[:32],
            "source_type": "snapshot",
            "source": json.dumps({"uri": uri}),
            "profile": json.dumps({"num_rows": rows}),
        }
        context = [{"key": "mlflow.data.context", "value": "training"}]
        body = {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": context}]}
        with around("dataset"):
            settle(lambda: self._http.post("/runs/log-inputs", body, repeat=True))

    def create_model(self, experiment_id: str, name: str, run_id: str, tags: Mapping[str, str]) -> LoggedModel:
        body = {"experiment_id": experiment_id, "name": name, "source_run_id": run_id, "tags": _pairs(tags)}
        with around("model"):
            model = _model(self._http.post("/logged-models", body)["model"])
        outputs = {"run_id": run_id, "models": [{"model_id": model.model_id, "step": 0}]}
        with around("output"):
            self._link(outputs)
        return model

    def _link(self, outputs: dict[str, Any]) -> None:
        try:
            self._http.post("/runs/outputs", outputs, repeat=True)
        except RegistryError as error:
            if not collided(error):  # the first try had arrived, only its reply was lost
                raise

    def finish_model(self, model_id: str) -> None:
        """Make a logged model visible as ready: all its files are there."""
        with around("ready"):
            self._http.patch(f"/logged-models/{model_id}", {"model_id": model_id, "status": "LOGGED_MODEL_READY"})

    def tag_model(self, model_id: str, tags: Mapping[str, str]) -> None:
        with around("model_tag"):
            self._http.patch(f"/logged-models/{model_id}/tags", {"model_id": model_id, "tags": _pairs(tags)})

    def model(self, model_id: str) -> LoggedModel:
        return _model(self._http.get(f"/logged-models/{model_id}")["model"])

    def models(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[LoggedModel]:
        """Finished models that carry these tags, the oldest first."""
        wanted = [f"tags.`{key}` = '{value}'" for key, value in with_tags.items()] + [f"status = {_READY}"]
        body = {"experiment_ids": [experiment_id], "filter": " AND ".join(wanted), "max_results": 100}
        found = (_model(each) for each in self._http.search("/logged-models/search", body, "models"))
        return sorted(found, key=lambda model: (model.created, model.model_id))

    def upload(self, artifact_uri: str, folder: Path) -> None:
        """Copy every file below a folder to a run's or a model's artifacts."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            with around("upload"):
                self._upload(artifact_uri, file.relative_to(folder).as_posix(), file.read_bytes())

    def _upload(self, artifact_uri: str, name: str, data: bytes) -> None:
        if artifact_uri.startswith(_PROXIED):
            self._http.put_file(f"{artifact_uri.removeprefix(_PROXIED).lstrip('/')}/{name}", data)
            return
        target = _direct(artifact_uri) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def download(self, artifact_uri: str, folder: Path) -> None:
        """Copy all artifacts below a URI into a folder; names that leave the folder are refused."""
        if not artifact_uri.startswith(_PROXIED):
            root = _direct(artifact_uri)
            for source in (path for path in root.rglob("*") if path.is_file()):
                _inside(folder, source.path.removeprefix(root.path).lstrip("/")).write_bytes(source.read_bytes())
            return
        self._download_proxied(artifact_uri.removeprefix(_PROXIED).lstrip("/"), "", folder)

    def _download_proxied(self, root: str, below: str, folder: Path) -> None:
        for entry in self._http.list_files(f"{root}/{below}".rstrip("/")):
            name = f"{below}/{entry['path']}".lstrip("/")
            if entry.get("is_dir"):
                self._download_proxied(root, name, folder)
                continue
            with _inside(folder, name).open("wb") as file:
                for chunk in self._http.get_file(f"{root}/{name}"):
                    file.write(chunk)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DigestMismatch(f"Artifact name {name!r} points out of its folder: refused.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _direct(uri: str) -> Any:
    """Artifacts that the server does not proxy, such as s3://: with the credentials of the process."""
    from upath import UPath

    return UPath(uri)


def _pairs(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def _now() -> int:
    return int(time.time() * 1000)


def _model(data: Mapping[str, Any]) -> LoggedModel:
    info = data["info"]
    return LoggedModel(
        model_id=info["model_id"],
        experiment_id=str(info["experiment_id"]),
        run_id=info.get("source_run_id") or None,
        artifact_uri=info["artifact_uri"],
        created=int(info.get("creation_timestamp_ms", 0)),
        tags={tag["key"]: tag["value"] for tag in info.get("tags", [])},
    )
