"""Weigh a model again, as its record says, and promote one that somebody chose: through the same gate and ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.names import check_name
from airflow_mlops.core.promotion import barred, order_key, rightful_champion
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, GateRefused, RegistryError
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.logged_models import describe
from airflow_mlops.steps.promotion import Promotion, promote
from airflow_mlops.steps.registry import register
from airflow_mlops.store.snapshots import Snapshot, open_snapshot

if TYPE_CHECKING:
    from airflow_mlops.core.evaluation import Evaluation
    from airflow_mlops.core.gate import Verdict
    from airflow_mlops.core.registry import ModelVersion
    from airflow_mlops.core.tracking import Mlflow
    from airflow_mlops.core.training import TrainedModel


def weigh(
    client: Mlflow,
    model: TrainedModel,
    *,
    snapshot: Snapshot | None = None,
    evaluation: EvaluationSpec | None = None,
    policy: GatePolicy | None = None,
    alias: str = "champion",
    trusted: Iterable[str] = (),
    run_type: str = "live",
) -> tuple[Evaluation, Verdict]:
    """Evaluate and judge a model, by default on its own snapshot, in the way and by the policy of the last time.

    :param trusted: classes of the project's own that the model files may hold; a record is not asked for these
    :raises ConfigurationError: the record does not say how the model is evaluated or judged
    """
    facts = client.tracking.model(model.model_id).tags  # what was written since it was trained
    evaluation = evaluation or EvaluationSpec(**json.loads(_recorded(facts, tags.EVALUATION, model)))
    policy = policy or GatePolicy.from_json(json.loads(_recorded(facts, tags.POLICY, model)))
    found = evaluate_model(
        client,
        model=model,
        snapshot=snapshot or open_snapshot(UPath(model.facts[tags.SNAPSHOT])),
        spec=evaluation,
        alias=alias,
        run_type=run_type,
        trusted=trusted,
    )
    return found, judge_model(client, model=model, evaluation=found, policy=policy, run_type=run_type)


def register_on_request(
    client: Mlflow,
    model: TrainedModel,
    *,
    request: str,
    snapshot: Snapshot | None = None,
    evaluation: EvaluationSpec | None = None,
    policy: GatePolicy | None = None,
    alias: str = "champion",
    trusted: Iterable[str] = (),
    run_url: str = tags.UNKNOWN,
    run_type: str = "live",
) -> tuple[ModelVersion, bool]:
    """Register a historical model if it is accepted beside the champion of now.

    :param request: who asks that it be registered, and where
    :raises GateRefused: the gate says no; nothing is registered then
    """
    if winner := client.tracking.model(model.model_id).tags.get(tags.SUPERSEDED_BY):
        model = describe(client.tracking.model(winner))  # which is registered in its place, with what is said of it
    _, verdict = weigh(
        client, model, snapshot=snapshot, evaluation=evaluation, policy=policy, alias=alias, trusted=trusted
    )
    if not verdict.promote:
        raise GateRefused(f"Model {model.model_id} is not registered. {verdict.summary}")
    client.tracking.tag_model(model.model_id, {tags.REQUESTED: request})
    return register(client, model, run_url=run_url, run_type=run_type)


def check_newer(client: Mlflow, model: TrainedModel) -> None:
    """Let through only what would be champion by its as-of.

    :raises GateRefused: an approved version is as new, or newer
    """
    newest = rightful_champion(client.registry.versions(model.model))
    if newest and order_key(newest)[0] >= instant(model.facts[tags.AS_OF]) and not _same(newest, model):
        raise GateRefused(
            f"Historical model {model.model_id} is not registered: version {newest.version} is as new, or newer."
        )


def promote_chosen(
    client: Mlflow,
    name: str,
    chosen: str,
    *,
    alias: str = "champion",
    reason: str,
    actor: str,
    evaluation: EvaluationSpec | None = None,
    policy: GatePolicy | None = None,
    trusted: Iterable[str] = (),
    path_at: Callable[[str], UPath] = UPath,
) -> Promotion:
    """Promote a version, or a model that was never registered (``m-…``), if the gate accepts it beside the champion.

    An approved version of a newer as-of stays champion all the same: roll back to the chosen one, or pin it.

    :param path_at: how the snapshot's URI becomes a path
    :raises GateRefused: the gate says no, or the version was retracted or superseded; nothing is promoted then
    :raises RegistryError: there is no such model, or it was not trained here
    """
    check_name(name)
    version = client.registry.version(name, int(chosen)) if chosen.isdecimal() else None
    if version and (bar := barred(version)):
        raise GateRefused(bar)
    if version and version.model_id is None:
        raise RegistryError(f"Version {version.version} of model {name} has no logged model behind it: pin it instead.")
    logged = client.tracking.model(version.model_id if version and version.model_id else chosen)
    if tags.KEY not in logged.tags:
        raise RegistryError(f"Model {name}, {chosen}: it was not trained here, so that nothing says how to weigh it.")
    model = describe(logged)
    if model.model != name:
        raise ConfigurationError(f"{chosen} is a model of {model.model}, not of {name}.")
    registered, _ = register_on_request(
        client,
        model,
        request=f"{actor}: {reason}",
        snapshot=open_snapshot(path_at(model.facts[tags.SNAPSHOT])),
        evaluation=evaluation,
        policy=policy,
        alias=alias,
        trusted=trusted,
        run_url=actor,
    )
    number = registered.version
    evidence = {"model_id": registered.model_id}
    return promote(
        client.registry, name=name, version=number, alias=alias, reason=reason, actor=actor, evidence=evidence
    )


def _same(version: ModelVersion, model: TrainedModel) -> bool:
    return version.tags.get(tags.KEY) == model.facts[tags.KEY]


def _recorded(facts: Mapping[str, str], tag: str, model: TrainedModel) -> str:
    try:
        return facts[tag]
    except KeyError:
        raise ConfigurationError(
            f"Model {model.model_id} was never judged, and nothing says how: name its project file."
        ) from None
