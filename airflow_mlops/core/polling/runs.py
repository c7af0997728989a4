"""What the state of an MLflow run means to somebody who waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_mlops.core.polling.poll import Poll
from airflow_mlops.core.tracking import TrackedRun
from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class AwaitedRun:
    """Which MLflow run is waited for: one by its id, or the newest of an experiment that carries some tags.

    >>> str(AwaitedRun(experiment="churn", tags={"team": "crm"}))
    "a run of experiment churn with team = 'crm'"
    """

    run_id: str | None = None
    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.run_id) == bool(self.experiment and self.tags):
            raise ConfigurationError("Which run is waited for? Name either run_id, or experiment and tags.")
        # MLflow's search has no way to write these.
        if any("`" in key or "'" in str(value) for key, value in self.tags.items()):
            raise ConfigurationError("MLflow cannot be searched for a tag with ` in its name or ' in its value.")

    def __str__(self) -> str:
        if self.run_id:
            return f"run {self.run_id}"
        wanted = " and ".join(f"{key} = {value!r}" for key, value in self.tags.items())
        return f"a run of experiment {self.experiment} with {wanted}"


def judge_run(run: TrackedRun | None, awaited: AwaitedRun, url: str = "") -> Poll:
    """What the state of an MLflow run means to somebody who waits for it.

    >>> awaited = AwaitedRun(experiment="churn", tags={"team": "crm"})
    >>> judge_run(None, awaited).reason
    "MLflow does not have it yet: a run of experiment churn with team = 'crm'."
    >>> judge_run(TrackedRun("3f", "1", "RUNNING"), awaited).state
    'wait'
    >>> judge_run(TrackedRun("3f", "1", "KILLED"), awaited, "http://mlflow/3f").reason
    'MLflow run 3f ended as KILLED: http://mlflow/3f'
    """
    if run is None:
        return Poll("wait", f"MLflow does not have it yet: {awaited}.")
    found = {"run_id": run.run_id, "status": run.status, "model_ids": list(run.model_ids), "url": url}
    where = f": {url}" if url else "."
    if run.status == "FINISHED":
        return Poll("done", f"MLflow run {run.run_id} has finished{where}", found)
    if run.status in ("FAILED", "KILLED"):
        return Poll("failed", f"MLflow run {run.run_id} ended as {run.status}{where}", found)
    # RUNNING, SCHEDULED, and what a later MLflow may add: the timeout ends the wait for that.
    return Poll("wait", f"MLflow run {run.run_id} is {run.status}{where}", found)
