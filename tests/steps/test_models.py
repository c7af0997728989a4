"""A model file runs nothing: neither when it is saved, nor when it is loaded, nor when it is refused."""

from __future__ import annotations

import functools
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from airflow_mlops.core.signatures import Column
from airflow_mlops.core.trust import trusted_types
from airflow_mlops.exceptions import ConfigurationError, TrainingError, UntrustedModel
from airflow_mlops.steps import models
from airflow_mlops.steps.models import digest_of, load_file, save_model

X = np.random.default_rng(0).random((60, 2))
Y = (X[:, 0] > 0.5).astype(int)
INPUTS = [Column("a", "double"), Column("b", "double")]


class Squares(TransformerMixin, BaseEstimator):
    """A user's own transformer, the common case."""

    def fit(self, X: Any, y: Any = None) -> Squares:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return np.square(X)


OWN = f"{Squares.__module__}.Squares"


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(3),
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[1], min_samples_leaf=2),
    ],
)
def test_plain_estimators_need_no_list_of_their_own(tmp_path: Path, estimator: Any) -> None:
    rows = np.column_stack([X[:, 0], (X[:, 1] * 4).astype(int)])
    digest = save_model(tmp_path, estimator.fit(rows, Y), inputs=INPUTS, outputs="long")
    loaded = load_file(tmp_path / "model.skops")
    assert np.array_equal(loaded.predict_proba(rows), estimator.predict_proba(rows))
    assert digest == digest_of(tmp_path)


def test_the_example_is_made_up_and_the_signature_declared(tmp_path: Path) -> None:
    save_model(tmp_path, LogisticRegression().fit(X, Y), inputs=INPUTS, outputs="long")
    assert '"data": [[0.0, 0.0]]' in (tmp_path / "input_example.json").read_text()
    assert '{"type": "double", "name": "a", "required": true}' in (tmp_path / "MLmodel").read_text().replace("\n", "")


def test_a_class_of_the_project_is_trusted_by_name_only(tmp_path: Path) -> None:
    pipeline = make_pipeline(Squares(), LogisticRegression()).fit(X, Y)
    with pytest.raises(TrainingError, match=r"Squares.*trusted in the project file"):
        save_model(tmp_path / "no", pipeline, inputs=INPUTS, outputs="long")
    save_model(tmp_path / "yes", pipeline, inputs=INPUTS, outputs="long", trusted=[OWN])
    with pytest.raises(UntrustedModel, match="Squares"):
        load_file(tmp_path / "yes" / "model.skops")
    assert load_file(tmp_path / "yes" / "model.skops", [OWN]).predict(X).shape == (60,)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "functools.partial", "subprocess.Popen", "x", "a b.c", "", "posix.system", 7]
)
def test_what_reaches_the_machine_cannot_be_trusted(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="not allowed"):
        trusted_types([name])


def test_a_function_cannot_be_trusted(tmp_path: Path) -> None:
    skops.io.dump(LogisticRegression(), tmp_path / "model.skops")
    with pytest.raises(ConfigurationError, match="not a class"):
        load_file(tmp_path / "model.skops", ["json.dumps"])


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


def hostile(canary: Path) -> dict[str, Any]:
    command = f"touch {canary}"
    return {
        "os.system": FunctionTransformer(os.system),
        "partial": FunctionTransformer(functools.partial(os.system, command)),
        "partial as a method": FunctionTransformer(functools.partial(canary.mkdir)),
        "bound method": FunctionTransformer(canary.mkdir),
        "eval": FunctionTransformer(eval),
        "reduce": FunctionTransformer(kw_args={"x": Payload(canary)}),
    }


@pytest.mark.parametrize("kind", hostile(Path("x")))
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path, kind: str) -> None:
    canary = tmp_path / "canary"
    skops.io.dump(hostile(canary)[kind], tmp_path / "model.skops")
    with pytest.raises(UntrustedModel, match="not trusted"):
        load_file(tmp_path / "model.skops")
    assert not canary.exists()


def test_a_pickle_under_our_name_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(pickle.dumps(Payload(tmp_path / "canary")))
    with pytest.raises(UntrustedModel, match="not a skops file"):
        load_file(tmp_path / "model.skops")
    assert not (tmp_path / "canary").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"0" * 10_000)
    with pytest.raises(UntrustedModel, match="unpack to too much"):
        load_file(tmp_path / "model.skops")


def test_the_digest_sees_names_and_every_bit(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    before = digest_of(folder)
    (folder / "a").write_bytes(b"2")
    changed = digest_of(folder)
    (folder / "a").rename(folder / "b")
    assert len({before, changed, digest_of(folder)}) == 3
