"""A year of retrains as a plain loop in one process: the steps of the reference DAG, one date after the other.

    python bench/plain_loop.py PROJECT.yaml MLFLOW_URL STORE AS_OF…

Prints one line of JSON: the CPU seconds of the process, by what they went into.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.projects import Project
from airflow_mlops.core.training import RunFacts, TrainingSpec
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.code import code_version
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.projects import load_project
from airflow_mlops.steps.snapshots import ingest, prepare
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from airflow_mlops.steps.validation import load_suite, validate


def retrain(client: MlflowClient, store: UPath, project: Project, as_of: str, code: str, budget: CpuBudget) -> None:
    inputs = {}
    with budget("ingest"):
        for name, section in project.sources.items():
            inputs[name] = ingest(
                store,
                name=name,
                source=CallableSource(section.callable or "", section.order_by, section.kwargs),
                as_of=instant(as_of),
                window=TrainingWindow.from_json(project.window),
                event_time=section.event_time,
                min_rows=section.min_rows,
            )
    with budget("prepare"):
        function = project.prepare.function
        snapshot = prepare(store, name=project.name, function=function, inputs=inputs, code_version=code)
    suite, rows = load_suite(UPath(project.validation.suite)), project.validation.min_rows
    validate(store=store, snapshot=snapshot, suite=suite, min_rows=rows, budget=budget).ensure_passed()
    kept = {"estimator", "task", "target", "features", "exclude", "seed"}
    spec = TrainingSpec(project.name, params=project.training.parameters, **project.training.model_dump(include=kept))
    run = RunFacts(run_type="backfill", code_version=code)
    model = train(client, snapshot=snapshot, spec=spec, run=run, budget=budget)
    measures = EvaluationSpec(alpha=project.look_alpha, **project.evaluation.model_dump())
    found = evaluate_model(client, model=model, snapshot=snapshot, spec=measures, run_type=run.run_type, budget=budget)
    policy = GatePolicy.from_json(project.gate)
    judge_model(client, model=model, evaluation=found, policy=policy, run_type=run.run_type)


def main() -> None:
    file, mlflow, store, *dates = sys.argv[1:]
    sys.path.insert(0, str(Path(file).parent.parent))
    budget = CpuBudget()
    project, code = load_project(Path(file)), code_version(Path(file).parent)
    with MlflowClient(MlflowSettings(mlflow)) as client:
        for as_of in dates:
            retrain(client, UPath(store), project, as_of, code, budget)
    print(json.dumps(budget.report()))


if __name__ == "__main__":
    main()
