"""The whole way of a model through the steps, without Airflow: snapshot, train, evaluate, judge, register, promote."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.gate import GatePolicy, Verdict
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import DigestMismatch
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.promotion import Promotion, promote
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from airflow_mlops.testing.invariants import check_invariants

POLICY = GatePolicy("roc_auc", min_rows=50, min_positives=30)


def cancer(flip: float = 0.0, **_: Any) -> pa.Table:
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    frame["id"] = np.arange(len(frame))
    unlucky = np.random.default_rng(0).random(len(frame)) < flip
    frame["target"] = np.where(unlucky, 1 - frame["target"], frame["target"])
    return pa.Table.from_pandas(frame, preserve_index=False)


def snapshot_of(store: UPath, as_of: str, **kwargs: Any) -> Snapshot:
    return ingest(store, name="cancer", source=CallableSource(cancer, ["id"], kwargs), as_of=instant(as_of))


def spec_of(name: str, **changes: Any) -> TrainingSpec:
    spec = TrainingSpec(
        model=name,
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        params={"max_iter": 30},
        target="target",
        exclude=["id"],
    )
    return replace(spec, **changes)


def judged(client: MlflowClient, store: UPath, name: str) -> tuple[TrainedModel, Verdict]:
    """A model that was trained and judged, and not registered yet."""
    snapshot = snapshot_of(store, "2026-10-01")
    model = train(client, snapshot=snapshot, spec=spec_of(name))
    found = evaluate_model(client, model=model, snapshot=snapshot, spec=EvaluationSpec("roc_auc"))
    return model, judge_model(client, model=model, evaluation=found, policy=POLICY)


def run(
    client: MlflowClient, store: UPath, name: str, as_of: str, run_type: str = "live", **changes: Any
) -> tuple[TrainedModel, Verdict, ModelVersion | None, Promotion | None]:
    """One continuous training, as the DAG chains it."""
    snapshot = snapshot_of(store, as_of)
    model = train(client, snapshot=snapshot, spec=spec_of(name, **changes), run=RunFacts(run_type=run_type))
    found = evaluate_model(client, model=model, snapshot=snapshot, spec=EvaluationSpec("roc_auc"), run_type=run_type)
    verdict = judge_model(client, model=model, evaluation=found, policy=POLICY, run_type=run_type)
    if not verdict.promote or run_type == "backfill":
        return model, verdict, None, None
    version, _ = register(client, model, run_url="http://airflow/run")
    promotion = promote(client.registry, name=name, version=version.version, reason=verdict.summary, actor="test")
    return model, verdict, version, promotion


def test_the_first_model_is_promoted_and_can_be_traced(client: MlflowClient, store: UPath, model_name: str) -> None:
    _, verdict, version, promotion = run(client, store, model_name, "2026-10-01")
    assert verdict.promote, verdict.summary
    assert version is not None
    assert promotion is not None
    assert promotion.promoted
    assert client.registry.alias(model_name, "champion") == 1
    facts = client.registry.version(model_name, 1).tags
    assert not [tag for tag in tags.REQUIRED if not facts.get(tag)]
    assert facts[tags.AS_OF] == "2026-10-01T00:00:00+00:00"
    assert facts[tags.VERDICT_SUMMARY] == verdict.summary
    entries = ledger.history(client.registry.model_tags(model_name))
    assert [(entry.champion, entry.reason, entry.actor) for entry in entries] == [(1, verdict.summary, "test")]
    check_invariants(client, model_name)


def test_the_same_as_of_again_adds_nothing(client: MlflowClient, store: UPath, model_name: str) -> None:
    first = run(client, store, model_name, "2026-10-01")
    again = run(client, store, model_name, "2026-10-01")
    assert again[0].model_id == first[0].model_id
    assert (first[0].created, again[0].created) == (True, False)
    assert len(client.registry.versions(model_name)) == 1
    assert len(ledger.history(client.registry.model_tags(model_name))) == 1
    check_invariants(client, model_name)


def test_an_equal_model_is_weighed_on_the_same_rows_and_refused_with_a_reason(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    run(client, store, model_name, "2026-10-01")
    _, verdict, version, _ = run(client, store, model_name, "2026-11-01")
    assert not verdict.promote
    assert version is None
    assert "version 1" in verdict.summary
    assert client.registry.alias(model_name, "champion") == 1
    check_invariants(client, model_name)


def test_a_backfill_trains_and_judges_and_leaves_the_registry_alone(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    model, verdict, version, _ = run(client, store, model_name, "2026-09-01", run_type="backfill")
    assert verdict.historical
    assert version is None
    assert client.registry.versions(model_name) == []
    live, _, registered, promotion = run(client, store, model_name, "2026-09-01")
    assert live.model_id == model.model_id  # the historical model is used, not made again
    assert registered is not None
    assert promotion is not None
    assert promotion.promoted
    check_invariants(client, model_name)


def test_a_model_on_permuted_labels_is_refused(client: MlflowClient, store: UPath, model_name: str) -> None:
    snapshot = snapshot_of(store, "2026-10-01", flip=0.5)
    model = train(client, snapshot=snapshot, spec=spec_of(model_name))
    found = evaluate_model(client, model=model, snapshot=snapshot, spec=EvaluationSpec("roc_auc"))
    assert 0.3 < found.candidate["roc_auc"] < 0.7
    assert not judge_model(client, model=model, evaluation=found, policy=POLICY).promote


def test_tampered_files_are_not_registered(client: MlflowClient, store: UPath, model_name: str) -> None:
    model = train(client, snapshot=snapshot_of(store, "2026-10-01"), spec=spec_of(model_name))
    client.http.put_file(f"{model.artifact_uri.removeprefix('mlflow-artifacts:/').lstrip('/')}/model.skops", b"else")
    with pytest.raises(DigestMismatch, match="not those that were trained"):
        register(client, model)
    assert client.registry.versions(model_name) == []


def test_mlflow_itself_loads_what_we_logged(
    client: MlflowClient, store: UPath, model_name: str, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The format is MLflow's own: its signature and its loader work on it."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    run(client, store, model_name, "2026-10-01")
    loaded = mlflow.pyfunc.load_model(f"models:/{model_name}@champion")
    rows = cancer().select([c for c in cancer().column_names if c not in ("id", "target")]).to_pandas()
    assert set(loaded.predict(rows.head(20))) <= {0, 1}
    assert loaded.metadata.signature.inputs.input_names() == list(rows.columns)


def test_a_backfill_over_a_live_date_leaves_its_evidence_alone(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    model, *_ = run(client, store, model_name, "2026-10-01")
    before = client.tracking.model(model.model_id).tags
    again, verdict, version, _ = run(client, store, model_name, "2026-10-01", run_type="backfill")
    assert (again.model_id, verdict.historical, version) == (model.model_id, True, None)
    assert client.tracking.model(model.model_id).tags == before
    check_invariants(client, model_name)


def test_of_two_overlapping_trainings_the_winner_is_registered_whichever_was_judged(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    model, *_ = judged(client, store, model_name)
    tracking = client.tracking
    winner = tracking.create_model(model.experiment_id, model_name, model.run_id, model.facts)
    with tempfile.TemporaryDirectory() as folder:
        tracking.download(model.artifact_uri, Path(folder))
        tracking.upload(winner.artifact_uri, Path(folder))
    tracking.finish_model(winner.model_id)
    tracking.tag_model(model.model_id, {tags.SUPERSEDED_BY: winner.model_id})
    for _ in range(2):
        version, _ = register(client, model)
        assert (version.version, version.model_id, version.superseded) == (1, winner.model_id, False)
    assert client.registry.version(model_name, 1).tags[tags.VERDICT] == "promote"
    check_invariants(client, model_name)
