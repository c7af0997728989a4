"""Train one model per idempotency key and log everything that it can be made again from."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.import_path import import_object
from airflow_mlops.core.packages import Package
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.signatures import output_type, signature_columns
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec, training_facts
from airflow_mlops.exceptions import TrainingError
from airflow_mlops.steps import logged_models
from airflow_mlops.steps.baselines import ARTIFACT
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.golden import ARTIFACT as GOLDEN
from airflow_mlops.steps.golden import make_golden
from airflow_mlops.steps.models import environment, import_skops, save_model
from airflow_mlops.steps.profiles import profile_table
from airflow_mlops.steps.rows import features_of, labelled, target_of, training_rows
from airflow_mlops.store.snapshots import Snapshot

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from airflow_mlops.core.tracking import Mlflow


def train(
    client: Mlflow,
    *,
    snapshot: Snapshot,
    spec: TrainingSpec,
    run: RunFacts | None = None,
    build: Callable[..., Any] | None = None,
    trusted: Iterable[str] = (),
    sensitive: Iterable[str] = (),
    threads: int | None = None,
    budget: CpuBudget | None = None,
) -> TrainedModel:
    """Fit on the snapshot's training rows and log the model; a model of the same key is found instead of made again.

    :param build: the function behind ``spec.estimator``, where it cannot be imported (a notebook's, a decorated task's)
    :param trusted: classes of the project's own that the model file may hold
    :param sensitive: columns of which the baseline profile counts nothing but rows and nulls
    :param threads: threads of the fit; None for as many as there are cores
    :raises TrainingError: bad parameters (before anything is read), columns, labels, or an estimator that refused
    """
    run, budget, trusted, sensitive = run or RunFacts(), budget or CpuBudget(), list(trusted), sorted(set(sensitive))
    manifest = snapshot.manifest
    key = spec.key(manifest, run.code_version)
    with budget("io"):
        experiment_id = client.tracking.experiment_id(spec.model)
        logged_models.close_left_open(client, experiment_id, key)
        existing = logged_models.find(client, experiment_id, key)
    if existing:
        return existing
    with budget("imports"):
        import mlflow.sklearn  # noqa: F401
        import pandas  # noqa: F401

        import_skops()
        estimator = build_estimator(spec, build)
    begin = time.monotonic()
    features, rows = fit_on(snapshot, estimator, spec, threads, budget)
    with budget("profile"):
        profiled = [*features, *([spec.target] if spec.target else [])]
        baseline = profile_table(rows, columns=profiled, sensitive=sensitive, as_of=manifest.as_of)
    with tempfile.TemporaryDirectory(prefix="mlops-train-") as folder:
        with budget("save"):
            signature = signature_columns(manifest.schema, features, missing_in(rows, features))
            output = output_type(manifest.schema, spec)
            digest = save_model(Path(folder), estimator, inputs=signature, outputs=output, trusted=trusted)
        with budget("golden"):
            package = Package(spec.model, 0, "", digest, spec.task, tuple(signature), output)
            golden = make_golden(estimator, package, baseline)
        facts = training_facts(manifest, snapshot.uri, spec, run, key) | {
            tags.DIGEST: digest,
            tags.ENVIRONMENT: hashlib.sha256(environment().encode()).hexdigest(),
            tags.FEATURES: json.dumps(features),
            tags.TRAIN_ROWS: str(rows.num_rows),
            tags.BASELINE: baseline.digest,
            tags.GOLDEN: golden.digest if golden else tags.UNKNOWN,
            tags.SENSITIVE: json.dumps(sensitive),
            tags.THREADS: str(threads or tags.UNKNOWN),
            tags.TRAIN_SECONDS: f"{time.monotonic() - begin:.2f}",
        }
        params = {"estimator": spec.estimator, "train_rows": rows.num_rows, "threads": threads, "trusted": trusted}
        with budget("io"):
            return logged_models.log(
                client,
                experiment_id,
                name=spec.model,
                facts=facts,
                params={**spec.params, **params},
                manifest=manifest,
                files=Path(folder),
                evidence={
                    ARTIFACT: json.dumps(baseline.to_json()),
                    **({GOLDEN: json.dumps(golden.to_json())} if golden else {}),
                },
            )


def fit_on(
    snapshot: Snapshot, estimator: Any, spec: TrainingSpec, threads: int | None, budget: CpuBudget
) -> tuple[list[str], pa.Table]:
    """Fit in place on the snapshot's training rows; the columns that it got, and the rows."""
    manifest = snapshot.manifest
    with budget("read"):
        features = spec.feature_columns([column["name"] for column in manifest.schema], manifest.event_time)
        rows = labelled(training_rows(snapshot, spec), spec)
        inputs, target = features_of(rows, features), target_of(rows, spec)
    with budget("fit"):
        fit(estimator, inputs, target, spec, threads)
    return features, rows


def missing_in(rows: pa.Table, features: Iterable[str]) -> set[str]:
    """The features that some row has no value of."""
    import pyarrow.compute as pc

    return {name for name in features if pc.any(pc.is_null(rows[name], nan_is_null=True)).as_py()}


def build_estimator(spec: TrainingSpec, build: Callable[..., Any] | None = None) -> Any:
    """The unfitted estimator, its parameters checked as far as scikit-learn can without data."""
    build = build or import_object(spec.estimator, "estimator")
    try:
        estimator = build(**spec.params)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"Model {spec.model}: {spec.estimator} refused its parameters: {error}.") from error
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        raise TrainingError(
            f"Model {spec.model}: {spec.estimator} returned {type(estimator).__name__}, not an estimator."
        )
    parts = estimator.get_params(deep=True)
    open_seeds = [n for n, value in parts.items() if n.split("__")[-1] == "random_state" and value is None]
    estimator.set_params(**dict.fromkeys(open_seeds, spec.seed))
    for part in [estimator, *parts.values()]:
        # scikit-learn's own check, which its fit would run only after the data was read.
        if hasattr(part, "_parameter_constraints") and not isinstance(part, type):
            try:
                part._validate_params()
            except (ValueError, TypeError) as error:
                raise TrainingError(f"Model {spec.model}: {error}") from error
    return estimator


def fit(estimator: Any, rows: pd.DataFrame, target: np.ndarray | None, spec: TrainingSpec, threads: int | None) -> None:
    """Fit in place, within a number of threads."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    if spec.task == "classification" and target is not None and len(np.unique(target)) < 2:
        raise TrainingError(
            f"Model {spec.model}: target {spec.target} has one class in the training window: nothing to tell apart."
        )
    try:
        with threadpool_limits(limits=threads):
            estimator.fit(rows, target)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"Model {spec.model}: the fit failed: {redact(error)}.") from None
