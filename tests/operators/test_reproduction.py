"""Reproduction as a task: a verdict in green, a candidate from the trigger form, and red for what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.import_path import call_path
from airflow_mlops.core.reproduction import Overrides
from airflow_mlops.operators.reproduction import ReproduceModelOperator
from airflow_mlops.testing.invariants import check_invariants
from tests.operators.conftest import tidy

#: What the trigger form gives for fields that were left empty.
FORM = {
    "version": "champion", "parameters": None, "search_space": None, "seed": None, "window": None, "as_of": None,
    "data_version": None, "note": None,
}  # fmt: skip


@pytest.fixture
def task(store: UPath, parquet: Path, model_name: str, dag: DAG) -> Callable[..., ReproduceModelOperator]:
    """Wired to the trigger form as in the reference DAG."""

    def make(**changes: Any) -> ReproduceModelOperator:
        asked = {name: f"{{{{ params.{name} | tojson }}}}" for name in ("parameters", "search_space", "window")}
        texts = {name: f"{{{{ params.{name} or '' }}}}" for name in ("as_of", "data_version", "note")}
        return ReproduceModelOperator(
            task_id="reproduce",
            dag=dag,
            store=str(store),
            **{
                "functions": [call_path(tidy)], "sources": [{"files": str(parquet)}],
                "model": model_name, "version": "{{ params.version }}", "seed": "{{ params.seed }}",
                **asked, **texts, **changes,
            },
        )  # fmt: skip

    return make


def test_the_champion_is_reproduced_and_the_sentence_is_everywhere(
    chain: Callable[..., Any], task: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient,
    model_name: str, ti: Any,
) -> None:  # fmt: skip
    trained = chain("promote")["train"]
    reproduced = task()
    found = execute(reproduced, params=FORM)
    assert found["reproduced"]
    assert found["sentence"].startswith("Reproduced: 8 metrics equal to 1e-12, 240 predictions identical; code and ")
    assert reproduced.verdict == ti.pushed["verdict"] == found["sentence"]
    assert client.registry.version(model_name, 1).tags[tags.REPRODUCED] == found["sentence"]
    assert reproduced.run_url == client.run_url(trained["experiment_id"], trained["run_id"])
    assert reproduced.version_url == client.version_url(model_name, 1)
    assert len(client.tracking.models(trained["experiment_id"], {})) == 1
    check_invariants(client, model_name)


def test_another_model_is_a_green_task_with_a_verdict(
    chain: Callable[..., Any], task: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient, ti: Any
) -> None:
    model_id = chain("evaluate")["train"]["model_id"]
    spec = json.loads(client.tracking.model(model_id).tags[tags.SPEC])
    client.tracking.tag_model(model_id, {tags.SPEC: json.dumps({**spec, "params": {"C": 0.001}})})
    ti.bundle_instance.version = "v2"
    found = execute(task(), params={**FORM, "version": model_id})
    assert not found["reproduced"]
    assert ti.pushed["verdict"].startswith("Not reproduced: ")
    assert "the code differs: bundle:v1 -> bundle:v2, data the same" in found["sentence"]


def test_the_form_makes_a_candidate(
    chain: Callable[..., Any], task: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient,
    model_name: str, ti: Any,
) -> None:  # fmt: skip
    parent = chain("promote")["train"]
    asked = {**FORM, "parameters": {"C": 0.5}, "search_space": {"fit_intercept": [True, False]}, "seed": 3}
    found = execute(task(), params={**asked, "note": "it's <less> C"})
    facts = client.tracking.model(found["model"]["model_id"]).tags
    assert json.loads(facts[tags.SPEC])["params"].keys() == {"C", "fit_intercept"}
    assert (facts[tags.PARENT], facts[tags.SEED], facts[tags.NOTE]) == (parent["model_id"], "3", "it's <less> C")
    assert facts[tags.VERDICT] == found["verdict"]["decision"]
    assert ti.pushed["verdict"] == found["sentence"]
    assert [version.version for version in client.registry.versions(model_name)] == [1]
    check_invariants(client, model_name)


def test_two_weeks_later_from_the_same_source(
    chain: Callable[..., Any], task: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient,
    model_name: str,
) -> None:  # fmt: skip
    parent = chain("promote", params={"as_of": "2026-03-20"})
    later = chain("prepare", params={"as_of": "2026-04-03"})["prepare"]
    found = execute(task(), params={**FORM, "as_of": "2026-04-03T00:00:00Z"})["model"]
    assert (found["as_of"], found["data_version"]) == (later["as_of"], later["data_version"])
    assert found["facts"][tags.SNAPSHOT] == later["uri"]
    assert found["facts"][tags.PARENT] == parent["train"]["model_id"]
    check_invariants(client, model_name)


def test_a_record_that_cannot_be_read_is_red(
    chain: Callable[..., Any], task: Callable[..., Any], execute: Callable[..., Any], ti: Any
) -> None:
    chain("promote")
    ti.pushed.clear()
    reproduced = task(version="7")
    for version, digits, complaint in (
        ("7", "", "version=7"),
        ("m-0123", "", "m-0123"),
        ("1", "0" * 12, "No snapshot of tidy has data version 000000000000"),
    ):
        reproduced.version, reproduced.data_version = version, digits
        with pytest.raises(AirflowFailException, match=complaint):
            execute(reproduced, params=FORM)
    assert "verdict" not in ti.pushed


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"parameters": "[1]"}, "is not an object"),
        ({"parameters": "{C"}, "is not JSON"),
        ({"as_of": "soon"}, "'soon' is not a date"),
        ({"window": {"lookbak": "3d"}}, "lookbak"),
        ({"seed": "seven"}, "seed 'seven' is not a number"),
    ],
)
def test_overrides_that_mean_nothing_are_red_before_a_server_is_asked(
    asked: dict[str, Any], complaint: str, task: Callable[..., Any], execute: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("AIRFLOW_CONN_MLFLOW_DEFAULT")
    with pytest.raises(AirflowFailException, match=complaint):
        execute(task(**asked), params=FORM)


def test_objects_may_be_text(task: Callable[..., Any]) -> None:
    found = task(parameters='{"C": 1}', search_space="null", window={}, seed="None", as_of="", data_version=None)
    assert found.overrides() == Overrides(params={"C": 1}, window={})


def test_sources_that_the_dag_declares_are_asked_over_airflow_connections(
    chain: Callable[..., Any], task: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    chain("promote", params={"as_of": "2026-03-20"})
    query = {"sql": "SELECT 1", "conn_id": "warehouse", "order_by": ["id"]}
    reproduced = task()
    for sources, complaint in (([], "Name it in sources"), ([query], "no Airflow connection warehouse")):
        reproduced.sources = sources
        with pytest.raises(AirflowFailException, match=complaint):
            execute(reproduced, params={**FORM, "as_of": "2026-04-03T00:00:00Z"})
