"""What Airflow adds to a year of retrains: a backfill of twelve months, against a plain loop and idle tasks.

Three sides, one after the other in each round, on one stack of PostgreSQL, MLflow and Airflow (LocalExecutor, as many
slots as ``AirflowServer`` gives this machine, as many runs at once):

- backfill: ``continuous_training`` over twelve months of flight delays, from the request to the end of the last run;
- loop: the same steps for the same dates in one fresh process, its fits on every core;
- no-op: a DAG of the same shape, whose tasks return at once.

Printed are medians and spreads; ``ratio`` is backfill over loop plus no-op. ``overhead_per_task_s`` is CPU: what the
tasks of the backfill spent beyond the loop and the no-op tasks, for each task, fits left out on both sides because they
have other numbers of threads. ``import_share`` is the part of the tasks' CPU that went into imports.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_mlops.testing.servers import AirflowApi, LocalStack, local_stack

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
PROJECT = "flight_delays"
#: The first and the last of twelve intervals, and the as-ofs at their ends.
FIRST, LAST = datetime(2025, 10, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
AS_OFS = [f"{year}-{month:02d}-01" for year, months in ((2025, (11, 12)), (2026, range(1, 11))) for month in months]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (at most 9)")
    rounds = range(parser.parse_args().rounds)
    folder = BUILD / "backfill"
    with local_stack(folder / "servers", dag_folder(folder / "dags", len(rounds)), say=print) as stack:
        sides: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for number in rounds:
            order = ["backfill", "loop", "noop"]
            for side in order[number % 3 :] + order[: number % 3]:
                found = loop(stack, number) if side == "loop" else backfill(stack, side, number)
                sides[side].append(found)
                print(f"round {number + 1}: {side} {found['wall_seconds']:.0f} s", flush=True)
        slots = int(stack.airflow.env["AIRFLOW__CORE__PARALLELISM"])
    result = summary(sides, slots)
    (BUILD / "backfill.json").write_text(json.dumps(result, indent=2) + "\n")
    print(report(result))


def dag_folder(folder: Path, rounds: int) -> Path:
    """The reference DAG with a copy of the project for each round, so that none finds the models of another."""
    shutil.rmtree(folder, ignore_errors=True)
    projects = folder / "projects"
    shutil.copytree(ROOT / "dags" / "projects", projects, ignore=shutil.ignore_patterns("*.yaml", "__pycache__"))
    shutil.copy(ROOT / "dags" / "projects" / f"{PROJECT}.suite.yaml", projects)
    text = (ROOT / "dags" / "projects" / f"{PROJECT}.yaml").read_text()
    for side in ("backfill", "loop"):
        for number in range(rounds):
            name = f"{side}_{number}"
            # A start in the future: switching the DAG on for its backfill starts no run of today besides.
            own = text.replace(f"name: {PROJECT}", f"name: {name}").replace('start: "2025', 'start: "2125')
            (projects / f"{name}.yaml").write_text(own)
    for file in (
        ROOT / "dags" / "continuous_training.py",
        ROOT / "dags" / ".airflowignore",
        ROOT / "bench" / "noop.py",
    ):
        shutil.copy(file, folder)
    return folder


def backfill(stack: LocalStack, side: str, number: int) -> dict[str, Any]:
    """A backfill of the year, from the request to the end of its last run, and what its tasks spent."""
    api = stack.airflow.api
    dag = f"noop_{number}" if side == "noop" else f"continuous_training__{side}_{number}"
    while not api.has_dag(dag):
        if errors := api.import_errors():
            raise SystemExit("\n".join(errors.values()))
        time.sleep(1)
    clean(stack)
    slots = int(stack.airflow.env["AIRFLOW__CORE__PARALLELISM"])
    begin = datetime.now(UTC)
    span = {"from_date": FIRST.isoformat(), "to_date": LAST.isoformat(), "max_active_runs": slots}
    api.post("/backfills", {"dag_id": dag, **span})
    api.pause(dag, False)
    runs = ended(api, dag)
    if {run["state"] for run in runs} != {"success"} or len(runs) != len(AS_OFS):
        raise SystemExit(f"{dag}: {[(run['dag_run_id'], run['state']) for run in runs]}")
    end = max(datetime.fromisoformat(run["end_date"]) for run in runs)
    return {
        "wall_seconds": (end - begin).total_seconds(),
        "tasks": tasks(api, dag, [run["dag_run_id"] for run in runs]),
    }


def ended(api: AirflowApi, dag: str) -> list[dict[str, Any]]:
    """The runs of the backfill, once all of them have ended."""
    while True:
        runs = api.runs(dag, run_type="backfill")
        if all(run["state"] in ("success", "failed") for run in runs):
            return runs
        time.sleep(2)


def tasks(api: AirflowApi, dag: str, run_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Of each task, over all runs: how many ran, their wall and CPU seconds."""
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"ran": 0, "wall": 0.0, "cpu": defaultdict(float)})
    for run_id in run_ids:
        for task in api.tasks(dag, run_id):
            spent = api.xcom(dag, run_id, task["task_id"], "cpu_seconds")
            if spent:
                entry = found[task["task_id"]]
                entry["ran"] += 1
                entry["wall"] += task["duration"]
                for part, seconds in spent.items():
                    entry["cpu"][part] += seconds
    return dict(found)


