"""The drift check as a task: whatever the sides are, the evidence lies in the store before anything fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from upath import UPath

from airflow_mlops.core.polling import AwaitedDrift
from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.operators.drift import DriftBranchOperator, DriftCheckOperator
from airflow_mlops.steps.profiles import profile_snapshot, save_profile
from airflow_mlops.store.snapshots import Snapshot, write_snapshot
from airflow_mlops.triggers.drift import look

JANUARY, JULY = "2026-01-01T00:00:00+00:00", "2026-07-01T00:00:00+00:00"


def table(seed: int, temp: float) -> pa.Table:
    g = np.random.default_rng(seed)
    names = np.array(["SECRET-1", "SECRET-2"])[g.integers(0, 2, 1000)]
    day = np.repeat(np.arange(50), 20)
    return pa.table({"temp": np.round(g.normal(temp, 10, 1000)), "name": names, "day": day})


@pytest.fixture
def snapshot(store: UPath) -> Callable[..., Snapshot]:
    def write(as_of: str, temp: float) -> Snapshot:
        rows = table(len(as_of) + int(temp), temp)
        draft = Manifest(name="weather", data_version="", rows=0, schema=[], source={}, as_of=as_of)
        return write_snapshot(store, rows.to_batches(), rows.schema, draft)

    return write


@pytest.fixture
def check(store: UPath, execute: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def check(baseline: Any, current: Any, **arguments: Any) -> dict[str, Any]:
        with DAG("d", schedule=None):
            task = DriftCheckOperator(
                task_id="check", store=str(store), baseline=baseline, current=current, **arguments
            )
        found: dict[str, Any] = execute(task)
        link = task.operator_extra_links[0].get_link(task, ti_key=None)  # type: ignore[attr-defined]
        assert link == (found["url"] or found["report_uri"])
        return found

    return check


def test_two_snapshots(check: Callable[..., Any], snapshot: Callable[..., Snapshot], store: UPath) -> None:
    january, july = snapshot(JANUARY, 36), snapshot(JULY, 80)
    found = check(january.to_json(), july.uri, sensitive=["name"])
    assert (found["verdict"], found["name"], found["as_of"]) == ("drift", "weather", JULY)
    assert found["worst"][0]["sentence"].startswith("temp: the m")
    result, page = UPath(found["result_uri"]).read_text(), UPath(found["report_uri"]).read_text()
    assert json.loads(result)["report"]["verdict"] == "drift"
    assert "temp" in page
    profile = UPath(found["profile_uri"]).read_text()
    assert "SECRET" not in page + result + profile + json.dumps(found)
    again = check(january.uri, july.to_json(), sensitive=["name"])
    assert {key: again[key] for key in ("report_uri", "result_uri")} == {
        key: found[key] for key in ("report_uri", "result_uri")
    }
    assert len(list((store / "reports" / "drift" / "weather").iterdir())) == 1


def test_profiles_files_and_snapshots_say_the_same(
    check: Callable[..., Any], snapshot: Callable[..., Snapshot], store: UPath, tmp_path: Any
) -> None:
    january, july = snapshot(JANUARY, 36), snapshot(JULY, 80)
    base = profile_snapshot(january)
    uri = save_profile(store, base, "weather")
    now = save_profile(store, profile_snapshot(july, base.plan), "weather")
    (tmp_path / "days").mkdir()
    pq.write_table(july.table(), tmp_path / "days" / "july.parquet")
    told = {"profile_uri": now, "name": "weather", "snapshot_uri": july.uri}
    sides = [july.uri, now, told, {"files": f"{tmp_path}/days"}, f"{tmp_path}/days/july.parquet"]
    found = [check(uri, side, name="weather", as_of=JULY) for side in sides]
    assert len({json.dumps([one["summary"], one["worst"], one["profile_uri"]]) for one in found}) == 1


def test_evidence_comes_before_a_failure(check: Callable[..., Any], snapshot: Callable[..., Snapshot], ti: Any) -> None:
    january, july = snapshot(JANUARY, 36), snapshot(JULY, 80)
    with pytest.raises(AirflowFailException, match=r"temp: .*\n?.*mend the feed, or retrain"):
        check(january.uri, july.uri, fail_on_drift="{{ 1 == 1 }}")
    pushed = ti.pushed["return_value"]
    assert pushed["verdict"] == "drift"
    assert UPath(pushed["report_uri"]).exists()
    assert check(january.uri, snapshot(JULY, 36).uri, fail_on_drift=True)["verdict"] == "ok"


def test_rows_that_belong_together(check: Callable[..., Any], snapshot: Callable[..., Snapshot]) -> None:
    january, july = snapshot(JANUARY, 36), snapshot(JULY, 80)
    found = check(january.uri, july.uri, columns=["temp"], clusters="day")
    assert (found["verdict"], found["columns"]) == ("drift", 1)
    assert "parts of the reference told how much rows belong together" in UPath(found["report_uri"]).read_text()


def test_what_is_ignored_need_not_be_there(check: Callable[..., Any], snapshot: Callable[..., Snapshot]) -> None:
    found = check(snapshot(JANUARY, 36).uri, snapshot(JULY, 36).uri, policy={"ignore": ["name", "day"]})
    assert (found["verdict"], found["columns"]) == ("ok", 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"columns": ["tepm"]}, "tepm"),
        ({"columns": "temp"}, "must be a list of columns"),
        ({"policy": {"alhpa": 0.1}}, "there is no alhpa"),
        ({"baseline": {"model": "nobody", "verison": "3"}}, "names a model with a version or an alias"),
        ({"baseline": {"rows": 3}}, "is not a snapshot"),
        ({"clusters": "nothing"}, "no column nothing"),
        ({"current": "/nowhere/profile.json"}, "There is no profile at"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once(
    check: Callable[..., Any], snapshot: Callable[..., Snapshot], arguments: dict[str, Any], complaint: str
) -> None:
    sides = {"baseline": snapshot(JANUARY, 36).uri, "current": snapshot(JULY, 80).uri}
    with pytest.raises(AirflowFailException, match=complaint):
        check(**{**sides, **arguments})


def test_an_alias_is_looked_up_once(
    chain: Callable[..., Any], check: Callable[..., Any], client: Any, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may move between the profile of a version and its rows, which must be of one version."""
    made = chain()
    kind, asked = type(client.registry), list[str]()
    real = kind.alias

    def alias(registry: Any, name: str, which: str) -> int | None:
        asked.append(which)
        found: int | None = real(registry, name, which)
        return found

    monkeypatch.setattr(kind, "alias", alias)
    assert check({"model": model_name}, made["prepare"], columns=["x"], clusters="day")["verdict"] == "ok"
    assert asked == ["champion"]


