"""What we need of a tracking server: experiments, runs, logged models and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from airflow_mlops.core.registry import Registry


@dataclass(frozen=True)
class LoggedModel:
    """A trained model as MLflow keeps it, registered or not."""

    model_id: str
    experiment_id: str
    run_id: str | None
    artifact_uri: str
    created: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackedRun:
    """A run, whoever started it.

    :param status: MLflow's word: RUNNING, SCHEDULED, FINISHED, FAILED or KILLED
    :param model_ids: the models that it logged
    """

    run_id: str
    experiment_id: str
    status: str
    model_ids: tuple[str, ...] = ()


class Tracking(Protocol):
    """The tracking half of MLflow; neither runs nor models have a unique name there, so creates are sent once."""

    def experiment_id(self, name: str) -> str:
        """Id of an experiment, created if it is not there."""

    def find_experiment(self, name: str) -> str | None:
        """Id of an experiment, for those who only read."""

    def experiments(self) -> list[str]:
        """Ids of all experiments that were not deleted."""

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> tuple[str, str]:
        """Start a run; its id and where its artifacts go."""

    def artifact_uri(self, run_id: str) -> str:
        """Where a run's artifacts go."""

    def finish_run(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run."""

    def open_runs(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[str]:
        """Runs that carry these tags and were not ended."""

    def run(self, run_id: str) -> TrackedRun:
        """One run. Raises NotFound."""

    def newest_run(self, experiment: str, with_tags: Mapping[str, str]) -> str | None:
        """Id of the run of a named experiment that carries these tags and was started last; creates nothing."""

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

    def log_dataset(self, run_id: str, *, name: str, digest: str, uri: str, rows: int) -> None:
        """Name the training data on the run."""

    def create_model(self, experiment_id: str, name: str, run_id: str, tags: Mapping[str, str]) -> LoggedModel:
        """Create a logged model that nobody finds before it is finished."""

    def finish_model(self, model_id: str) -> None:
        """Make a logged model visible as ready: all its files are there."""

    def tag_model(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a logged model."""

    def model(self, model_id: str) -> LoggedModel:
        """One logged model. Raises NotFound."""

    def models(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[LoggedModel]:
        """Finished models that carry these tags, the oldest first."""

    def upload(self, artifact_uri: str, folder: Path) -> None:
        """Copy every file below a folder to a run's or a model's artifacts."""

    def download(self, artifact_uri: str, folder: Path) -> None:
        """Copy all artifacts below a URI into a folder; names that leave the folder are refused."""


class Mlflow(Protocol):
    """A tracking server with its model registry, as the steps know it; addresses are empty where they are unknown."""

    @property
    def tracking(self) -> Tracking: ...

    @property
    def registry(self) -> Registry: ...

    def server_version(self) -> str:
        """The cheapest proof that address and credentials are right."""

    def run_url(self, experiment_id: str, run_id: str) -> str: ...

    def version_url(self, name: str, version: int) -> str: ...

    def close(self) -> None: ...
