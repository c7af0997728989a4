"""``make demo``: one model, retrained live and over past months, in a real Airflow with a real MLflow.

1. The DAG is switched on, and the newest month that has ended is trained at once, live: the first champion.
2. A live run a month later is weighed against that champion on the same rows, and promoted or refused.
3. The three months before both are retrained by a backfill; the registry must be, to the byte, what it was.
4. Meanwhile the champion was deployed to a scoring server, by the DAG that listens to it: real flights of the month
   after its as-of are sent there, one by one.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.clients.serving import ServingTarget
from airflow_mlops.exceptions import MlopsError
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.servers import AirflowApi, LocalStack, MlflowServer, local_stack
from demo.console import Progress, end_on_signals, table
from demo.facts import HEADS, DemoError, RunFacts, gather
from demo.online import DEPLOYMENT, Traffic, send_flights, serving_client, wait_for_deployment

BUILD = Path("build/demo")
MODEL = "flight_delays"
DAG_ID = f"continuous_training__{MODEL}"
#: The pages that people read: of the data, and of the model.
PAGES = {"validation": "store/reports/validation/**/*.html", "evaluation": "mlflow/artifacts/**/evaluation.html"}
#: Far above what a run takes on a slow machine: this ends a run that hangs.
PATIENCE = 900


def main() -> int:
    end_on_signals()
    progress = Progress()
    try:
        with local_stack(BUILD, Path("dags"), serving=MODEL, say=progress.say) as stack:
            progress.done("PostgreSQL, MLflow, Airflow and a scoring server run")
            runs = retrain(stack, progress)
            champion = champion_version(stack.mlflow)
            deployments = wait_for_deployment(stack, progress)
            with MlflowClient(MlflowSettings(stack.mlflow.url)) as client, serving_client(stack) as server:
                check_invariants(client, MODEL, target=ServingTarget(server))
            progress.done("one model and one version for each key, no row from the future, the champion is the newest")
            as_of = next(run.as_of for run in runs if run.version == champion)
            progress.say("sending flights to the scoring server")
            traffic = send_flights(stack, as_of, month(as_of, 1).isoformat())
            progress.done(f"{traffic.requests:,} flights of the next month are answered by version {traffic.version}")
            seconds = stack.start_seconds
            progress.say("stopping the servers")
    except (MlopsError, DemoError, AssertionError, httpx.HTTPError) as error:
        print(f"\nThe demo failed. {error}", file=sys.stderr)
        return 1
    progress.done("done, every process is stopped")
    summary = {
        "runs": [asdict(run) for run in runs],
        "champion_version": champion,
        "deployments": deployments,
        "serving": asdict(traffic),
        "wall_seconds": round(progress.seconds, 1),
        "start_seconds": seconds,
    }
    (BUILD / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(report(runs, champion, traffic))
    return 0


def retrain(stack: LocalStack, progress: Progress) -> list[RunFacts]:
    """The demo's five runs, in the order of their as-of."""
    airflow, api = stack.airflow, stack.airflow.api

    def finish(what: str, run_ids: list[str]) -> list[RunFacts]:
        wait(api, run_ids, lambda state: progress.say(f"{what}: {state}"))
        runs = [gather(api, airflow.logs, DAG_ID, run_id) for run_id in run_ids]
        for run in runs:
            progress.done(f"{what}, as of {run.as_of[:10]}: {run.verdict}")
        return runs

    progress.say(f"waiting for Airflow to read {DAG_ID}")
    wait_for_dag(api)

    api.pause(DEPLOYMENT, False)  # before anything is promoted: it hears of every champion
    api.pause(DAG_ID, False)
    scheduled = newest_scheduled_run(api)
    first = finish("first live run", [scheduled["dag_run_id"]])
    if champion_version(stack.mlflow) is None:
        raise DemoError(f"The first model did not become champion: {first[0].reason}")

    next_month = month(scheduled["data_interval_end"], 1).isoformat()
    second = finish("second live run", [api.trigger(DAG_ID, {"as_of": next_month})])

    before = registry(stack.mlflow)
    start = scheduled["data_interval_start"]
    progress.say("asking for a backfill of three months")
    airflow.cli(
        *("backfill", "create", "--dag-id", DAG_ID, "--max-active-runs", "2"),
        *("--from-date", month(start, -3).isoformat(), "--to-date", month(start, -1).isoformat()),
    )
    past = finish("backfill", [run["dag_run_id"] for run in api.runs(DAG_ID, run_type="backfill")])
    if len(past) != 3:
        raise DemoError(f"The backfill made {len(past)} runs instead of 3.")
    if registry(stack.mlflow) != before:
        raise DemoError("The backfill changed the registry.")
    progress.done("the registry is what it was before the backfill")
    return sorted([*past, *first, *second], key=lambda run: run.as_of)


