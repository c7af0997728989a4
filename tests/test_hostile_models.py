"""Hostile models, registered with a digest of their own by somebody who may: none runs, wherever it comes.

``build/test/hostile.json`` says of each whether its code ran, and whether every stage refused it.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from upath import UPath

from airflow_mlops.clients.folder import FolderTarget
from airflow_mlops.core import tags
from airflow_mlops.core.packages import MODEL_FILE, ModelRef
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.tracking import LoggedModel
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.exceptions import DigestMismatch, SecurityError, UntrustedModel
from airflow_mlops.serving.loading import Order, bring
from airflow_mlops.steps.deployment import Request, deploy
from airflow_mlops.steps.models import digest_of, save_model
from airflow_mlops.steps.packages import fetch, load, load_model
from airflow_mlops.steps.smoke import smoke_test
from airflow_mlops.testing.registry import InMemoryRegistry

OUT = Path(__file__).parent.parent / "build/test/hostile.json"
ROWS, LABELS = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


@dataclass
class Shelf:
    """A registry in memory and its artifacts in a folder, where anything may lie."""

    root: Path
    registry: InMemoryRegistry = field(default_factory=InMemoryRegistry)

    @property
    def tracking(self) -> Shelf:
        return self

    def model(self, model_id: str) -> LoggedModel:
        return LoggedModel(model_id, "1", "r", str(self.root / model_id), 0)

    def artifact_uri(self, run_id: str) -> str:
        return str(self.root / run_id)

    def download(self, artifact_uri: str, folder: Path) -> None:
        shutil.copytree(artifact_uri, folder, dirs_exist_ok=True, symlinks=True)

    def close(self) -> None:
        pass

    def register(self, number: int, digest: str | None = None) -> ModelVersion:
        """What lies there, by the digest that it has, or by another."""
        facts = {
            tags.DIGEST: digest or digest_of(self.root / f"m-{number}"),
            tags.SPEC: json.dumps(TrainingSpec("m", "a.b", target="y").to_json()),
            tags.APPROVED: "2026-10-01",
        }
        self.registry.ensure_model("m")
        return self.registry.create_version("m", f"models:/m-{number}", None, facts)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an honest model."""
    folder = tmp_path_factory.mktemp("good") / "model"
    estimator = LogisticRegression().fit(ROWS, LABELS)
    save_model(folder, estimator, inputs=[Column("a", "double")], outputs="long")
    return folder


@pytest.fixture
def shelf(tmp_path: Path, good: Path) -> Shelf:
    """Two honest models, of which the second is about to change."""
    for number in (1, 2):
        shutil.copytree(good, tmp_path / f"m-{number}")
    (tmp_path / "m-1" / "requirements.txt").write_text("other\n")
    return Shelf(tmp_path)


