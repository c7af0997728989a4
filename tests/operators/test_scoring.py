"""The batch scoring task: which model, which rows, which interval, and what a second run of it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.operators.scoring import BatchScoreOperator
from airflow_mlops.store.predictions import read_predictions

AS_OF = "2026-04-01T00:00:00+00:00"


@pytest.fixture
def score(execute: Callable[..., Any], store: UPath, model_name: str, parquet: Path) -> Callable[..., Any]:
    """Run a scoring task."""

    def score(run: Any = None, params: Any = None, **given: Any) -> Any:
        arguments = {"model": f"models:/{model_name}@champion", "rows": str(parquet), "store": str(store), **given}
        with DAG("scoring", schedule=None):
            task = BatchScoreOperator(task_id="score", **arguments)
        return execute(task, run, params)

    return score


def test_an_interval_is_scored_once_and_a_backfill_asks_the_model_of_then(
    score: Callable[..., Any], chain: Callable[..., Any], dag_run: Any, model_name: str, store: UPath,
    client: MlflowClient, parquet: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    chain()
    interval = {
        "data_interval_start": datetime(2026, 3, 31, tzinfo=UTC),
        "data_interval_end": datetime(2026, 4, 1, tzinfo=UTC),
    }
    found = score(dag_run("scheduled", **interval), keys={"id": "row", "day": "day"})
    rows = pq.read_metadata(parquet).num_rows
    (version,) = client.registry.versions(model_name)
    assert {key: found[key] for key in ("rows", "model", "version", "digest", "as_of", "interval", "mode", "new")} == {
        "rows": rows, "model": model_name, "version": 1, "digest": version.tags["mlops.digest"], "as_of": AS_OF,
        "interval": f"2026-03-31T00:00:00+00:00/{AS_OF}", "mode": "batch", "new": True,
    }  # fmt: skip
    assert found["uri"].startswith(str(store / "predictions" / model_name / "date=2026-04-01"))
    assert score(dag_run("scheduled", **interval), keys={"id": "row", "day": "day"}) == {**found, "new": False}
    assert sum(batch.num_rows for batch in read_predictions(store / "predictions", model_name)) == rows

    with pytest.raises(AirflowSkipException, match=f"Model {model_name} had no champion at 2026-04-01"):
        score(dag_run("backfill", **interval))
    later = score(at=datetime.now(UTC).isoformat())
    assert (later["mode"], later["version"]) == ("backfill", 1)
    assert score(dag_run("backfill", **interval), model=f"models:/{model_name}/1")["at"] is None

    # A form gives text, and nothing is the word None.
    monkeypatch.setenv("AIRFLOW_CONN_SALT", json.dumps({"conn_type": "generic", "password": "0123456789abcdef"}))
    nothing = dict.fromkeys(("at", "interval", "message_id", "hidden", "predictions", "threads"), "{{ params.none }}")
    texts = score(
        params={"none": None, "as_of": AS_OF}, log_inputs="{{ 1 == 2 }}", keys={"id": "row"}, hashed=["id"],
        hash_conn_id="salt", **nothing,
    )  # fmt: skip
    schema = pq.read_schema(texts["uri"])
    assert ("inputs" in schema.names, str(schema.field("row").type), texts["interval"]) == (False, "string", AS_OF)


def test_a_model_without_a_champion_is_an_error_unless_the_dag_says_otherwise(
    score: Callable[..., Any], model_name: str
) -> None:
    why = f"Model {model_name} had no champion: promote a version first"
    with pytest.raises(AirflowFailException, match=why):
        score()
    with pytest.raises(AirflowSkipException, match=why):
        score(if_absent="skip")
    with pytest.raises(AirflowFailException, match="names no rows to score"):
        score(if_absent="skip", rows={"rows": 3})
    with pytest.raises(AirflowFailException, match="if_absent is 'ignore': write fail or skip"):
        score(if_absent="ignore")


def test_what_is_wrong_fails_without_a_retry(score: Callable[..., Any], model_name: str) -> None:
    for given, complaint in (
        ({"model": "flights"}, "names no version: write models:/NAME@champion"),
        ({"model": f"models:/{model_name}@canary"}, f"Model {model_name} had no canary"),
        ({"rows": {"rows": 3}}, "names no rows to score"),
        ({"keys": "id"}, "keys must be a list of columns, not 'id'"),
        ({"hashed": ["x"]}, "x are to be hashed: name a hash_conn_id"),
        ({"at": "yesterday"}, "at 'yesterday' is not a date or time"),
        ({"threads": "many"}, "threads 'many' is not a number"),
    ):
        with pytest.raises(AirflowFailException, match=complaint):
            score(**given)
