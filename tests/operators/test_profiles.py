"""Profiles in tasks: mapped over parts and merged, or by a model's plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.operators.profiles import MergeProfilesOperator, ProfileDataOperator
from airflow_mlops.steps.profiles import load_profile, profile_snapshot
from airflow_mlops.store.snapshots import Snapshot, write_snapshot

TABLE = pa.table({"x": np.arange(1000) / 7, "word": ["a", "SECRET"] * 500})


@pytest.fixture
def snapshot(store: UPath, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    monkeypatch.setattr("airflow_mlops.store.snapshots.writing.ROW_GROUP", 100)
    draft = Manifest(name="rows", data_version="", rows=0, schema=[], source={}, as_of="2026-03-01T00:00:00+00:00")
    return write_snapshot(store, TABLE.to_batches(), TABLE.schema, draft)


def test_mapped_parts_merge_to_the_profile_of_the_whole(
    run_dag: Callable[..., Any], outputs: Any, states: Any, store: UPath, snapshot: Snapshot
) -> None:
    shared = {"snapshot": snapshot.uri, "store": str(store)}
    with DAG("profiles_in_parts", schedule=None) as dag:
        plan = ProfileDataOperator(task_id="plan", plan_only=True, sensitive=["word"], **shared)  # type: ignore[arg-type]
        parts = ProfileDataOperator.partial(task_id="part", plan=plan.output, **shared).expand(
            part=["1/3", "2/3", "3/3"]
        )
        MergeProfilesOperator(task_id="merge", profiles=parts.output, store=str(store))
    run = run_dag(dag)
    assert set(states(run).values()) == {"success"}
    merged = outputs(run)["merge"]
    found = load_profile(UPath(merged["profile_uri"]))
    assert found == profile_snapshot(snapshot, sensitive=["word"])
    assert merged | {"profile_uri": "", "digest": ""} == {
        "profile_uri": "", "digest": "", "name": "rows", "plan": found.plan.digest, "rows": 1000,
    }  # fmt: skip
    assert "SECRET" not in json.dumps(found.to_json())


def test_what_is_no_profile_is_refused(execute: Callable[..., Any], store: UPath, snapshot: Snapshot) -> None:
    with DAG("d", schedule=None):
        tasks: list[tuple[Any, str]] = [
            (ProfileDataOperator(task_id="a", snapshot=snapshot.uri, part="x", store=str(store)), "part 'x' is not"),
            (ProfileDataOperator(task_id="b", snapshot=snapshot.uri, part="1/2", store=str(store)), "need one plan"),
            (ProfileDataOperator(task_id="c", snapshot=snapshot.uri, plan={}, store=str(store)), "is not a profile"),
            (MergeProfilesOperator(task_id="d", profiles=[], name="n", store=str(store)), "no profile to merge"),
            (MergeProfilesOperator(task_id="e", profiles=["/x.json"], store=str(store)), "give the result a name"),
            (MergeProfilesOperator(task_id="f", profiles=["/x.json"], name="n", store=str(store)), "no profile at /x"),
        ]
    for task, complaint in tasks:
        with pytest.raises(AirflowFailException, match=complaint):
            execute(task)