def loop(stack: LocalStack, number: int) -> dict[str, Any]:
    """The plain loop in a process of its own."""
    clean(stack)
    store = stack.folder / "store"
    project = ROOT / "build/bench/backfill/dags/projects" / f"loop_{number}.yaml"
    command = [sys.executable, str(ROOT / "bench" / "plain_loop.py"), str(project), stack.mlflow.url, str(store)]
    begin = time.monotonic()
    answer = subprocess.run([*command, *AS_OFS], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if answer.returncode:
        raise SystemExit(answer.stderr)
    return {"wall_seconds": seconds, "cpu": json.loads(answer.stdout.splitlines()[-1])}


def clean(stack: LocalStack) -> None:
    """No snapshot of another side is found."""
    shutil.rmtree(stack.folder / "store", ignore_errors=True)


def summary(sides: dict[str, list[dict[str, Any]]], slots: int) -> dict[str, Any]:
    walls = {side: [found["wall_seconds"] for found in all_found] for side, all_found in sides.items()}
    paired = zip(sides["backfill"], sides["loop"], sides["noop"], strict=True)
    overheads, shares, ratios = [], [], []
    for one, plain, noop in paired:
        ran = sum(task["ran"] for task in one["tasks"].values())
        spent, idle = total(one, "total"), total(noop, "total")
        worked = plain["cpu"]["total"] - plain["cpu"]["fit"]
        overheads.append((spent - total(one, "fit") - worked - idle) / ran)
        shares.append(total(one, "imports") / spent)
        ratios.append(one["wall_seconds"] / (plain["wall_seconds"] + noop["wall_seconds"]))
    return {
        "backfill_s": middle(walls["backfill"]),
        "plain_loop_s": middle(walls["loop"]),
        "airflow_noop_s": middle(walls["noop"]),
        "ratio": middle(ratios, 3),
        "overhead_per_task_s": middle(overheads, 3),
        "import_share": middle(shares, 3),
        "spread": {
            "backfill_s": spread(walls["backfill"]),
            "plain_loop_s": spread(walls["loop"]),
            "airflow_noop_s": spread(walls["noop"]),
            "ratio": spread(ratios, 3),
        },
        "months": len(AS_OFS),
        "rounds": len(ratios),
        "cores": os.cpu_count(),
        "slots": slots,
        "tasks": {name: per_task(task) for name, task in sides["backfill"][-1]["tasks"].items()},
        "noop_task_cpu_s": per_task(next(iter(sides["noop"][-1]["tasks"].values())))["cpu"]["total"],
        "loop_cpu_s": sides["loop"][-1]["cpu"],
    }


def total(side: dict[str, Any], part: str) -> float:
    return float(sum(task["cpu"].get(part, 0) for task in side["tasks"].values()))


def per_task(task: dict[str, Any]) -> dict[str, Any]:
    cpu = {part: round(seconds / task["ran"], 2) for part, seconds in task["cpu"].items()}
    return {"ran": task["ran"], "wall": round(task["wall"] / task["ran"], 2), "cpu": cpu}


def middle(values: list[float], digits: int = 1) -> float:
    return round(statistics.median(values), digits)


def spread(values: list[float], digits: int = 1) -> list[float]:
    return [round(min(values), digits), round(max(values), digits)]


def report(result: dict[str, Any]) -> str:
    lines = [
        f"Twelve months of {PROJECT}: {result['rounds']} rounds on {result['cores']} cores, {result['slots']} slots",
        *(
            f"  {what:24} {result[key]:8}   ({result['spread'][key][0]} to {result['spread'][key][1]})"
            for what, key in (
                ("backfill, s", "backfill_s"),
                ("plain loop, s", "plain_loop_s"),
                ("no-op tasks, s", "airflow_noop_s"),
                ("ratio", "ratio"),
            )
        ),
        f"  overhead per task, CPU s {result['overhead_per_task_s']:8}",
        f"  share of imports         {result['import_share']:8}",
        "  task             wall s   CPU s by part",
    ]
    for name, task in result["tasks"].items():
        parts = ", ".join(f"{part} {seconds}" for part, seconds in task["cpu"].items())
        lines.append(f"  {name:16} {task['wall']:6}   {parts}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