@pytest.mark.parametrize("clusters", [None, "day"])
def test_a_baseline_that_is_not_there_yet(
    check: Callable[..., Any], snapshot: Callable[..., Snapshot], model_name: str, clusters: str | None
) -> None:
    sides = {"baseline": f"models:/{model_name}@champion", "current": snapshot(JULY, 80).uri, "clusters": clusters}
    why = f"Model {model_name} had no champion: promote a version first"
    with pytest.raises(AirflowFailException, match=why):
        check(**sides)
    with pytest.raises(AirflowSkipException, match=why):
        check(**sides, if_absent="skip")


def test_the_champions_training_rows_are_the_baseline(
    chain: Callable[..., Any], check: Callable[..., Any], client: Any, model_name: str
) -> None:
    made = chain()
    found = check({"model": model_name}, made["prepare"], columns=["x"], clusters="day")
    assert (found["verdict"], found["name"]) == ("ok", model_name)
    assert found["baseline"] == f"the training rows of the champion of {model_name}"
    run_id = found["url"].split("/runs/")[1].split("/")[0]
    assert client.tracking.run(run_id).status == "FINISHED"
    assert found["url"].endswith("/artifacts/drift/drift.html")
    assert check(f"models:/{model_name}/1", made["prepare"], columns=["x"])["verdict"] == "ok"


def test_k_of_n_windows_are_seen_by_the_sensors_look(
    check: Callable[..., Any], snapshot: Callable[..., Snapshot], store: UPath
) -> None:
    january = snapshot(JANUARY, 36).uri
    awaited = AwaitedDrift("weather")
    states = []
    for month, temp in (("02", 36), ("03", 70), ("04", 70)):
        check(january, snapshot(f"2026-{month}-01T00:00:00+00:00", temp).uri, columns=["temp"])
        states.append(look(str(store), awaited).state)
    assert states == ["wait", "wait", "done"]
    found = look(str(store), awaited).found
    assert found is not None
    assert found["as_of"] == "2026-04-01T00:00:00+00:00"
    assert UPath(found["report_uri"]).exists()


def test_the_branch_skips_what_is_not_named(run_dag: Callable[..., Any], states: Callable[..., Any]) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    with DAG("branches", schedule=None) as dag:
        found = {"verdict": "drift", "severity": "large", "summary": "…"}
        go = DriftBranchOperator(task_id="go", check=found, tasks={"medium": "retrain", "ok": "rest"})
        go >> [EmptyOperator(task_id="retrain"), EmptyOperator(task_id="rest")]
    assert states(run_dag(dag)) == {"go": "success", "retrain": "success", "rest": "skipped"}


@pytest.mark.parametrize("found", [{"rows": 3}, "no dict", None])
def test_a_branch_needs_the_output_of_a_check(found: Any) -> None:
    with DAG("d", schedule=None):
        task = DriftBranchOperator(task_id="go", check=found, tasks={"ok": "rest"})
    with pytest.raises(AirflowFailException, match="not the output of a drift check"):
        task.choose_branch({})  # type: ignore[typeddict-item]
