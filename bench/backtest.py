"""How often should the demo's model be retrained? Models of the past, trained by the project's own steps, are asked.

The shipped year is replayed: a model must not be asked about days whose copy of the year before lies in its training.
A lookback of 120 days leaves room for ages up to six months; the shipped 255 days leave room for two.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upath import UPath

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "dags"))

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings  # noqa: E402
from airflow_mlops.core.backtest import BacktestSpec  # noqa: E402
from airflow_mlops.core.training import RunFacts, TrainingSpec  # noqa: E402
from airflow_mlops.core.windows import TrainingWindow  # noqa: E402
from airflow_mlops.steps.backtest import backtest  # noqa: E402
from airflow_mlops.steps.budget import CpuBudget  # noqa: E402
from airflow_mlops.steps.projects import load_project  # noqa: E402
from airflow_mlops.steps.snapshots import ingest, prepare  # noqa: E402
from airflow_mlops.steps.sources import CallableSource  # noqa: E402
from airflow_mlops.steps.training import train  # noqa: E402
from airflow_mlops.testing.servers import MlflowServer  # noqa: E402

PROJECT = load_project(ROOT / "dags" / "projects" / "flight_delays.yaml")
TRAINING = PROJECT.training.model_dump(include={"estimator", "task", "target", "features", "seed"})
SPEC = TrainingSpec(model=PROJECT.name, params=PROJECT.training.parameters, **TRAINING)
LAST = datetime(2026, 11, 1, tzinfo=UTC)


def as_ofs(cadence: str, count: int) -> Iterator[datetime]:
    """The newest as-ofs of a schedule, the oldest first."""
    for back in reversed(range(count)):
        months = LAST.year * 12 + LAST.month - 1 - back
        yield (
            LAST - timedelta(weeks=back)
            if cadence == "weekly"
            else LAST.replace(year=months // 12, month=months % 12 + 1)
        )


def train_at(client: MlflowClient, store: UPath, as_of: datetime, window: TrainingWindow) -> None:
    sources = {
        name: ingest(
            store,
            name=name,
            source=CallableSource(source.callable or "", source.order_by),
            as_of=as_of,
            window=window,
            event_time=source.event_time,
        )
        for name, source in PROJECT.sources.items()
    }
    rows = prepare(store, name=PROJECT.name, function=PROJECT.prepare.function, inputs=sources)
    train(client, snapshot=rows, spec=SPEC, run=RunFacts("backfill"), threads=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cadence", choices=["monthly", "weekly"], default="monthly")
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--lookback", default="120d")
    parser.add_argument("--max-age", type=int, default=6, help="in periods")
    parser.add_argument("--metric", nargs="+", default=[PROJECT.evaluation.metric])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench" / "backtest")
    asked = parser.parse_args()
    window = replace(TrainingWindow.from_json(PROJECT.window), lookback=asked.lookback)
    with MlflowServer(asked.folder / "mlflow") as server, MlflowClient(MlflowSettings(server.url)) as client:
        began = time.monotonic()
        for as_of in as_ofs(asked.cadence, asked.models):
            train_at(client, UPath(asked.folder / "store"), as_of, window)
        figures = {"models": asked.models, "cadence": asked.cadence, "training_s": round(time.monotonic() - began, 1)}
        for metric in asked.metric:
            before, began, budget = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), CpuBudget()
            stored = backtest(client, name=SPEC.model, spec=BacktestSpec(metric, max_age=asked.max_age), budget=budget)
            figures |= {
                "metric": metric,
                "backtest_s": round(time.monotonic() - began, 1),
                "cells": len(stored.found.cells),
                "peak_mb_before": before // 1024,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "cpu_s": budget.report(),
            }
            print(json.dumps(figures, indent=1))
            print(stored.found.recommendation.headline, stored.found.recommendation.sentence, sep="\n")
            client.tracking.download(client.tracking.artifact_uri(stored.run_id), asked.folder / metric)
            print(asked.folder / metric / stored.report)


if __name__ == "__main__":
    main()
