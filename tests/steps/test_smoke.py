"""A version is tried in a process of its own: what may answer passes, and what may not is told apart."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.golden import Golden
from airflow_mlops.core.packages import Package
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.smoke import SmokeBudget, SmokeReport
from airflow_mlops.exceptions import DigestMismatch, UntrustedModel
from airflow_mlops.steps.golden import ARTIFACT, read_golden
from airflow_mlops.steps.models import save_model
from airflow_mlops.steps.smoke import logged_columns, smoke_test
from airflow_mlops.steps.smoke.process import Findings, try_package
from airflow_mlops.store.predictions import PredictionWriter
from tests.versions import MILES, light, logistic, make_version, numbers, own

X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
Y = [0, 0, 1, 1]
COLUMNS = (Column("a", "double"),)


class Odd(ClassifierMixin, BaseEstimator):
    """Misbehaves as it is told, but not while it is trained."""

    def __init__(self, how: str = "") -> None:
        self.how = how

    def fit(self, X: Any, y: Any) -> Odd:
        self.classes_ = [0, 1]
        return self

    def predict(self, X: Any) -> Any:
        import numpy as np

        if self.how == "hang":
            import time

            time.sleep(60)
        if self.how == "exit":
            os._exit(3)
        if self.how == "hoard":
            self.hoard = np.ones(200_000_000)
        if self.how == "write":
            Path("note").write_text("I was here")
        if self.how == "look":
            print("noise", {**os.environ}, flush=True)
            return np.full(len(X), len(os.environ))
        if self.how == "wide":
            return np.zeros((len(X), 2))
        return np.zeros(len(X))


ODD = f"{Odd.__module__}.Odd"


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[..., Findings]:
    def attempt(estimator: Any, trusted: list[str] | None = None, **budget: float) -> Findings:
        digest = save_model(
            tmp_path / "model", estimator.fit(X, Y), inputs=list(COLUMNS), outputs="long", trusted=trusted or []
        )
        package = Package("m", 1, "m-1", digest, "classification", COLUMNS, "long")
        golden = Golden(({"a": 1.0}, {"a": 2.5}), (0, 1), None)
        return try_package(tmp_path, package, golden, trusted or [], SmokeBudget(**budget))

    return attempt


def test_a_model_answers_from_a_clean_process(attempt: Callable[..., Findings]) -> None:
    found = attempt(LogisticRegression())
    assert found.problem is None
    assert found.values == [0, 1]
    assert found.scores is not None
    assert 0 < (found.latency_ms or 0) < 1000
    assert found.memory_mb is not None
    assert 0 <= found.memory_mb < 500


@pytest.mark.integration
@pytest.mark.parametrize(
    ("how", "stage", "problem", "budget"),
    [
        ("hang", "time", "longer than 15 s", {"seconds": 15}),
        ("exit", "loads", "ended with 3 and no answer", {}),
        ("hoard", "memory|answers", "more than the 200 MB|Unable to allocate", {"memory_mb": 200}),
        ("write", "answers", "File too large", {}),
        ("wide", "answers", "owes one value each", {}),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_what_misbehaves_is_stopped_and_told(
    how: str, stage: str, problem: str, budget: dict[str, float], attempt: Callable[..., Findings]
) -> None:
    found = attempt(Odd(how), [ODD], **budget)
    assert found.stage in stage.split("|")
    assert any(words in (found.problem or "") for words in problem.split("|")), found


@pytest.mark.integration
def test_the_process_has_nobodys_environment(attempt: Callable[..., Findings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "secret")
    found = attempt(Odd("look"), [ODD])
    assert found.problem is None, found
    assert (found.values or [99])[0] < 12


@pytest.mark.parametrize(
    ("build", "trusted"),
    [
        pytest.param(logistic, [], marks=pytest.mark.integration),
        pytest.param(light, [], marks=pytest.mark.integration),
        (own, [MILES]),
    ],
    ids=["plain", "light", "own"],
)
def test_a_registered_version_passes(
    build: Any, trusted: list[str], client: MlflowClient, store: UPath, model_name: str
) -> None:
    features = ["distance"] if build is logistic else None
    version = make_version(client, store, model_name, build, features=features, trusted=trusted)
    report = smoke_test(client, name=model_name, version=version.version, trusted=trusted)
    assert report.passed, report.summary
    assert {check.name: check.status for check in report.checks} == {
        "champion": "skipped", "log": "skipped", "loads": "passed", "golden": "passed", "latency": "passed",
        "memory": "passed",
    }  # fmt: skip
    assert client.registry.version(model_name, version.version).tags[tags.SMOKE] == report.summary
    assert SmokeReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_what_clients_send_must_fit(client: MlflowClient, store: UPath, model_name: str) -> None:
    make_version(client, store, model_name, numbers, features=["distance", "delay"], champion=True)
    new = make_version(client, store, model_name, numbers, features=["distance", "night"], as_of="2026-10-02")
    sent = (Column("distance", "double", False), Column("tail", "string"))
    writer = PredictionWriter(store / "log", Package(model_name, 1, "m-1", "d", "classification", sent, "long"))
    rows = pd.DataFrame({"distance": [100.0, None], "tail": ["N1", "N2"]})
    now = datetime.now(UTC)
    writer.write(writer.entries(rows, np.array([0, 1]), None, ids=["1", "2"], time=now, mode="online"))
    assert logged_columns(store / "log", model_name) == list(sent)
    report = smoke_test(client, name=model_name, version=new.version, log=store / "log")
    assert [check.reason for check in report.checks if check.status == "failed"] == [
        "Its columns break what is sent: delay: is gone, the champion has it. "
        "night: is new and needs a value, the champion has no such column.",
        "Its columns break what is sent: tail: is gone, what is sent has it. "
        "distance: needs a value, what is sent does not.",
    ]


def test_golden_predictions_are_kept_and_hold_nothing_sensitive(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    version = make_version(client, store, model_name, sensitive=["carrier"])
    golden = read_golden(client, version)
    assert golden is not None
    assert version.tags[tags.GOLDEN] == golden.digest
    assert {row["carrier"] for row in golden.rows} == {"a", None}
    assert not {"UA", "AA", "DL"} & set(json.dumps(golden.to_json()).split('"'))


def test_golden_predictions_that_were_changed_are_refused(
    client: MlflowClient, store: UPath, model_name: str, tmp_path: Path
) -> None:
    version = make_version(client, store, model_name, logistic, features=["distance"])
    golden = read_golden(client, version)
    assert golden is not None
    changed = Golden(golden.rows, golden.values[::-1], golden.scores)
    (tmp_path / "golden").mkdir()
    (tmp_path / ARTIFACT).write_text(json.dumps(changed.to_json()))
    client.tracking.upload(client.tracking.artifact_uri(version.run_id or ""), tmp_path)
    with pytest.raises(DigestMismatch, match="not those that were stored at training"):
        smoke_test(client, name=model_name, version=version.version)


@pytest.mark.integration
def test_without_the_projects_word_its_classes_are_refused(client: MlflowClient, store: UPath, model_name: str) -> None:
    version: ModelVersion = make_version(client, store, model_name, own, trusted=[MILES])
    with pytest.raises(UntrustedModel, match="Miles"):
        smoke_test(client, name=model_name, version=version.version)