class Payload:
    """Touches the canary when it is unpickled."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def told(folder: Path, **flavours: Mapping[str, Any]) -> None:
    """Rewrite what the model says of its flavours."""
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    for name, facts in flavours.items():
        mlmodel["flavors"].setdefault(name, {}).update(facts)
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))


def as_pickle(folder: Path, canary: str) -> None:
    (folder / MODEL_FILE).unlink()
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(Payload(canary)))
    told(folder, python_function={"model_path": "model.pkl"})
    told(folder, sklearn={"pickled_model": "model.pkl", "serialization_format": "pickle"})


def as_joblib(folder: Path, canary: str) -> None:
    joblib.dump(Payload(canary), folder / MODEL_FILE)


def as_cloudpickle(folder: Path, canary: str) -> None:
    (folder / MODEL_FILE).write_bytes(cloudpickle.dumps(Payload(canary)))
    told(folder, sklearn={"serialization_format": "cloudpickle"})


def as_another_flavour(folder: Path, canary: str) -> None:
    """The honest file lies there too."""
    (folder / "requirements.txt").write_bytes(cloudpickle.dumps(Payload(canary)))
    told(folder, sklearn={"pickled_model": "requirements.txt", "serialization_format": "pickle"})


def with_its_own_loader(folder: Path, canary: str) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "loader.py").write_text(
        f"import os\nos.system('touch {canary}')\ndef _load_pyfunc(path): return path\n"
    )
    told(folder, python_function={"loader_module": "loader", "code": "code"})


def with_its_own_trust(folder: Path, canary: str) -> None:
    skops.io.dump(FunctionTransformer(os.system), folder / MODEL_FILE)  # runs what it is asked to predict
    told(folder, sklearn={"skops_trusted_types": ["posix.system"]})


def as_a_link(folder: Path, canary: str) -> None:
    outside = folder.parent / "outside.skops"
    shutil.move(folder / MODEL_FILE, outside)
    (folder / MODEL_FILE).symlink_to(outside)


def as_a_bomb(folder: Path, canary: str) -> None:
    """10 GB that take 10 MB: a thousand entries with the same zeros."""
    size, count = 10 << 20, 1024
    zeros = bytes(size)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, crc = squeezer.compress(zeros) + squeezer.flush(), zlib.crc32(zeros)
    listing, at = b"", 0
    with (folder / MODEL_FILE).open("wb") as file:
        for number in range(count):
            name = f"{number}.npy".encode()
            facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(packed), size, len(name), 0)
            file.write(b"PK\3\4" + facts + name + packed)
            listing += b"PK\1\2\x14\0" + facts + struct.pack("<HHHII", 0, 0, 0, 0, at) + name
            at += 30 + len(name) + len(packed)
        file.write(listing + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(listing), at, 0))


CASES: dict[str, Callable[[Path, str], None]] = {
    "pickle": as_pickle,
    "joblib": as_joblib,
    "cloudpickle": as_cloudpickle,
    "switched flavour": as_another_flavour,
    "foreign loader": with_its_own_loader,
    "own trust list": with_its_own_trust,
    "symlink": as_a_link,
    "zip bomb": as_a_bomb,
}


def validated(shelf: Shelf, version: ModelVersion) -> None:
    smoke_test(shelf, name="m", version=version.version)


def evaluated(shelf: Shelf, version: ModelVersion) -> None:
    model = shelf.model(version.model_id or "")
    load_model(shelf, model.artifact_uri, version.tags[tags.DIGEST])


def deployed(shelf: Shelf, version: ModelVersion) -> None:
    target = FolderTarget(UPath(shelf.root / "target"))
    try:
        deploy(shelf, target, Request(ModelRef("m", version.version), asked=True))
    finally:
        assert target.standing("m").champion is None


def scored(shelf: Shelf, version: ModelVersion) -> None:
    folder = shelf.root / "scoring"
    load(folder, fetch(shelf, version, folder)).predict(ROWS)


def served(shelf: Shelf, version: ModelVersion) -> None:
    bring(Order("m", version.version, None, shelf.root / "keep", lambda: shelf))


STAGES = (validated, evaluated, deployed, scored, served)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    yield found
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1))


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_model_runs_nowhere(case: str, shelf: Shelf, outcomes: list[dict[str, Any]]) -> None:
    canary = shelf.root / "canary"
    CASES[case](shelf.root / "m-2", str(canary))
    version = shelf.register(2)
    refused = {}
    for stage in STAGES:
        try:
            stage(shelf, version)
        except SecurityError as error:
            refused[stage.__name__] = str(error)
    outcomes.append({"case": case, "executed": canary.exists(), "refused": len(refused) == len(STAGES)})
    assert not canary.exists()
    assert list(refused) == [stage.__name__ for stage in STAGES]
    assert all("refused" in told for told in refused.values()), refused


@pytest.mark.parametrize("case", ["pickle", "joblib", "cloudpickle", "own trust list"])
def test_the_hostile_models_are_hostile(case: str, shelf: Shelf) -> None:
    """What MLflow or joblib does with them."""
    canary = shelf.root / "canary"
    folder = shelf.root / "m-2"
    CASES[case](folder, str(canary))
    if case == "own trust list":
        skops.io.load(folder / MODEL_FILE, trusted=["posix.system"]).transform(f"touch {canary}")
    else:
        joblib.load(folder / ("model.pkl" if case == "pickle" else MODEL_FILE))
    assert canary.exists()


def test_an_honest_model_comes_through(shelf: Shelf) -> None:
    folder = shelf.root / "scoring"
    version = shelf.register(2)
    loaded = load(folder, fetch(shelf, version, folder))
    assert list(loaded.predict(pd.DataFrame({"a": [0.0, 3.0]})).values) == [0, 1]
    deploy(shelf, FolderTarget(UPath(shelf.root / "target")), Request(ModelRef("m", version.version), asked=True))
    served(shelf, version)
    evaluated(shelf, version)


def one_bit(folder: Path) -> None:
    file = folder / MODEL_FILE
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(folder: Path) -> None:
    file = folder / MODEL_FILE
    file.write_bytes(file.read_bytes()[:-10])


def another_version(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / "m-1", folder)


TAMPERING: dict[str, Callable[[Path], object]] = {
    "a bit": one_bit,
    "cut": cut,
    "removed": lambda folder: (folder / "requirements.txt").unlink(),
    "added": lambda folder: (folder / "conda.yaml.bak").write_text(""),
    "renamed": lambda folder: (folder / "conda.yaml").rename(folder / "python.yaml"),
    "another version": another_version,
    "MLmodel": lambda folder: told(folder, sklearn={"skops_trusted_types": ["posix.system"]}),
    "emptied": lambda folder: (folder / "MLmodel").write_text(""),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_what_was_tampered_with_is_refused(how: str, shelf: Shelf) -> None:
    version, folder = shelf.register(2), shelf.root / "m-2"
    kept = shelf.root / "kept"
    package = fetch(shelf, version, kept)
    TAMPERING[how](folder)
    for stage in STAGES:
        with pytest.raises(DigestMismatch, match="not those that were"):
            stage(shelf, version)
        shutil.rmtree(shelf.root / "scoring", ignore_errors=True)
    shutil.rmtree(kept)
    shutil.copytree(folder, kept)
    with pytest.raises(DigestMismatch):  # changed after it was fetched
        load(kept, package)


def test_a_tag_that_names_another_digest_is_refused(shelf: Shelf) -> None:
    version = shelf.register(2, digest_of(shelf.root / "m-1"))
    with pytest.raises(DigestMismatch):
        fetch(shelf, version, shelf.root / "kept")
    with pytest.raises(UntrustedModel, match="has no digest"):
        fetch(shelf, replace(version, tags={}), shelf.root / "kept")
