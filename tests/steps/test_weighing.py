"""A model that somebody chose goes through the gate again, then through registration, promotion and ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.gate import ChampionRule, GatePolicy
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, GateRefused, NotFound, RegistryError
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.logged_models import describe
from airflow_mlops.steps.promotion import promote, rollback
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from airflow_mlops.steps.weighing import promote_chosen, weigh
from airflow_mlops.testing.invariants import check_invariants
from tests.faults.lifecycle import rows

WHO: dict[str, Any] = {"reason": "the first champion of a team that began with a backfill", "actor": "ana"}
#: Every fit of these rows is the same, so that a champion lets another one in as a refresh.
POLICY = GatePolicy("roc_auc", min_rows=50, min_positives=20, champion=ChampionRule("non_inferior", 0.1))


def historical_model(client: MlflowClient, store: UPath, name: str, as_of: str, policy: GatePolicy = POLICY) -> str:
    """What a backfill leaves behind; its id."""
    snapshot = ingest(store, name="rows", source=CallableSource(rows, ["id"]), as_of=instant(as_of))
    spec = TrainingSpec(name, "sklearn.linear_model.LogisticRegression", target="y", features=["x"])
    model = train(client, snapshot=snapshot, spec=spec, run=RunFacts(run_type="backfill", run_url="http://a/past"))
    how: dict[str, Any] = {"model": model, "run_type": "backfill"}
    found = evaluate_model(client, snapshot=snapshot, spec=EvaluationSpec("roc_auc"), **how)
    judge_model(client, evaluation=found, policy=policy, **how)
    return model.model_id


def champion(client: MlflowClient, name: str) -> int | None:
    return client.registry.alias(name, "champion")


def test_a_historical_model_becomes_the_first_champion(client: MlflowClient, store: UPath, model_name: str) -> None:
    chosen = historical_model(client, store, model_name, "2026-09-01")
    assert client.registry.versions(model_name) == []
    outcome = promote_chosen(client, model_name, chosen, **WHO)
    assert (outcome.promoted, outcome.version, champion(client, model_name)) == (True, 1, 1)
    (version,) = client.registry.versions(model_name)
    assert version.model_id == chosen
    assert version.tags[tags.RUN_TYPE] == "backfill"
    assert version.tags[tags.REQUESTED].startswith("ana: the first champion")
    assert version.tags[tags.VERDICT_SUMMARY].startswith("Accepted as the first champion")
    (entry,) = ledger.history(client.registry.model_tags(model_name))
    assert (entry.champion, entry.actor, entry.reason) == (1, "ana", WHO["reason"])
    assert entry.evidence == {"model_id": chosen}
    check_invariants(client, model_name)


def test_the_same_wish_again_adds_nothing(client: MlflowClient, store: UPath, model_name: str) -> None:
    chosen = historical_model(client, store, model_name, "2026-09-01")
    outcomes = [promote_chosen(client, model_name, word, **WHO) for word in (chosen, chosen, "1")]
    assert [(outcome.promoted, outcome.version) for outcome in outcomes] == [(True, 1)] * 3
    assert len(ledger.history(client.registry.model_tags(model_name))) == 1
    check_invariants(client, model_name)


def test_what_the_gate_refuses_is_not_registered(client: MlflowClient, store: UPath, model_name: str) -> None:
    chosen = historical_model(client, store, model_name, "2026-09-01", replace(POLICY, at_most={"roc_auc": 0.9}))
    with pytest.raises(GateRefused, match="better than is honest"):
        promote_chosen(client, model_name, chosen, **WHO)
    assert client.registry.versions(model_name) == []
    # A policy of now (the project file's) is the one that counts, where it is given.
    assert promote_chosen(client, model_name, chosen, policy=POLICY, **WHO).promoted


def test_an_older_model_does_not_displace_a_newer_champion(client: MlflowClient, store: UPath, model_name: str) -> None:
    promote_chosen(client, model_name, historical_model(client, store, model_name, "2026-10-01"), **WHO)
    old = historical_model(client, store, model_name, "2026-09-01")
    outcome = promote_chosen(client, model_name, old, **WHO)
    assert (outcome.promoted, outcome.version, outcome.champion) == (False, 2, 1)
    assert outcome.reason == f"Version 1 of model {model_name} stays its champion: it is of a newer as-of, or pinned."
    check_invariants(client, model_name)


def test_a_retracted_version_stays_out(client: MlflowClient, store: UPath, model_name: str) -> None:
    for as_of in ("2026-09-01", "2026-10-01"):
        promote_chosen(client, model_name, historical_model(client, store, model_name, as_of), **WHO)
    rollback(client.registry, model_name, reason="it was wrong", actor="ana")
    assert champion(client, model_name) == 1
    with pytest.raises(GateRefused, match=r"Version 2 .* was retracted"):
        promote_chosen(client, model_name, "2", **WHO)
    assert champion(client, model_name) == 1
    check_invariants(client, model_name)


def test_what_cannot_be_chosen_says_why(client: MlflowClient, store: UPath, model_name: str) -> None:
    chosen = historical_model(client, store, model_name, "2026-09-01")
    for word in ("7", "m-0123456789abcdef0123456789abcdef"):
        with pytest.raises(NotFound):
            promote_chosen(client, model_name, word, **WHO)
    with pytest.raises(ConfigurationError, match=f"is a model of {model_name}, not of other"):
        promote_chosen(client, "other", chosen, **WHO)
    client.registry.ensure_model(model_name)
    run_id, artifacts = client.tracking.create_run(client.tracking.experiment_id(model_name), "by hand", {})
    client.registry.create_version(model_name, f"{artifacts}/model", run_id, {})
    with pytest.raises(RegistryError, match="no logged model behind it: pin it instead"):
        promote_chosen(client, model_name, "1", **WHO)
    foreign = client.tracking.create_model(client.tracking.experiment_id(model_name), "theirs", run_id, {})
    client.tracking.finish_model(foreign.model_id)
    client.registry.create_version(model_name, f"models:/{foreign.model_id}", run_id, {})
    for word in ("2", foreign.model_id):
        with pytest.raises(RegistryError, match=f"{word}: it was not trained here"):
            promote_chosen(client, model_name, word, **WHO)


def test_its_snapshot_is_opened_by_the_caller_s_way_to_a_path(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    """A URI with an Airflow connection in it is a path for Airflow alone."""
    chosen = historical_model(client, store, model_name, "2026-09-01")
    uri = reread_id(client, chosen).facts[tags.SNAPSHOT]
    client.tracking.tag_model(chosen, {tags.SNAPSHOT: "s3://aws_default@bucket/rows"})
    assert promote_chosen(client, model_name, chosen, path_at=lambda _: UPath(uri), **WHO).promoted


def test_a_model_that_was_never_judged_needs_its_project(client: MlflowClient, store: UPath, model_name: str) -> None:
    snapshot = ingest(store, name="rows", source=CallableSource(rows, ["id"]), as_of=instant("2026-09-01"))
    spec = TrainingSpec(model_name, "sklearn.linear_model.LogisticRegression", target="y", features=["x"])
    model = train(client, snapshot=snapshot, spec=spec)
    with pytest.raises(ConfigurationError, match="was never judged, and nothing says how: name its project file"):
        weigh(client, model)
    _, verdict = weigh(client, model, evaluation=EvaluationSpec("roc_auc"), policy=POLICY)
    assert verdict.promote
    assert weigh(client, reread(client, model))[1].summary == verdict.summary


def test_a_live_champion_is_what_a_chosen_model_is_weighed_against(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    live = reread_id(client, historical_model(client, store, model_name, "2026-09-01"))
    version, _ = register(client, live, run_url="http://a/live")
    promote(client.registry, name=model_name, version=version.version, reason="good", actor="http://a/live")
    chosen = historical_model(client, store, model_name, "2026-10-01")
    # In the backfill there was no champion at that as-of.
    assert client.tracking.model(chosen).tags[tags.VERDICT_SUMMARY].startswith("Historical, not registered. Accepted")
    assert promote_chosen(client, model_name, chosen, **WHO).promoted
    assert "version 1" in client.registry.version(model_name, 2).tags[tags.VERDICT_SUMMARY]


def test_the_winner_of_two_copies_is_weighed_and_its_version_shows_the_verdict(
    client: MlflowClient, store: UPath, model_name: str, tmp_path: Path
) -> None:
    loser = client.tracking.model(historical_model(client, store, model_name, "2026-09-01"))
    facts = {**loser.tags, tags.VERDICT: "hold", tags.VERDICT_SUMMARY: "Historical, not registered. Refused."}
    winner = client.tracking.create_model(loser.experiment_id, model_name, loser.run_id or "", facts)
    client.tracking.download(loser.artifact_uri, tmp_path / "files")
    client.tracking.upload(winner.artifact_uri, tmp_path / "files")
    client.tracking.finish_model(winner.model_id)
    client.tracking.tag_model(loser.model_id, {tags.SUPERSEDED_BY: winner.model_id})
    promote_chosen(client, model_name, loser.model_id, **WHO)
    (version,) = client.registry.versions(model_name)
    assert version.model_id == winner.model_id
    assert version.tags[tags.VERDICT] == "promote"
    assert version.tags[tags.VERDICT_SUMMARY].startswith("Accepted as the first champion")
    assert tags.REQUESTED in version.tags
    check_invariants(client, model_name)


def test_models_of_others_in_the_experiment_are_none_of_the_checker_s(
    client: MlflowClient, store: UPath, model_name: str
) -> None:
    check_invariants(client, model_name)
    assert client.tracking.find_experiment(model_name) is None  # whoever checks writes nothing
    ours = client.tracking.model(historical_model(client, store, model_name, "2026-09-01"))
    for _ in range(2):
        theirs = client.tracking.create_model(ours.experiment_id, "theirs", ours.run_id or "", {})
        client.tracking.finish_model(theirs.model_id)
    check_invariants(client, model_name)


def reread(client: MlflowClient, model: TrainedModel) -> TrainedModel:
    return reread_id(client, model.model_id)


def reread_id(client: MlflowClient, model_id: str) -> TrainedModel:
    return describe(client.tracking.model(model_id))


@pytest.mark.parametrize("run_type", ["backfill", "reprocessed"])
def test_the_checker_sees_what_a_run_about_the_past_registered_unasked(
    client: MlflowClient, store: UPath, model_name: str, run_type: str
) -> None:
    """Also of a model that another run trained."""
    model = reread_id(client, historical_model(client, store, model_name, "2026-09-01"))
    register(client, model, run_url="http://a/another", run_type=run_type)
    with pytest.raises(AssertionError, match="version 1 was registered by a backfill that nobody asked to"):
        check_invariants(client, model_name)
