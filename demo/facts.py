"""What a run of the DAG did, gathered from its XComs and task instances."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlops.testing.servers import AirflowApi

METRIC = "roc_auc"


@dataclass(frozen=True)
class RunFacts:
    """One row of the demo's table."""

    as_of: str
    run_type: str
    rows: int
    data_version: str
    auc: float | None
    champion_auc: float | None
    baseline_auc: float | None
    verdict: str
    reason: str
    version: int | None
    run_id: str
    tasks: dict[str, Any]

    @property
    def cells(self) -> list[str]:
        return [
            self.as_of[:10],
            self.run_type,
            f"{self.rows:,}",
            self.data_version[:12],
            _decimal(self.auc),
            _decimal(self.champion_auc),
            self.verdict,
            str(self.version or "–"),
        ]


HEADS = ["as of", "run", "rows", "data version", "AUC", "champion's", "verdict", "version", "alias"]


class DemoError(Exception):
    """The demo did not show what it promises."""


def gather(api: AirflowApi, logs: Path, dag_id: str, run_id: str) -> RunFacts:
    """Read the outputs of a run that ended; raise if it failed or trained nothing."""
    run, tasks = api.run(dag_id, run_id), api.tasks(dag_id, run_id)
    if run["state"] != "success":
        raise DemoError(_failure(logs, dag_id, run_id, tasks))

    def output(task_id: str, key: str = "return_value") -> Any:
        return api.xcom(dag_id, run_id, task_id, key)

    prepared, evaluated, verdict = output("prepare"), output("evaluate"), output("gate")
    if not verdict:
        skipped = [task["task_id"] for task in tasks if task["state"] == "skipped"]
        raise DemoError(
            f"Run {run_id} trained nothing: {', '.join(skipped)} skipped, see {_log_folder(logs, dag_id, run_id)}"
        )
    return RunFacts(
        as_of=datetime.fromisoformat(prepared["as_of"]).isoformat(),
        run_type="backfill" if run["run_type"] == "backfill" else "live",
        rows=prepared["rows"],
        data_version=prepared["data_version"],
        auc=_metric(evaluated["candidate"]),
        champion_auc=_metric(evaluated["champion"]),
        baseline_auc=_metric(evaluated["baseline"]),
        verdict=verdict["decision"],
        reason=verdict["summary"],
        version=(output("register") or {}).get("version"),
        run_id=run_id,
        tasks={
            task["task_id"]: {
                "state": task["state"],
                "wall_seconds": task["duration"],
                "cpu_seconds": output(task["task_id"], "cpu_seconds"),
            }
            for task in sorted(tasks, key=lambda task: task["start_date"] or "~")
        },
    )


def _metric(values: dict[str, float] | None) -> float | None:
    return (values or {}).get(METRIC)


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _log_folder(logs: Path, dag_id: str, run_id: str) -> Path:
    return logs / f"dag_id={dag_id}" / f"run_id={run_id}"


def _failure(logs: Path, dag_id: str, run_id: str, tasks: list[dict[str, Any]]) -> str:
    failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
    folders = [_log_folder(logs, dag_id, run_id) / f"task_id={task_id}" for task_id in failed]
    ends = [_end(log) for folder in folders for log in sorted(folder.glob("*.log"))[-1:]]
    return "\n".join([f"Run {run_id} failed in {', '.join(failed) or 'no task'}.", *ends])


def _end(log: Path) -> str:
    return "\n".join([f"The end of {log}:", *(_readable(line) for line in log.read_text().splitlines()[-20:])])


def _readable(line: str) -> str:
    """A line of a task log, which Airflow writes as JSON."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail", [])]
    return "  ".join([entry.get("level", ""), str(entry.get("event", "")), *errors])
