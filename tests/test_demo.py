"""What the demo prints, and what it calls a failure; ``make demo`` itself is the test of the rest."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.console import Progress, table
from demo.facts import DemoError, gather
from demo.online import DEPLOYMENT, flights_between, send_flights, serving_client, wait_for_deployment
from demo.run import month, report

AS_OF = "2026-11-01T00:00:00+00:00"
OUTPUTS: dict[str, Any] = {
    "prepare": {"as_of": AS_OF, "rows": 250_000, "data_version": "ab" * 32},
    "evaluate": {"candidate": {"roc_auc": 0.7}, "champion": {"roc_auc": 0.69}, "baseline": None},
    "gate": {"decision": "promote", "summary": "Accepted as better."},
    "register": {"version": 2},
}


class OneRun:
    """Airflow's answers about one run."""

    def __init__(self, state: str = "success", outputs: dict[str, Any] = OUTPUTS, **states: str) -> None:
        self.state, self.outputs = state, outputs
        self.states = {**dict.fromkeys(OUTPUTS, "success"), **states}

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return {"state": self.state, "run_type": run_id.partition("__")[0]}

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return [
            {"task_id": task_id, "state": state, "duration": 1.5, "start_date": None}
            for task_id, state in self.states.items()
        ]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        return self.outputs.get(task_id) if key == "return_value" else {"total": 1.2}


@pytest.mark.parametrize(
    ("start", "later", "expected"),
    [
        ("2026-11-01T00:00:00Z", 1, "2026-12-01T00:00:00+00:00"),
        ("2026-12-01T00:00:00Z", 1, "2027-01-01T00:00:00+00:00"),
        ("2026-01-01T00:00:00Z", -1, "2025-12-01T00:00:00+00:00"),
        ("2026-02-01T00:00:00Z", -3, "2025-11-01T00:00:00+00:00"),
    ],
)
def test_months_cross_the_year(start: str, later: int, expected: str) -> None:
    assert month(start, later).isoformat() == expected


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(["a", "long"], [["wide", "b"]]) == "a     long\n────  ────\nwide  b"


def test_without_a_terminal_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for text in ("train", "train", "evaluate"):
        progress.say(text)
    progress.done("promote")
    assert capsys.readouterr().out.splitlines() == ["   0 s  train", "   0 s  evaluate", "   0 s  promote"]


def test_a_run_is_told_as_in_the_summary(tmp_path: Path) -> None:
    live = gather(OneRun(), tmp_path, "dag", "scheduled__x")  # type: ignore[arg-type]
    assert (live.as_of, live.run_type, live.rows, live.auc, live.champion_auc) == (AS_OF, "live", 250_000, 0.7, 0.69)
    assert (live.verdict, live.version, live.baseline_auc) == ("promote", 2, None)
    assert live.tasks["gate"] == {"state": "success", "wall_seconds": 1.5, "cpu_seconds": {"total": 1.2}}
    assert report([live], champion=2).splitlines()[3].split()[-3:] == ["promote", "2", "champion"]
    assert report([live], champion=3).splitlines()[3].split()[-3:] == ["promote", "2", "–"]


def test_a_historical_model_has_no_version(tmp_path: Path) -> None:
    past = gather(OneRun(outputs={**OUTPUTS, "register": None}), tmp_path, "dag", "backfill__x")  # type: ignore[arg-type]
    assert (past.run_type, past.version) == ("backfill", None)


def test_a_failed_run_shows_the_end_of_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "dag_id=dag/run_id=scheduled__x/task_id=evaluate"
    folder.mkdir(parents=True)
    entry = {
        "level": "error",
        "event": "Task failed",
        "error_detail": [{"exc_type": "OSError", "exc_value": "disk full"}],
    }
    (folder / "attempt=1.log").write_text("an older try\n")
    (folder / "attempt=2.log").write_text(json.dumps(entry) + "\nnot JSON\n")
    with pytest.raises(DemoError, match="failed in evaluate") as caught:
        gather(OneRun("failed", evaluate="failed"), tmp_path, "dag", "scheduled__x")  # type: ignore[arg-type]
    assert "error  Task failed  OSError: disk full\nnot JSON" in str(caught.value)
    assert "older" not in str(caught.value)


def test_a_run_that_skipped_everything_is_a_failure_here(tmp_path: Path) -> None:
    nothing = OneRun(outputs={}, **dict.fromkeys(OUTPUTS, "skipped"))
    with pytest.raises(DemoError, match="trained nothing: prepare, evaluate, gate, register skipped"):
        gather(nothing, tmp_path, "dag", "scheduled__x")  # type: ignore[arg-type]


class Deployments:
    """Airflow's answers about the DAG that deploys."""

    def __init__(self, *runs: tuple[str, dict[str, Any] | None]) -> None:
        self.told = dict(enumerate(runs))

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        assert dag_id == DEPLOYMENT
        return [{"dag_run_id": str(number), "state": state} for number, (state, _) in self.told.items()]

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        return self.told[int(run_id)][1] if task_id == "deploy" else None


def stack_of(*runs: tuple[str, dict[str, Any] | None], url: str = "") -> Any:
    serving = SimpleNamespace(url=url, token="t") if url else None
    return SimpleNamespace(airflow=SimpleNamespace(api=Deployments(*runs), logs="logs"), serving=serving)


def test_one_run_deploys_and_the_next_finds_it_done() -> None:
    found = wait_for_deployment(stack_of(("success", {"version": 1}), ("success", None)), Progress())
    assert [(run["version"], run["changed"]) for run in found] == [(1, True), (None, False)]
    with pytest.raises(DemoError, match="failed, see logs"):
        wait_for_deployment(stack_of(("success", {"version": 1}), ("failed", None)), Progress())
    with pytest.raises(DemoError, match="No run of continuous_deployment__flight_delays deployed anything"):
        wait_for_deployment(stack_of(("success", None)), Progress())
    with pytest.raises(DemoError, match="no scoring server"):
        serving_client(stack_of())


class Answering(BaseHTTPRequestHandler):
    """A scoring server that calls each flight after eight in the evening late, and fails for one carrier."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        (row,) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["dataframe_records"]
        body = json.dumps({"predictions": [int(row["dep_minute"] > 20 * 60)]}).encode()
        self.send_response(500 if row["carrier"] == "OO" else 200)
        self.send_header("X-Model-Version", "3")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


def test_real_flights_are_sent_and_their_answers_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.online.FLIGHTS", 50)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        stack = stack_of(url=f"http://127.0.0.1:{http.server_port}")
        traffic = send_flights(stack, AS_OF, "2026-12-01T00:00:00+00:00")
    finally:
        http.shutdown()
        http.server_close()
    rows = flights_between(datetime.fromisoformat(AS_OF), datetime.fromisoformat("2026-12-01T00:00:00+00:00"))
    assert (traffic.version, traffic.month, traffic.requests) == ("3", "2026-11", 50)
    assert traffic.errors == sum(row["carrier"] == "OO" for row in rows)
    assert traffic.late == sum(row["dep_minute"] > 20 * 60 for row in rows if row["carrier"] != "OO") > 0
    assert 0 < traffic.p50_ms <= traffic.p99_ms
    told = report([], None, traffic)
    assert (
        "Served, one flight a request:\n  version    3, brought there by continuous_deployment__flight_delays" in told
    )