def wait_for_dag(api: AirflowApi) -> None:
    deadline = time.monotonic() + 120
    while not all(api.has_dag(dag_id) for dag_id in (DAG_ID, DEPLOYMENT)):
        if errors := api.import_errors():
            raise DemoError("\n".join(f"{file} cannot be imported:\n{trace}" for file, trace in errors.items()))
        if time.monotonic() > deadline:
            raise DemoError(f"Airflow did not find {DAG_ID} in two minutes.")
        time.sleep(0.5)


def newest_scheduled_run(api: AirflowApi) -> dict[str, Any]:
    """The run that unpausing starts at once: the newest interval that has ended."""
    deadline = time.monotonic() + 60
    while not (runs := api.runs(DAG_ID, run_type="scheduled")):
        if time.monotonic() > deadline:
            raise DemoError("Switching the DAG on did not start a run.")
        time.sleep(0.5)
    return runs[0]


def wait(api: AirflowApi, run_ids: list[str], say: Any) -> None:
    """Wait for the runs to end, telling which tasks are at work."""
    deadline = time.monotonic() + PATIENCE
    while active := [run_id for run_id in run_ids if api.run(DAG_ID, run_id)["state"] not in ("success", "failed")]:
        if time.monotonic() > deadline:
            raise DemoError(f"{', '.join(active)} did not end in {PATIENCE} s.")
        tasks = [task for run_id in active for task in api.tasks(DAG_ID, run_id)]
        running = sorted({task["task_id"] for task in tasks if task["state"] == "running"})
        ended = f"{len(run_ids) - len(active)} of {len(run_ids)} runs, " if len(run_ids) > 1 else ""
        if running:
            say(ended + ", ".join(running))
        time.sleep(1)


def month(instant: str, later: int) -> datetime:
    """The start of a month, so many months later.

    >>> month("2026-11-01T00:00:00+00:00", 2).isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    start = datetime.fromisoformat(instant)
    years, index = divmod(start.month - 1 + later, 12)
    return start.replace(year=start.year + years, month=index + 1)


def registry(mlflow: MlflowServer) -> dict[str, Any]:
    """Everything in MLflow's registry: models with aliases and tags, and all versions."""
    return {what: _get(mlflow, f"{what}/search", max_results=1000) for what in ("registered-models", "model-versions")}


def champion_version(mlflow: MlflowServer) -> int | None:
    models = registry(mlflow)["registered-models"].get("registered_models", [])
    aliases = [alias for model in models if model["name"] == MODEL for alias in model.get("aliases", [])]
    return next((int(alias["version"]) for alias in aliases if alias["alias"] == "champion"), None)


def _get(mlflow: MlflowServer, path: str, **params: Any) -> dict[str, Any]:
    answer = httpx.get(f"{mlflow.url}/api/2.0/mlflow/{path}", params=params, timeout=30, trust_env=False)
    return dict(answer.raise_for_status().json())


def report(runs: list[RunFacts], champion: int | None, traffic: Traffic | None = None) -> str:
    rows = [[*run.cells, "champion" if run.version and run.version == champion else "–"] for run in runs]
    lines = ["", table(HEADS, rows), "", "Why:"]
    lines += [f"  {run.as_of[:10]}  {run.reason}" for run in runs]
    if traffic:
        lines += ["", "Served, one flight a request:", *(f"  {line}" for line in traffic.lines())]
    lines += ["", "Where to look:"]
    lines += [f"  task logs  {BUILD}/airflow/logs/dag_id={DAG_ID}", f"  facts      {BUILD}/summary.json"]
    for kind, pages in PAGES.items():
        newest = max(BUILD.glob(pages), key=lambda page: page.stat().st_mtime, default=None)
        lines += [f"  {kind:<10} {newest}"] if newest else []
    lines += ["  make up    starts the same servers and leaves them to you"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
