"""Training: one model per as-of, data version, code version and parameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from airflow_mlops.core.training import RunFacts, TrainingSpec
from airflow_mlops.links import MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, dag_code_version, dag_run_url, number, run_type, snapshot_of
from airflow_mlops.steps.training import train

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrainModelOperator(MlopsOperator):
    """Fit a scikit-learn estimator on a snapshot's training rows and log it to MLflow.

    Returns a :class:`~airflow_mlops.core.training.TrainedModel` as a dict. A model of the same as-of, data version,
    code version and parameters is found instead of made again.

    :param snapshot: output of an earlier task, or the URI of a snapshot
    :param model: name of the model, its experiment and its registered model
    :param estimator: import path of a class or function that returns an unfitted estimator
    :param parameters: keyword arguments of the estimator, checked before any row is read
    :param target: column to predict
    :param features: columns that the estimator gets; None for all but target, event time and ``exclude``
    :param exclude: columns that are no features
    :param task: ``classification`` or ``regression``
    :param seed: for every open ``random_state``, and for the split of data without a time
    :param test_size: share of rows held out where the snapshot has no windows
    :param trusted: importable classes of your own that the model file may hold
    :param sensitive: columns of which the baseline profile may hold no value
    :param threads: threads of the fit; None for the cores divided by the tasks that may run at once
    :param note: what this training tries, in plain words
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "snapshot", "model", "estimator", "parameters", "target", "features", "exclude", "task", "seed", "test_size",
        "trusted", "sensitive", "threads", "note",
    )  # fmt: skip
    template_fields_renderers = {"parameters": "json"}
    operator_extra_links = (MlflowRunLink(),)

    def __init__(
        self,
        *,
        snapshot: str | Mapping[str, Any],
        model: str,
        estimator: str,
        parameters: Mapping[str, Any] | None = None,
        target: str | None = None,
        features: list[str] | None = None,
        exclude: list[str] | None = None,
        task: str = "classification",
        seed: int = 0,
        test_size: float = 0.25,
        trusted: list[str] | None = None,
        sensitive: list[str] | None = None,
        threads: int | None = None,
        note: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.model = model
        self.estimator = estimator
        self.parameters = parameters
        self.target = target
        self.features = features
        self.exclude = exclude
        self.task = task
        self.seed = seed
        self.test_size = test_size
        self.trusted = trusted
        self.sensitive = sensitive
        self.threads = threads
        self.note = note

    def run_step(self, context: Context, build: Callable[..., Any] | None = None) -> dict[str, Any]:
        trained = train(
            self.client,
            snapshot=snapshot_of(self.snapshot),
            spec=self.spec(),
            run=RunFacts(
                run_type=run_type(context),
                run_url=dag_run_url(context),
                code_version=dag_code_version(self, context),
                owner=self.owner,
                note=self.note,
            ),
            build=build,
            trusted=self.trusted or [],
            sensitive=self.sensitive or [],
            threads=number(self.threads, "threads") if self.threads else fair_threads(),
            budget=self.budget,
        )
        self.run_url = self.client.run_url(trained.experiment_id, trained.run_id)
        self.log.info("%s model %s: %s", "Trained" if trained.created else "Found", trained.model_id, self.run_url)
        return trained.to_json()

    def spec(self) -> TrainingSpec:
        return TrainingSpec(
            model=self.model,
            estimator=self.estimator,
            params=dict(self.parameters or {}),
            task=self.task,
            target=self.target,
            features=self.features,
            exclude=list(self.exclude or []),
            seed=number(self.seed, "seed"),
            test_size=number(self.test_size, "test_size", float),
        )


def fair_threads() -> int:
    """Threads of one fit when every slot of this machine trains at once: more would only wait for each other."""
    return max(1, (os.cpu_count() or 1) // max(1, conf.getint("core", "parallelism", fallback=32)))
