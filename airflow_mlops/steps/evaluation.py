"""Score candidate, champion and a simple baseline on the same held-out rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.champion import Champion, find_champion
from airflow_mlops.core.evaluation import Evaluation, evaluate, fit_baseline
from airflow_mlops.core.evaluation.measures import find
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.training import TrainedModel, TrainingSpec
from airflow_mlops.exceptions import ConfigurationError, TrainingError
from airflow_mlops.reports.evaluation import evaluation_page
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.logged_models import upload_text
from airflow_mlops.steps.models import import_skops
from airflow_mlops.steps.packages import load_model
from airflow_mlops.steps.rows import features_of, held_out_rows, labelled, training_rows

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from airflow_mlops.core.tracking import Mlflow
    from airflow_mlops.store.snapshots import Snapshot

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationSpec:
    """How models are compared.

    :param metric: the primary metric, by scikit-learn's name
    :param secondary: further metrics to compare
    :param clusters: column whose values are resampled whole: rows of one day or customer are no independent witnesses
    :param baseline: columns of the simple baseline, the shrunken mean of each group (of absolute errors, the median);
        none for that of all rows
    :param alpha: one-sided error of one comparison; the gate shares it over the looks of a year
    """

    metric: str
    secondary: list[str] = field(default_factory=list)
    clusters: str | None = None
    baseline: list[str] = field(default_factory=list)
    alpha: float = 0.05 / 12


def evaluate_model(
    client: Mlflow,
    *,
    model: TrainedModel,
    snapshot: Snapshot,
    spec: EvaluationSpec,
    alias: str = "champion",
    run_type: str = "live",
    trusted: Iterable[str] = (),
    budget: CpuBudget | None = None,
) -> Evaluation:
    """Evaluate on rows that the model was never fitted on; figures and a page go to its MLflow run.

    :param run_type: decides which champion, see :func:`~airflow_mlops.core.champion.find_champion`
    :param trusted: classes of the project's own that the model files may hold
    """
    budget, trusted = budget or CpuBudget(), list(trusted)
    with budget("imports"):
        import_skops()
    with budget("read"):
        rows = labelled(held_out_rows(snapshot, model.spec), model.spec)
        _check_columns(rows, spec)
        train = labelled(training_rows(snapshot, model.spec), model.spec)
    with budget("io"):
        champion = find_champion(client.registry, model, alias=alias, run_type=run_type)
        estimator = load_model(client, model.artifact_uri, model.facts[tags.DIGEST], trusted)
    with budget("predict"):
        classes = classes_of(estimator, model.spec)
        ours = predict(estimator, model.spec, features_of(rows, model.features))
        theirs = _champion_prediction(client, champion, rows, classes, trusted)
        baseline = fit_baseline(
            encoded(train, model.spec, classes),
            model.spec.target or "",
            spec.baseline,
            classes=_many(classes),
            guess=find(spec.metric)[1].guess,
        )
        labels = encoded(rows, model.spec, classes)
    with budget("compare"):
        found = evaluate(
            model.spec.task,
            spec.metric,
            labels[model.spec.target],
            ours,
            champion=theirs,
            baseline=baseline.predict(labels),
            clusters=rows[spec.clusters].to_pylist() if spec.clusters else None,
            secondary=spec.secondary,
            alpha=spec.alpha,
            seed=_seed(model, champion, snapshot),
        )
    windows = snapshot.manifest.bounds
    found = replace(
        found,
        cluster_name=f"{spec.clusters}s" if spec.clusters else None,
        data_version=snapshot.manifest.data_version,
        test_start=windows.test.start.isoformat() if windows else None,
        test_end=windows.test.end.isoformat() if windows else None,
        champion_version=str(champion.version.version) if champion.version else None,
        champion_excluded=champion.excluded,
        baseline_by=tuple(spec.baseline),
    )
    with budget("io"):
        if model.may_be_marked(run_type):
            _store(client, model, found, spec)
    return found


def classes_of(estimator: Any, spec: TrainingSpec) -> list[Any] | None:
    """The labels that a classifier knows, in the order of its probabilities."""
    return list(estimator.classes_) if spec.task == "classification" else None


def predict(estimator: Any, spec: TrainingSpec, inputs: Any) -> np.ndarray:
    """P(second class) of a binary classifier, a column per class of a wider one, values otherwise.

    On one thread: it takes a moment, and the threads of tasks that predict at once would wait for each other.
    """
    from threadpoolctl import threadpool_limits

    classifies = spec.task == "classification"
    if classifies and not hasattr(estimator, "predict_proba"):
        raise TrainingError(
            f"Model {spec.model}: {type(estimator).__name__} has no predict_proba: wrap it in CalibratedClassifierCV."
        )
    try:
        with threadpool_limits(limits=1):
            values: np.ndarray = estimator.predict_proba(inputs) if classifies else estimator.predict(inputs)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"Model {spec.model}: the prediction failed: {redact(error)}.") from None
    return values[:, 1] if classifies and values.shape[1] == 2 else values


def _champion_prediction(
    client: Mlflow, champion: Champion, rows: pa.Table, classes: list[Any] | None, trusted: list[str]
) -> np.ndarray | None:
    """The champion's predictions; None where it cannot be asked, and then the gate stays shut."""
    version = champion.version
    if version is None or version.model_id is None:
        return None
    spec = TrainingSpec.from_json(json.loads(version.tags[tags.SPEC]))
    features = json.loads(version.tags[tags.FEATURES])
    missing = [name for name in features if name not in rows.column_names]
    if missing:
        _log.warning("Version %d cannot be compared: it needs column %s.", version.version, ", ".join(missing))
        return None
    # The digest is the registered one; the allow-list is the project's of today.
    source = client.tracking.model(version.model_id)
    estimator = load_model(client, source.artifact_uri, version.tags[tags.DIGEST], trusted)
    if classes_of(estimator, spec) != classes:
        _log.warning("Version %d cannot be compared: it predicts other classes.", version.version)
        return None
    return predict(estimator, spec, features_of(rows, features))


