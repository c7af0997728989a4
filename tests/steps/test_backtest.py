"""Backtests of models that real trainings made: of a process that drifts at a known rate, and of one that does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.clients.mlflow.tracking import MlflowTracking
from airflow_mlops.core import tags
from airflow_mlops.core.backtest import BacktestSpec
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError, DigestMismatch, NotEnoughData
from airflow_mlops.steps.backtest import StoredBacktest, backtest
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train

FIRST = instant("2026-03-02")
WINDOW = TrainingWindow(lookback="28d", test="7d")
WEEKS, PER_DAY = 8, 60
SPEC = BacktestSpec("roc_auc", cadences=[1, 2, 4])


def rows(turn: float, *, start: datetime | None, end: datetime | None, **_: Any) -> pa.Table:
    """What decides ``y`` turns by so many radians a week; each day is the same whoever asks."""
    start, end = start or FIRST - timedelta(days=9), end or FIRST
    days = [start + timedelta(days=number) for number in range((end - start).days)]
    parts = []
    for day in days:
        age = (day - FIRST) / timedelta(weeks=1)
        random = np.random.default_rng(day.toordinal())
        x, noise = random.normal(size=(PER_DAY, 2)), random.normal(0, 0.5, PER_DAY)
        y = x[:, 0] * np.cos(turn * age) + x[:, 1] * np.sin(turn * age) + noise > 0
        parts.append((x, y))
    return pa.table(
        {
            "day": pa.array(np.repeat(days, PER_DAY).tolist(), pa.timestamp("us", "UTC")),
            "id": np.tile(np.arange(PER_DAY), len(days)),
            "a": np.concatenate([x[:, 0] for x, _ in parts]),
            "b": np.concatenate([x[:, 1] for x, _ in parts]),
            "y": np.concatenate([y for _, y in parts]).astype(np.int64),
        }
    )


def steady(**window: Any) -> pa.Table:
    return rows(0.0, **window)


def turning(**window: Any) -> pa.Table:
    return rows(0.25, **window)


def spec_of(name: str, **changes: Any) -> TrainingSpec:
    fixed = {"estimator": "sklearn.linear_model.LogisticRegression", "target": "y", "features": ["a", "b"]}
    return TrainingSpec(model=name, **{**fixed, **changes})


def snapshot_at(
    store: UPath, week: int, source: Callable[..., pa.Table], window: TrainingWindow | None = WINDOW
) -> Snapshot:
    return ingest(
        store,
        name=source.__name__,
        source=CallableSource(source, ["day", "id"]),
        as_of=FIRST + timedelta(weeks=week),
        window=window,
        event_time="day",
    )


@pytest.fixture(scope="module")
def server(mlflow_uri: str) -> Iterator[MlflowClient]:
    with MlflowClient(MlflowSettings(mlflow_uri)) as client:
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> UPath:
    return UPath(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def past(server: MlflowClient, folder: UPath) -> list[TrainedModel]:
    """Eight weekly models of the process that turns, backfilled from the newest to the oldest."""
    return trained(server, folder, "turning", turning)


def trained(client: MlflowClient, store: UPath, name: str, source: Callable[..., pa.Table]) -> list[TrainedModel]:
    return [
        train(client, snapshot=snapshot_at(store, week, source), spec=spec_of(name), run=RunFacts("backfill"))
        for week in reversed(range(WEEKS))
    ]


def page_and_data(client: MlflowClient, stored: StoredBacktest, folder: Path) -> tuple[str, dict[str, Any]]:
    client.tracking.download(client.tracking.artifact_uri(stored.run_id), folder)
    return (folder / stored.report).read_text(), json.loads((folder / "backtest/backtest.json").read_text())


def test_a_process_that_turns_is_worth_retraining_and_ages_as_fast_as_it_turns(
    client: MlflowClient, past: list[TrainedModel], tmp_path: Path
) -> None:
    stored = backtest(client, name="turning", spec=SPEC)
    found = stored.found
    assert (found.recommendation.every, found.recommendation.headline) == (1, "Retrain weekly.")
    assert found.recommendation.sentence.startswith("Retraining weekly instead of every 2 weeks is worth +")
    assert len(found.cells) == WEEKS * (WEEKS + 1) / 2
    assert [age.windows for age in found.decay] == list(range(WEEKS, 0, -1))
    lost = [age.difference for age in found.decay]
    assert lost == sorted(lost, reverse=True)
    # A quarter of a radian a week: after four weeks about a radian, which takes most of the AUC above one half.
    assert lost[4] < -0.1
    html, data = page_and_data(client, stored, tmp_path)
    assert found.recommendation.sentence in html
    assert data == json.loads(json.dumps(found.to_json()))


def test_a_process_that_does_not_drift_is_not_worth_retraining(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    trained(client, store, model_name, steady)
    found = backtest(client, name=model_name, spec=SPEC).found
    assert found.recommendation.every == 4
    assert found.recommendation.headline == "Retraining every 4 weeks is enough."
    assert found.recommendation.sentence.startswith("Weekly instead of every 4 weeks adds nothing measurable: ")
    assert all(abs(age.difference) < 0.01 for age in found.decay)


def test_the_same_past_gives_the_same_answer_and_no_model(client: MlflowClient, past: list[TrainedModel]) -> None:
    before = client.tracking.models(past[0].experiment_id, {})
    first, again = (backtest(client, name="turning", spec=SPEC) for _ in range(2))
    assert first.found.to_json() == again.found.to_json()
    assert first.run_id != again.run_id
    assert client.tracking.models(past[0].experiment_id, {}) == before
    assert client.tracking.open_runs(past[0].experiment_id, {tags.KIND: "backtest"}) == []
    assert len(json.dumps(again.to_json())) < 10_000


def test_a_part_of_the_past_is_asked_by_as_of(client: MlflowClient, past: list[TrainedModel]) -> None:
    start, end = FIRST + timedelta(weeks=2), FIRST + timedelta(weeks=5)
    found = backtest(client, name="turning", spec=SPEC, start=start.isoformat(), end=end).found
    assert [model.as_of for model in found.models.values()] == [FIRST + timedelta(weeks=week) for week in range(2, 6)]
    with pytest.raises(NotEnoughData, match="Model turning has no trained model with an as-of from 2027-01-01"):
        backtest(client, name="turning", spec=SPEC, start="2027-01-01")


def test_models_of_another_spec_are_counted_and_left_out(client: MlflowClient, store: UPath, model_name: str) -> None:
    old = [
        train(client, snapshot=snapshot_at(store, week, turning), spec=spec_of(model_name, params={"C": 0.5}))
        for week in range(2)
    ]
    new = [train(client, snapshot=snapshot_at(store, week, turning), spec=spec_of(model_name)) for week in range(1, 3)]
    timeless = train(client, snapshot=snapshot_at(store, 9, steady, None), spec=spec_of(model_name))
    loser = train(client, snapshot=snapshot_at(store, 5, turning), spec=spec_of(model_name))
    client.tracking.tag_model(loser.model_id, {tags.SUPERSEDED_BY: new[0].model_id})
    attempt = RunFacts(parent=new[0].model_id)  # somebody's reproduction with a parameter overridden
    train(client, snapshot=snapshot_at(store, 2, turning), spec=spec_of(model_name, params={"C": 0.1}), run=attempt)
    found = backtest(client, name=model_name, spec=SPEC).found
    assert {model.model_id for model in found.models.values()} == {model.model_id for model in new}
    assert timeless.model_id not in str(found)
    assert found.left_out[:2] == [
        "3 models of another spec: other parameters, features or seed.", "1 model without windows of time.",
    ]  # fmt: skip
    asked = backtest(client, name=model_name, spec=SPEC, like=old[0].model_id).found
    assert {model.model_id for model in asked.models.values()} == {model.model_id for model in old}
    with pytest.raises(ConfigurationError, match="no trained model m-0 to be like"):
        backtest(client, name=model_name, spec=SPEC, like="m-0")


def test_one_model_alone_cannot_tell(client: MlflowClient, past: list[TrainedModel]) -> None:
    found = backtest(client, name="turning", spec=SPEC, end=FIRST).found
    assert found.recommendation.every is None
    assert found.recommendation.sentence.startswith("Cannot tell: there is one model only")


def test_a_model_without_a_past_is_skipped(client: MlflowClient, model_name: str) -> None:
    with pytest.raises(NotEnoughData, match="has no trained model: backfill its training first"):
        backtest(client, name=model_name, spec=SPEC)


def test_a_window_whose_snapshot_is_gone_is_left_out(
    client: MlflowClient, past: list[TrainedModel], tmp_path: Path
) -> None:
    gone = past[3].facts[tags.SNAPSHOT]

    def read(uri: str) -> Snapshot:
        from airflow_mlops.store.snapshots import open_snapshot

        return open_snapshot(UPath(tmp_path) / "nowhere" if uri == gone else UPath(uri))

    found = backtest(client, name="turning", spec=SPEC, read=read).found
    assert any(
        line.startswith(f"Window {past[3].facts[tags.AS_OF][:10]}: There is no snapshot at") for line in found.left_out
    )
    assert len({cell.number for cell in found.cells}) == WEEKS - 1


def test_the_metric_is_that_of_the_last_evaluation_unless_told(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    snapshot = snapshot_at(store, 0, turning)
    model = train(client, snapshot=snapshot, spec=spec_of(model_name))
    assert backtest(client, name=model_name, spec=BacktestSpec()).found.metric == "roc_auc"
    evaluate_model(client, model=model, snapshot=snapshot, spec=EvaluationSpec("log_loss"))
    assert backtest(client, name=model_name, spec=BacktestSpec()).found.metric == "log_loss"
    with pytest.raises(ConfigurationError, match=r"one of the metrics of a classification \(roc_auc, .*\), not mae"):
        backtest(client, name=model_name, spec=BacktestSpec("mae"))


def test_a_model_whose_files_were_changed_is_refused(client: MlflowClient, store: UPath, model_name: str) -> None:
    model = train(client, snapshot=snapshot_at(store, 0, turning), spec=spec_of(model_name))
    path = model.artifact_uri.removeprefix("mlflow-artifacts:/").lstrip("/")
    client.http.put_file(f"{path}/model.skops", b"something else")
    with pytest.raises(DigestMismatch):
        backtest(client, name=model_name, spec=SPEC)


def test_a_backtest_that_is_stopped_leaves_no_run_open(
    client: MlflowClient, past: list[TrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    class Stopped(MlflowTracking):
        def upload(self, artifact_uri: str, folder: Path) -> None:
            raise SystemExit("asked to stop")

        def finish_run(self, run_id: str, status: str = "FINISHED") -> None:
            ended.append(status)
            super().finish_run(run_id, status)

    monkeypatch.setattr(client, "tracking", Stopped(client.http))
    with pytest.raises(SystemExit):
        backtest(client, name="turning", spec=SPEC, end=FIRST)
    assert ended == ["KILLED"]
    assert client.tracking.open_runs(past[0].experiment_id, {tags.KIND: "backtest"}) == []


def test_a_regression_is_judged_by_its_error(client: MlflowClient, store: UPath, model_name: str) -> None:
    line = spec_of(
        model_name, estimator="sklearn.linear_model.LinearRegression", task="regression", target="a", features=["b"]
    )
    for week in range(2):
        train(client, snapshot=snapshot_at(store, week, steady), spec=line)
    found = backtest(client, name=model_name, spec=replace(SPEC, metric=None)).found
    assert found.metric == "mae"
    assert {round(cell.value, 1) for cell in found.cells} == {0.8}
