"""Register a trained model: exactly one version per idempotency key."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.names import check_name
from airflow_mlops.core.registry import ModelVersion, register_once
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.exceptions import DigestMismatch
from airflow_mlops.steps.logged_models import describe
from airflow_mlops.steps.models import digest_of

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


def register(
    client: Mlflow, model: TrainedModel, *, run_url: str = tags.UNKNOWN, run_type: str = "live"
) -> tuple[ModelVersion, bool]:
    """Verify the model's files and register it, or find the version of its key; True if this call made it.

    :param run_type: of the run that registers, whatever run trained the model
    :raises DigestMismatch: the files in MLflow are not those that were trained
    """
    name = check_name(model.model)
    # What the gate and the evaluation wrote on the logged model since it was trained belongs to the version too.
    logged = client.tracking.model(model.model_id)
    facts = {key: value for key, value in logged.tags.items() if key.startswith("mlops.")}
    if winner := facts.pop(tags.SUPERSEDED_BY, None):
        # Two copies of the training overlapped, and the other was judged to be first: the same model, another id.
        model = describe(client.tracking.model(winner))
        facts |= model.facts
    with tempfile.TemporaryDirectory(prefix="mlops-register-") as folder:
        client.tracking.download(model.artifact_uri, Path(folder))
        if digest_of(Path(folder)) != model.facts[tags.DIGEST]:
            raise DigestMismatch(
                f"The files of model {model.model_id} are not those that were trained: not registered."
            )
    missing = {name: tags.UNKNOWN for name in tags.REQUIRED if name not in facts}
    return register_once(
        client.registry,
        name,
        source=f"models:/{model.model_id}",
        run_id=model.run_id or None,
        facts={**facts, **missing, tags.REGISTERED_BY: run_url, tags.REGISTERED_IN: run_type},
    )


def describe_version(version: ModelVersion, created: bool) -> dict[str, Any]:
    """What the promotion needs to know."""
    return {
        **version.to_json(),
        "as_of": version.tags[tags.AS_OF],
        "model_id": version.model_id,
        "created": created,
        "verdict": version.tags.get(tags.VERDICT_SUMMARY, tags.UNKNOWN),
    }
