"""What a training is made of, its idempotency key, and the record that a model is traced by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_mlops.core import tags
from airflow_mlops.core.evaluation.measures import METRICS
from airflow_mlops.core.names import check_name
from airflow_mlops.core.run_types import historical
from airflow_mlops.core.snapshots import Manifest, canonical_json, digest
from airflow_mlops.exceptions import ConfigurationError, TrainingError


@dataclass(frozen=True)
class TrainingSpec:
    """What decides the model beside data, code and as-of.

    :param model: name of the model, also of its experiment and its registered model
    :param estimator: import path of a class or function that returns an unfitted scikit-learn estimator
    :param params: its keyword arguments
    :param task: ``classification``, ``regression`` or another task that has metrics
    :param target: column to predict; None for tasks without one
    :param features: columns that the estimator gets, in this order; None for all but target, event time and ``exclude``
    :param exclude: columns that are no features
    :param seed: for every ``random_state`` that the estimator leaves open, and for the split of data without a time
    :param test_size: share of rows held out where the snapshot has no windows
    """

    model: str
    estimator: str
    params: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"
    target: str | None = None
    features: list[str] | None = None
    exclude: list[str] = field(default_factory=list)
    seed: int = 0
    test_size: float = 0.25

    def __post_init__(self) -> None:
        check_name(self.model)
        if self.task not in METRICS:
            raise ConfigurationError(f"Model {self.model}: task {self.task!r} is not one of {', '.join(METRICS)}.")
        if self.task in ("classification", "regression") and not self.target:
            raise ConfigurationError(f"Model {self.model}: {self.task} needs a target column.")
        if not 0 < self.test_size < 1:
            raise ConfigurationError(f"Model {self.model}: test_size {self.test_size} is not between 0 and 1.")
        try:
            canonical_json(self.to_json())
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"Model {self.model}: its parameters cannot be told as JSON: {error}.") from error

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "params": dict(self.params)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingSpec:
        return cls(**data)

    def key(self, manifest: Manifest, code_version: str) -> str:
        """The idempotency key: one trained model for each, 64 hexadecimal characters.

        The windows count too: the same rows may be split otherwise.
        """
        split = [manifest.event_time, manifest.windows]
        return digest([self.to_json(), manifest.as_of, manifest.data_version, split, code_version])

    def feature_columns(self, columns: list[str], event_time: str | None) -> list[str]:
        """The features among a snapshot's columns.

        :raises TrainingError: a named feature or the target is not there, or the target is among the features
        """
        wanted = self.features
        if wanted is None:
            aside = {self.target, event_time, *self.exclude}
            wanted = [name for name in columns if name not in aside]
        missing = [name for name in [*wanted, *([self.target] if self.target else [])] if name not in columns]
        if missing:
            raise TrainingError(
                f"Model {self.model}: no column {', '.join(missing)}; the snapshot has {', '.join(columns)}."
            )
        if self.target in wanted:
            raise TrainingError(f"Model {self.model}: the target {self.target} is among the features.")
        if not wanted:
            raise TrainingError(f"Model {self.model}: no feature is left.")
        return wanted


@dataclass(frozen=True)
class RunFacts:
    """What a training should know of the run that it is part of; unknown outside Airflow.

    :param run_type: ``backfill`` and ``reprocessed`` make a historical model
    :param parent: ``model_id`` of the model whose record this training overrides
    """

    run_type: str = "live"
    run_url: str = tags.UNKNOWN
    code_version: str = tags.UNKNOWN
    owner: str = tags.UNKNOWN
    note: str = ""
    parent: str | None = None


@dataclass(frozen=True)
class TrainedModel:
    """A trained model: its places in MLflow, and the facts that it can be traced and made again by.

    :param facts: tags of the model, see :mod:`airflow_mlops.core.tags`
    :param created: False when a model of the same key was there already
    """

    model: str
    model_id: str
    run_id: str
    experiment_id: str
    artifact_uri: str
    facts: Mapping[str, str]
    created: bool = True

    @property
    def spec(self) -> TrainingSpec:
        return TrainingSpec.from_json(json.loads(self.facts[tags.SPEC]))

    @property
    def features(self) -> list[str]:
        return list(json.loads(self.facts[tags.FEATURES]))

    def may_be_marked(self, run_type: str) -> bool:
        """Whether a run may write its figures and verdict on it: one about the past leaves a live run's model alone."""
        return not historical(run_type) or historical(self.facts.get(tags.RUN_TYPE))

    def to_json(self) -> dict[str, Any]:
        shown = {name: self.facts.get(f"mlops.{name}") for name in ("as_of", "data_version", "train_rows", "run_type")}
        return {**asdict(self), "facts": dict(self.facts), **shown}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainedModel:
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})


def training_facts(manifest: Manifest, uri: str, spec: TrainingSpec, run: RunFacts, key: str) -> dict[str, str]:
    """The part of the record that is known before the fit; what nobody knows is stored as unknown."""
    windows = manifest.bounds
    ends = {
        tags.TRAIN_START: windows and windows.train.start,
        tags.TRAIN_END: windows and windows.train.end,
        tags.TEST_START: windows and windows.test.start,
        tags.TEST_END: windows and windows.test.end,
    }
    dirty = str("+" in run.code_version).lower() if run.code_version.startswith("git:") else tags.UNKNOWN
    return {
        tags.KEY: key,
        tags.AS_OF: manifest.as_of,
        tags.DATA_VERSION: manifest.data_version,
        tags.SNAPSHOT: uri,
        tags.CODE_VERSION: run.code_version,
        tags.CODE_DIRTY: dirty,
        tags.SEED: str(spec.seed),
        tags.SPEC: canonical_json(spec.to_json()).decode(),
        tags.RUN_TYPE: run.run_type,
        tags.RUN_URL: run.run_url,
        tags.OWNER: run.owner,
        tags.NOTE: run.note or tags.UNKNOWN,
        **{name: end.isoformat() if end else tags.UNKNOWN for name, end in ends.items()},
        **({tags.PARENT: run.parent} if run.parent else {}),
    }
