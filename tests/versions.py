"""Small registered versions by the real steps, and estimators of a user's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from upath import UPath

from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.windows import instant
from airflow_mlops.steps.promotion import promote
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train

FEATURES = ["distance", "delay", "carrier", "night"]


class Miles(TransformerMixin, BaseEstimator):
    """A transformer of a user's own: kilometres as miles."""

    def __init__(self, factor: float = 0.621371) -> None:
        self.factor = factor

    def fit(self, X: Any, y: Any = None) -> Miles:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return X.assign(distance=X["distance"] * self.factor)


MILES = f"{Miles.__module__}.Miles"


def numbers() -> HistGradientBoostingClassifier:
    """Trees on whatever numbers there are."""
    return HistGradientBoostingClassifier(max_iter=5)


def boosted() -> Pipeline:
    """Text as numbers, then trees, which take what is missing."""
    return make_pipeline(_encoded(), HistGradientBoostingClassifier(max_iter=5))


def light() -> Pipeline:
    """LightGBM's scikit-learn estimator."""
    from lightgbm import LGBMClassifier

    return make_pipeline(_encoded(), LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1))


def own() -> Pipeline:
    """A transformer of the user's own, then what comes with scikit-learn."""
    return make_pipeline(Miles(), *[step for _, step in boosted().steps])


def logistic() -> LogisticRegression:
    """The smallest classifier."""
    return LogisticRegression()


def _encoded() -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    return make_column_transformer((encoder, ["carrier", "night"]), remainder="passthrough")


def flights(size: int = 300, seed: int = 0) -> pa.Table:
    """Rows with numbers, text and truth; ``delay`` and ``carrier`` are missing now and then."""
    chance = np.random.default_rng(seed)
    distance = chance.integers(100, 3000, size).astype(float)
    late = distance + chance.normal(0, 600, size) > 1500
    return pa.table(
        {
            "id": np.arange(size),
            "distance": distance,
            "delay": pa.array(chance.normal(10, 5, size), mask=chance.random(size) < 0.1),
            "carrier": pa.array(chance.choice(["UA", "AA", "DL"], size), mask=chance.random(size) < 0.1),
            "night": late ^ (chance.random(size) < 0.2),
            "late": late.astype(np.int64),
        }
    )


def make_version(
    client: Mlflow,
    store: UPath,
    name: str,
    build: Any = boosted,
    *,
    features: list[str] | None = None,
    trusted: Iterable[str] = (),
    sensitive: Iterable[str] = (),
    as_of: str = "2026-10-01",
    champion: bool = False,
    rows: pa.Table | None = None,
) -> ModelVersion:
    """Train, register, and promote if asked to; another ``as_of`` makes another version."""
    table = flights() if rows is None else rows
    source = CallableSource(lambda **_: table, ["id"])
    snapshot = ingest(store, name="flights", source=source, as_of=instant(as_of))
    spec = TrainingSpec(
        model=name, estimator=f"{__name__}.{build.__name__}", target="late", features=features or FEATURES
    )
    model = train(client, snapshot=snapshot, spec=spec, build=build, trusted=trusted, sensitive=sensitive)
    version, _ = register(client, model)
    if champion:
        promote(client.registry, name=name, version=version.version, reason="test", actor="test")
    return client.registry.version(name, version.version)