def encoded(rows: pa.Table, spec: TrainingSpec, classes: list[Any] | None) -> pa.Table:
    """The target as the metrics take it: a class by its number in the model's order."""
    if classes is None:
        return rows
    numbers = {label: number for number, label in enumerate(classes)}
    labels = rows[spec.target].to_pylist()
    unknown = {label for label in labels if label not in numbers}
    if unknown:
        raise TrainingError(
            f"Model {spec.model}: the test holds {len(unknown)} classes of {spec.target} that the training did not."
        )
    return rows.set_column(rows.column_names.index(spec.target), spec.target, [[numbers[label] for label in labels]])


def _many(classes: list[Any] | None) -> int | None:
    return len(classes) if classes and len(classes) > 2 else None


def _check_columns(rows: pa.Table, spec: EvaluationSpec) -> None:
    missing = [
        name for name in (*spec.baseline, *([spec.clusters] if spec.clusters else [])) if name not in rows.column_names
    ]
    if missing:
        raise ConfigurationError(
            f"Evaluation: no column {', '.join(missing)}, named by clusters or baseline; the snapshot has "
            f"{', '.join(rows.column_names)}."
        )


def _seed(model: TrainedModel, champion: Champion, snapshot: Snapshot) -> int:
    """The same models on the same rows give the same verdict, however often they are asked."""
    rival = champion.version.source if champion.version else None
    return int(digest([model.facts[tags.KEY], rival, snapshot.manifest.data_version])[:8], 16)


def _store(client: Mlflow, model: TrainedModel, found: Evaluation, spec: EvaluationSpec) -> None:
    finite = {name: value for name, value in found.candidate.items() if value == value}
    client.tracking.log(model.run_id, metrics=finite, model_id=model.model_id)
    facts = {tags.METRICS: json.dumps(found.to_json()["candidate"]), tags.EVALUATION: json.dumps(asdict(spec))}
    client.tracking.tag_model(model.model_id, facts)
    evidence: Mapping[str, str] = {
        "evaluation/evaluation.json": json.dumps(found.to_json(), indent=1),
        "evaluation/evaluation.html": evaluation_page(found),
    }
    upload_text(client, client.tracking.artifact_uri(model.run_id), evidence)
