"""A trained model in MLflow: stored whole, found by its key, exactly one of each."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.exceptions import MlopsError, RegistryError
from airflow_mlops.steps.models import environment

if TYPE_CHECKING:
    from airflow_mlops.core.snapshots import Manifest
    from airflow_mlops.core.tracking import LoggedModel, Mlflow


def find(client: Mlflow, experiment_id: str, key: str) -> TrainedModel | None:
    """The model of a key: the oldest finished one that nobody superseded."""
    found = _finished(client, experiment_id, key)
    return describe(found[0]) if found else None


def trained_models(client: Mlflow, name: str) -> list[LoggedModel]:
    """Models that our training logged, registered or not: an experiment may hold others."""
    experiment = client.tracking.find_experiment(name)
    found = client.tracking.models(experiment, {}) if experiment else []
    return [model for model in found if tags.KEY in model.tags]


def close_left_open(client: Mlflow, experiment_id: str, key: str) -> None:
    """End the runs of earlier attempts that were killed: finished if their model is ready, else killed.

    An attempt that still lives loses nothing: it ends its run itself after its model is ready. So either its end
    comes after ours, or the look at the models, which comes last, sees that its model is ready.
    """
    tracking = client.tracking
    if not (left := tracking.open_runs(experiment_id, {tags.KEY: key})):
        return
    for run_id in left:
        tracking.finish_run(run_id, "KILLED")
    whole = {model.run_id for model in tracking.models(experiment_id, {tags.KEY: key})}
    for run_id in left:
        if run_id in whole:
            tracking.finish_run(run_id)


def describe(model: LoggedModel) -> TrainedModel:
    """A logged model as the steps after training know it."""
    facts = {key: value for key, value in model.tags.items() if key.startswith("mlops.")}
    return TrainedModel(
        model=TrainedModel("", "", "", "", "", facts).spec.model,
        model_id=model.model_id,
        run_id=model.run_id or "",
        experiment_id=model.experiment_id,
        artifact_uri=model.artifact_uri,
        facts=facts,
        created=False,
    )


def log(
    client: Mlflow,
    experiment_id: str,
    *,
    name: str,
    facts: Mapping[str, str],
    params: Mapping[str, Any],
    manifest: Manifest,
    files: Path,
    evidence: Mapping[str, str] | None = None,
) -> TrainedModel:
    """Run, model, files, and only then the model is ready: what was cut off before is never found.

    Of overlapping copies of a task the oldest model wins, and the others are marked superseded.

    :param evidence: text files for the run, beside the list of the environment
    """
    tracking = client.tracking
    title = f"{name} {facts[tags.AS_OF][:10]}"
    run_id, artifacts = tracking.create_run(experiment_id, title, {**facts, **_shown(facts)})
    try:
        tracking.log(run_id, params=params)
        tracking.log_dataset(
            run_id, name=manifest.name, digest=manifest.data_version, uri=facts[tags.SNAPSHOT], rows=manifest.rows
        )
        # MLflow refuses dots here, which a registered model may have.
        model = tracking.create_model(experiment_id, name.replace(".", "_"), run_id, facts)
        tracking.upload(model.artifact_uri, files)
        upload_text(client, artifacts, {"environment.txt": environment(), **(evidence or {})})
    except BaseException as error:
        with contextlib.suppress(MlopsError):  # the cause counts, not whether the server still takes the news
            tracking.finish_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    # Cut off from here on, the model may be ready: the next attempt sees, and ends the run as what it is.
    tracking.finish_model(model.model_id)
    tracking.finish_run(run_id)
    found = _finished(client, experiment_id, facts[tags.KEY])
    if not found:
        raise RegistryError(f"MLflow does not find model {model.model_id} that it just stored: is it a read replica?")
    # The older one may be the last to finish: whoever comes last settles it for all.
    for loser in found[1:]:
        tracking.tag_model(loser.model_id, {tags.SUPERSEDED_BY: found[0].model_id})
    return replace(describe(found[0]), created=found[0].model_id == model.model_id)


def _shown(facts: Mapping[str, str]) -> dict[str, str]:
    """The same facts where MLflow's own pages look for them."""
    commit = facts[tags.CODE_VERSION].removeprefix("git:").split("+")[0]
    return {
        "mlflow.source.type": "JOB",
        "mlflow.source.name": facts[tags.RUN_URL],
        "mlflow.user": facts[tags.OWNER],
        **({"mlflow.source.git.commit": commit} if facts[tags.CODE_VERSION].startswith("git:") else {}),
        **({"mlflow.note.content": facts[tags.NOTE]} if facts[tags.NOTE] != tags.UNKNOWN else {}),
    }


def _finished(client: Mlflow, experiment_id: str, key: str) -> list[LoggedModel]:
    found = client.tracking.models(experiment_id, {tags.KEY: key})
    return [model for model in found if tags.SUPERSEDED_BY not in model.tags]


def upload_text(client: Mlflow, artifact_uri: str, files: Mapping[str, str]) -> None:
    """Store small text files among a run's artifacts."""
    with tempfile.TemporaryDirectory(prefix="mlops-artifacts-") as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        client.tracking.upload(artifact_uri, Path(folder))
