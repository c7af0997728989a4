"""A registry in a folder, which the processes of the models can read too, and estimators that misbehave."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from airflow_mlops.core import tags
from airflow_mlops.core.packages import MODEL_FILE
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.exceptions import NotFound, ServiceUnavailable
from airflow_mlops.steps.baselines import ARTIFACT
from airflow_mlops.steps.models import digest_of, import_skops
from airflow_mlops.steps.profiles import profile_table

NUMBERS, WORDS = ["n0", "n1", "n2", "n3"], ["w0", "w1"]
COLUMNS = (*(Column(name, "double", name == "n0") for name in NUMBERS), *(Column(n, "string", False) for n in WORDS))


@dataclass(frozen=True)
class Shelf:
    """A registry and its artifacts below a folder; ``away`` there makes it answer nothing."""

    root: Path

    def __call__(self) -> Shelf:
        return self

    @property
    def registry(self) -> Shelf:
        return self

    @property
    def tracking(self) -> Shelf:
        return self

    def alias(self, name: str, alias: str) -> int | None:
        return self._read(name)["aliases"].get(alias)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        told = self._read(name)
        self._write(name, {**told, "aliases": {**told["aliases"], alias: version}})

    def version(self, name: str, version: int) -> ModelVersion:
        found = self._read(name)["versions"].get(str(version))
        if found is None:
            raise NotFound(f"Model {name} has no version {version}.")
        return ModelVersion(name, version, f"models:/m-{name}-{version}", tags=found)

    def model(self, model_id: str) -> Any:
        return SimpleNamespace(artifact_uri=str(self.root / model_id), run_id=f"run-{model_id}")

    def artifact_uri(self, run_id: str) -> str:
        return str(self.root / run_id)

    def download(self, uri: str, folder: Path) -> None:
        shutil.copytree(uri, folder, dirs_exist_ok=True, symlinks=True)

    def close(self) -> None:
        pass

    def away(self, gone: bool) -> None:
        (self.root / "away").touch() if gone else (self.root / "away").unlink()

    def publish(
        self, estimator: Any, *, name: str = "m", task: str = "classification", columns: Iterable[Column] = COLUMNS,
        baseline: pa.Table | None = None, sensitive: Iterable[str] = (), facts: Mapping[str, str] | None = None,
    ) -> int:  # fmt: skip
        """Register a fitted estimator; its version."""
        told = self._read(name)
        number = len(told["versions"]) + 1
        folder = self.root / f"m-{name}-{number}"
        folder.mkdir(parents=True)
        inputs = [{"name": c.name, "type": c.type, "required": c.required} for c in columns]
        output = "string" if task == "classification" else "double"
        signature = {"inputs": json.dumps(inputs), "outputs": json.dumps([{"type": output, "required": True}])}
        (folder / "MLmodel").write_text(yaml.safe_dump({"signature": signature}))
        import_skops().dump(estimator, folder / MODEL_FILE)
        its = {
            tags.DIGEST: digest_of(folder),
            tags.SPEC: json.dumps(TrainingSpec(name, "a.b", task=task, target="y").to_json()),
            tags.SENSITIVE: json.dumps(list(sensitive)),
            **(facts or {}),
        }
        if baseline is not None:
            profile = profile_table(baseline, sensitive=sensitive)
            path = self.root / f"run-m-{name}-{number}" / ARTIFACT
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(profile.to_json()))
            its[tags.BASELINE] = profile.digest
        self._write(name, {**told, "versions": {**told["versions"], str(number): its}})
        return number

    def _read(self, name: str) -> dict[str, Any]:
        if (self.root / "away").exists():
            raise ServiceUnavailable("The registry is away.")
        path = self.root / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else {"aliases": {}, "versions": {}}

    def _write(self, name: str, told: dict[str, Any]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        spool = self.root / f".{name}.json"
        spool.write_text(json.dumps(told))
        spool.replace(self.root / f"{name}.json")


def rows_of(count: int = 400, seed: int = 0) -> pd.DataFrame:
    """Rows of :data:`COLUMNS`, some with values missing."""
    random = np.random.default_rng(seed)
    data: dict[str, Any] = {name: random.normal(size=count) for name in NUMBERS}
    data["n1"][random.random(count) < 0.1] = np.nan
    words = {name: random.choice(["red", "green", "blue"], count) for name in WORDS}
    data |= {name: [None if random.random() < 0.05 else str(word) for word in its] for name, its in words.items()}
    return pa.table(data).to_pandas()


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    return [{k: None if v != v or v is None else v for k, v in row.items()} for row in rows.to_dict("records")]


def pipeline(seed: int = 0) -> Pipeline:
    """A classifier of :data:`COLUMNS` that takes what is missing and what it never saw."""
    rows = rows_of(seed=seed)
    labels = np.where(rows["n0"] + np.random.default_rng(seed).normal(size=len(rows)) > 0, "yes", "no")
    encode = OneHotEncoder(handle_unknown="ignore")
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    made = make_pipeline(make_column_transformer((numbers, NUMBERS), (encode, WORDS)), LogisticRegression())
    return made.fit(rows, labels)


class Odd(RegressorMixin, BaseEstimator):
    """Predicts a constant, or what no model should.

    :param how: ``fine``, ``error``, ``nan``, ``wide``, ``slow`` (a row takes 0.2 s), ``sometimes`` (an error for
        rows whose first number is above 1e6), ``exit`` (ends its process then), ``hang`` or ``slow_load``
    """

    def __init__(self, how: str = "fine", value: float = 0.0) -> None:
        self.how = how
        self.value = value

    def fit(self, rows: Any, target: Any = None) -> Odd:
        self.fitted_ = True
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if state["how"] == "slow_load":
            time.sleep(60)

    def predict(self, rows: Any) -> Any:
        first = rows.iloc[:, 0].to_numpy(dtype=float)
        if self.how == "error" or (self.how == "sometimes" and (first > 1e6).any()):
            raise ValueError("could not convert 'secret' of row 12345")
        if self.how == "exit" and (first > 1e6).any():
            import os

            os._exit(3)
        if self.how == "slow":
            time.sleep(0.2)
        if self.how == "hang":
            time.sleep(0.2 if (first <= 1e6).all() else 60)
        answer = np.full(len(rows), np.nan if self.how == "nan" else self.value)
        return np.column_stack([answer, answer]) if self.how == "wide" else answer
