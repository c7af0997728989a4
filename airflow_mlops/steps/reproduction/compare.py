"""The same training once more, beside the model that it gave the first time."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.evaluation import metrics
from airflow_mlops.core.reproduction import (
    DECISIVE,
    Reproduction,
    compare_metrics,
    compare_predictions,
    environment_changes,
)
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.evaluation import classes_of, encoded, predict
from airflow_mlops.steps.logged_models import upload_text
from airflow_mlops.steps.models import environment
from airflow_mlops.steps.packages import load_model
from airflow_mlops.steps.reproduction.record import (
    PathAt,
    Record,
    recorded_environment,
    recorded_snapshot,
)
from airflow_mlops.steps.reproduction.trust import check_estimator
from airflow_mlops.steps.rows import features_of, held_out_rows, labelled
from airflow_mlops.steps.training import build_estimator, fit_on

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


def reproduce(
    client: Mlflow,
    record: Record,
    *,
    code_version: str = tags.UNKNOWN,
    trusted: Iterable[str] = (),
    functions: Iterable[str] = (),
    tolerance: float = 1e-9,
    threads: int | None = None,
    path_at: PathAt = UPath,
    build: Callable[..., Any] | None = None,
    budget: CpuBudget | None = None,
) -> Reproduction:
    """Train a model again from its record and compare the two; the verdict is tagged, no second model is logged.

    :param code_version: version of the code that trains now
    :param functions: import paths that the record may name, beside scikit-learn's estimators
    :param tolerance: how far apart two predictions of one row may be, absolutely or relatively
    :param threads: threads of the fit where the record does not say
    :param path_at: how the snapshot's URI becomes a path
    :param build: the function behind the recorded estimator, where it cannot be imported
    :raises SnapshotError: the snapshot is gone or altered
    :raises UntrustedRecord: the estimator is neither named nor scikit-learn's
    """
    budget, threads = budget or CpuBudget(), record.threads or threads
    model, spec = record.model, record.model.spec
    with budget("imports"):
        if build is None:
            check_estimator(spec.estimator, set(functions))
        estimator = build_estimator(spec, build)
    with budget("read"):
        snapshot = recorded_snapshot(record, path_at)
        rows = labelled(held_out_rows(snapshot, spec), spec)
    features, _ = fit_on(snapshot, estimator, spec, threads, budget)
    with budget("io"):
        listing = recorded_environment(client, record)
        original = load_model(client, model.artifact_uri, model.facts[tags.DIGEST], trusted)
    with budget("predict"):
        then = predict(original, spec, features_of(rows, model.features))
        now = predict(estimator, spec, features_of(rows, features))
        labels = encoded(rows, spec, classes_of(estimator, spec))
        figures = metrics(spec.task, labels[spec.target], now)
    decisive = {*DECISIVE, *_distributions_of(estimator, spec.estimator)}
    found = Reproduction(
        model=model.model,
        model_id=model.model_id,
        version=record.version,
        metrics=compare_metrics(_recorded_metrics(record), figures),
        predictions=compare_predictions(then, now, tolerance),
        tolerance=tolerance,
        code_then=model.facts.get(tags.CODE_VERSION, tags.UNKNOWN),
        code_now=code_version,
        data_version=snapshot.manifest.data_version,
        environment=None if listing is None else environment_changes(listing, environment(), decisive),
        seed=spec.seed,
        threads=threads,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with budget("io"):
        _store(client, record, found)
    return found


def _recorded_metrics(record: Record) -> dict[str, float | None]:
    recorded = record.model.facts.get(tags.METRICS, tags.UNKNOWN)
    return {} if recorded == tags.UNKNOWN else dict(json.loads(recorded))


def _distributions_of(estimator: Any, path: str) -> set[str]:
    """The distributions that the estimator and its parts come from."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    modules = {type(part).__module__.partition(".")[0] for part in parts} | {path.partition(".")[0]}
    owners = importlib.metadata.packages_distributions()
    return {owner.lower() for module in modules for owner in owners.get(module, ())}


def _store(client: Mlflow, record: Record, found: Reproduction) -> None:
    """The evidence first: whoever reads the verdict finds it."""
    if record.model.run_id:
        evidence = {"reproduction/reproduction.json": json.dumps(found.to_json(), indent=1)}
        upload_text(client, client.tracking.artifact_uri(record.model.run_id), evidence)
    if record.version is None:
        client.tracking.tag_model(record.model.model_id, {tags.REPRODUCED: found.sentence})
    else:
        client.registry.tag_version(found.model, record.version, tags.REPRODUCED, found.sentence)
