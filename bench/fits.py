"""Four fits at once, or one after the other? What the threads of a fit do on a machine that trains four models at once.

Each fit is the training step on 255 days of flights with a gradient boosting, in a process of its own that has its
imports behind it, against a real MLflow. Three ways, alternating:

- at once: four together, with the threads that ``TrainModelOperator`` gives each on a LocalExecutor of four slots;
- in turn: one after the other, each with every core;
- crowded: four together, each with every core, which is what scikit-learn does by itself; once, because it takes long.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

from upath import UPath

ROOT = Path(__file__).parent.parent
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp()
os.environ["AIRFLOW__CORE__PARALLELISM"] = "4"

from airflow_mlops import preload  # noqa: E402
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings  # noqa: E402
from airflow_mlops.core.training import TrainingSpec  # noqa: E402
from airflow_mlops.core.windows import TrainingWindow, instant  # noqa: E402
from airflow_mlops.operators.training import fair_threads  # noqa: E402
from airflow_mlops.steps.projects import load_project  # noqa: E402
from airflow_mlops.steps.snapshots import ingest, open_snapshot, prepare  # noqa: E402
from airflow_mlops.steps.sources import CallableSource  # noqa: E402
from airflow_mlops.steps.training import train  # noqa: E402
from airflow_mlops.testing.servers import MlflowServer  # noqa: E402

PROJECT = load_project(ROOT / "dags" / "projects" / "flight_delays.yaml")
FITS = 4


def fit(mlflow: str, snapshot: str, name: str, threads: int | None) -> None:
    kept = {"estimator", "task", "target", "features", "seed"}
    spec = TrainingSpec(name, params=PROJECT.training.parameters, **PROJECT.training.model_dump(include=kept))
    with MlflowClient(MlflowSettings(mlflow)) as client:
        train(client, snapshot=open_snapshot(UPath(snapshot)), spec=spec, threads=threads)


def seconds(context: ForkServerContext, mlflow: str, snapshot: str, *, together: bool, threads: int | None) -> float:
    names = [f"m-{uuid.uuid4().hex[:12]}" for _ in range(FITS)]
    fits = [context.Process(target=fit, args=(mlflow, snapshot, name, threads)) for name in names]
    begin = time.monotonic()
    for process in fits:
        process.start()
        if not together:
            process.join()
    for process in fits:
        process.join()
    spent = time.monotonic() - begin
    if any(process.exitcode for process in fits):
        raise SystemExit("a fit failed")
    return spent


def flights(store: UPath) -> str:
    as_of, window = instant("2026-11-01"), TrainingWindow.from_json(PROJECT.window)
    inputs = {}
    for name, section in PROJECT.sources.items():
        source = CallableSource(section.callable or "", section.order_by, section.kwargs)
        inputs[name] = ingest(
            store, name=name, source=source, as_of=as_of, window=window, event_time=section.event_time
        )
    return prepare(store, name=PROJECT.name, function=PROJECT.prepare.function, inputs=inputs).uri


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    sys.path.insert(0, str(ROOT / "dags"))
    context = get_context("forkserver")
    context.set_forkserver_preload([*preload.LIBRARIES, "airflow_mlops.steps.training"])
    ways = {
        "at once": {"together": True, "threads": fair_threads()},
        "in turn": {"together": False, "threads": None},
        "crowded": {"together": True, "threads": None},
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, MlflowServer(Path(folder, "mlflow")) as server:
        snapshot = flights(UPath(folder) / "store")
        seconds(context, server.url, snapshot, together=False, threads=1)  # starts the fork server
        for number in range(rounds):
            for way, how in ways.items():
                if way == "crowded" and number:
                    continue
                found[way].append(seconds(context, server.url, snapshot, **how))
    ratios = [once / turn for once, turn in zip(found["at once"], found["in turn"], strict=True)]
    result = {
        "fits": FITS,
        "cores": os.cpu_count(),
        "threads": fair_threads(),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        **{
            f"{way.replace(' ', '_')}_s": {
                "median": round(statistics.median(values), 2),
                "spread": [round(min(values), 2), round(max(values), 2)],
            }
            for way, values in found.items()
        },
    }
    target = ROOT / "build" / "bench" / "fits.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{FITS} fits, {os.cpu_count()} cores, {rounds} rounds; the share is that of all at once to one by one")
    for way in ways:
        value = result[f"{way.replace(' ', '_')}_s"]
        print(f"  {way:8} {value['median']:7.2f} s   ({value['spread'][0]:.2f} to {value['spread'][1]:.2f})")
    print(f"  share    {result['ratio']:7.3f}     ({result['ratio_spread'][0]:.3f} to {result['ratio_spread'][1]:.3f})")


if __name__ == "__main__":
    main()
