"""From a snapshot to a suite, to a verdict, to who waits for it; and what a month later changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from upath import UPath

from airflow_mlops.core.windows import instant
from airflow_mlops.operators.schema import InferSchemaOperator
from airflow_mlops.operators.validation import ValidateDataOperator
from airflow_mlops.sensors.validation import DataValidatedSensor
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.validation import load_suite


def flights(seed: int = 1, carriers: str = "AA,UA,DL", text_ids: bool = False, **_: Any) -> pa.Table:
    chance, n = np.random.default_rng(seed), 1000
    ids = [str(i) for i in range(n)] if text_ids else np.arange(n)
    return pa.table(
        {
            "id": ids,
            "at": pa.array(np.datetime64("2026-10-01", "us") + np.arange(n).astype("timedelta64[m]")),
            "carrier": np.array(carriers.split(","))[chance.integers(0, carriers.count(",") + 1, n)],
            "delay": pa.array(np.round(chance.exponential(30, n)), mask=chance.random(n) < 0.03),
            "passport": [f"P{i:06}" for i in range(n)],
        }
    )


@pytest.fixture
def snapshot(store: UPath) -> Callable[..., dict[str, Any]]:
    def make(day: int = 1, **source: Any) -> dict[str, Any]:
        return ingest(
            store,
            name="flights",
            source=CallableSource(flights, ["at"], source),
            as_of=instant(f"2026-11-{day:02}"),
            event_time="at",
        ).to_json()

    return make


@pytest.fixture
def run(store: UPath, execute: Callable[..., Any]) -> Callable[..., Any]:
    def run(kind: Any, **arguments: Any) -> Any:
        with DAG("d", schedule=None):
            task = kind(task_id="task", store=str(store), **arguments)
        return execute(task)

    return run


def infer(run: Callable[..., Any], data: dict[str, Any], **arguments: Any) -> Any:
    given = {"name": "flights", "keys": ["id"], "sensitive": ["passport"], **arguments}
    return run(InferSchemaOperator, snapshot=data, **given)


def test_a_proposal_passes_its_data_and_another_months_and_who_waits_goes_on(
    run: Callable[..., Any], snapshot: Callable[..., Any], store: UPath
) -> None:
    first = snapshot()
    proposed = infer(run, first)
    assert (proposed["accepted"], proposed["changed"], proposed["rows"]) == (False, True, 1000)
    assert not (store / "suites" / "flights" / "accepted.yaml").exists()
    text = UPath(proposed["suite_uri"]).read_text()
    assert "P000" not in text
    assert yaml.safe_load(text)["version"] == first["data_version"][:12]
    use = {"suite": proposed["suite_uri"], "schema": proposed["schema_uri"]}
    for data in (first, snapshot(2, seed=2)):
        report = run(ValidateDataOperator, snapshot=data, engine="pandas", **use)
        assert report["success"], report["summary"]
        awaited = {"suite": "flights", "suite_digest": load_suite(UPath(use["suite"])).digest[:12]}
        wait = DataValidatedSensor(task_id="wait", store=str(store), data_version=data["data_version"], **awaited)
        assert wait.execute({})["snapshot_uri"] == data["uri"]
        wait = DataValidatedSensor(
            task_id="wait", store=str(store), snapshot="flights", as_of=data["as_of"], deferrable=True, **awaited
        )
        assert wait.execute({})["report_uri"] == report["report_uri"]
    with pytest.raises(AirflowFailException, match="schema on id: it is string, int64 is expected"):
        run(ValidateDataOperator, snapshot=snapshot(3, text_ids=True), engine="pandas", **use)


def test_changes_are_told_and_applied_only_when_asked(
    run: Callable[..., Any], snapshot: Callable[..., Any], store: UPath
) -> None:
    accepted = infer(run, snapshot(), accept=True)
    assert accepted["suite_uri"] == str(store / "suites" / "flights" / "accepted.yaml")
    before = UPath(accepted["suite_uri"]).read_text()
    assert infer(run, snapshot(2, seed=2))["changed"] is False
    new = snapshot(3, seed=3, carriers="AA,UA,ZZ")
    told = infer(run, new)
    assert told["text"].splitlines() == ["carrier: 1 new category ZZ", "carrier: not seen any more: DL"]
    assert (told["changed"], told["suite_uri"]) == (True, accepted["suite_uri"])
    assert UPath(accepted["suite_uri"]).read_text() == before
    assert run(ValidateDataOperator, snapshot=new, suite=told["suite_uri"], engine="pandas")["warnings"] == 1
    assert run(ValidateDataOperator, snapshot=new, suite=told["evolved_uri"], engine="pandas")["success"]
    taken = infer(run, new, accept="{{ True }}")
    assert taken["accepted"]
    assert run(ValidateDataOperator, snapshot=new, suite=taken["suite_uri"], engine="pandas")["success"]
    assert infer(run, new)["text"] == "carrier: not seen any more: DL"
    assert json.loads(json.dumps(taken))["changes"][0] == {
        "column": "carrier", "kind": "opened", "text": "1 new category ZZ",
    }  # fmt: skip


def test_a_suite_of_ones_own_is_weighed_and_left_alone(
    run: Callable[..., Any], snapshot: Callable[..., Any], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    check = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "carrier", "value_set": ["AA", "UA"]}}
    mine.write_text(yaml.safe_dump({"name": "mine", "version": 1, "expectations": [check]}))
    told = infer(run, snapshot(), current=str(mine))
    assert "carrier: 1 new category DL" in told["text"].splitlines()
    assert told["suite_uri"] == str(mine)
    assert load_suite(UPath(told["evolved_uri"])).name == "mine"


def test_a_new_type_is_told(run: Callable[..., Any], snapshot: Callable[..., Any]) -> None:
    infer(run, snapshot(), accept=True)
    told = infer(run, snapshot(2, text_ids=True), keys=None)
    assert "id: int64 -> string" in told["text"].splitlines()
    assert told["changed"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"keys": ["carrier"]}, r"997 rows of snapshot flights share their carrier"),
        ({"keys": ["nr"]}, "nr"),
        ({"name": "../x"}, "Suite name"),
        ({"severity": "loud"}, "Severity 'loud'"),
        ({"current": "s.yaml"}, "s.yaml cannot be read"),
        ({"categories": "many"}, "categories 'many' is not a number"),
    ],
)
def test_what_cannot_be_inferred(
    run: Callable[..., Any], snapshot: Callable[..., Any], arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        infer(run, snapshot(), **arguments)


def test_freshness_and_volume_stand_in_the_report(
    run: Callable[..., Any], snapshot: Callable[..., Any], store: UPath
) -> None:
    check = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
    suite = {"name": "flights", "expectations": [check]}
    data = {"snapshot": snapshot(), "suite": suite, "engine": "pandas"}
    report = run(ValidateDataOperator, volume={"severity": "warn"}, freshness={"max_lag": "90d"}, **data)
    assert [outcome["type"] for outcome in report["outcomes"]][2:] == ["volume", "freshness"]
    assert report["success"]
    assert "not judged: 0 earlier snapshots" in UPath(report["report_uri"]).read_text()
    with pytest.raises(
        AirflowFailException, match=r"freshness on at: the newest event is 727\.4 hours old, at most 2d"
    ):
        run(ValidateDataOperator, freshness={"max_lag": "2d"}, **data)
    with pytest.raises(AirflowFailException, match=r"volume.same 'moon'"):
        run(ValidateDataOperator, volume={"same": "moon"}, **data)
