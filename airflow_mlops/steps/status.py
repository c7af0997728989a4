"""Read what stands where: nothing here writes to the server."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.names import check_name, is_name
from airflow_mlops.core.status import ModelStatus, describe_status
from airflow_mlops.exceptions import NotFound
from airflow_mlops.steps.logged_models import trained_models

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


def model_status(client: Mlflow, name: str) -> ModelStatus:
    """Everything that is known of a model's versions and historical models.

    :raises NotFound: there is neither a registered nor a trained model of this name
    """
    models = trained_models(client, check_name(name))
    versions, model_tags = client.registry.versions(name), client.registry.model_tags(name)
    if not models and not versions and not model_tags:
        _check_there(client, name)
    return describe_status(
        name,
        models=models,
        versions=versions,
        model_tags=model_tags,
        champion=client.registry.alias(name, model_tags.get(tags.ALIAS, "champion")),
        now=datetime.now(UTC),
    )


def model_history(client: Mlflow, name: str) -> list[ledger.LedgerEntry]:
    """The ledger of a model, the oldest entry first.

    :raises NotFound: there is no such registered model
    """
    _check_there(client, check_name(name))
    return ledger.history(client.registry.model_tags(name))


def model_names(client: Mlflow) -> list[str]:
    """Registered models that may be ours, by their names: others on the server have names that we never give."""
    return [name for name in client.registry.names() if is_name(name)]


def _check_there(client: Mlflow, name: str) -> None:
    names = model_names(client)
    if name not in names:
        near = difflib.get_close_matches(name, names, 3) or names[:3]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise NotFound(f"There is no model {name}.{hint} `status` lists them all.", code="RESOURCE_DOES_NOT_EXIST")
