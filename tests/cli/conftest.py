"""Models of a small project, made by the steps as the reference DAG chains them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_mlops.cli.main import main
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.core.backfills import training_spec
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.projects import Project
from airflow_mlops.core.training import RunFacts, TrainedModel
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.steps.code import code_version
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.projects import load_project
from airflow_mlops.steps.promotion import promote
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import ingest, prepare
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from tests.cli.beats import PROJECT, SUITE


@dataclass(frozen=True)
class Reply:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def write_project(folder: Path, name: str, module: str = "tests.cli.beats", more: str = "") -> Path:
    """A project file with its suite, in ``<folder>/projects``."""
    projects = folder / "projects"
    projects.mkdir(parents=True, exist_ok=True)
    (projects / "beats.suite.yaml").write_text(SUITE)
    file = projects / f"{name}.yaml"
    file.write_text(PROJECT.format(name=name, module=module) + more)
    return file


def train_once(
    client: MlflowClient, project: Project, as_of: str, *, folder: Path, run_type: str = "live", **params: Any
) -> TrainedModel:
    """One run of the project's DAG."""
    store, source = UPath(folder.parent) / f"{folder.name}-store", project.sources["beats"]
    window = TrainingWindow.from_json(project.window)
    rows = ingest(
        store,
        name="beats",
        source=CallableSource(source.callable or "", source.order_by),
        as_of=instant(as_of),
        window=window,
        event_time=source.event_time,
    )
    snapshot = prepare(store, name=project.name, function=project.prepare.function, inputs={"beats": rows})
    spec, policy = training_spec(project), GatePolicy.from_json(project.gate)
    how = EvaluationSpec(**project.evaluation.model_dump(), alpha=project.look_alpha)
    run = RunFacts(run_type=run_type, run_url="http://airflow/run", code_version=code_version(folder), owner="ada")
    model = train(client, snapshot=snapshot, spec=replace(spec, params={**spec.params, **params}), run=run)
    found = evaluate_model(client, model=model, snapshot=snapshot, spec=how, run_type=run_type)
    verdict = judge_model(client, model=model, evaluation=found, policy=policy, run_type=run_type)
    if verdict.promote and run_type == "live":
        version, _ = register(client, model, run_url="http://airflow/run")
        promote(client.registry, name=project.name, version=version.version, reason=verdict.summary, actor=run.run_url)
    return model


@dataclass(frozen=True)
class Shelf:
    """A project with a historical model of May, champions of June and July, and a refused model of August."""

    name: str
    file: Path
    dags: Path
    historical: str
    refused: str


@pytest.fixture(scope="session")
def shelf(mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """One that nobody changes."""
    return build_shelf(mlflow_uri, tmp_path_factory.mktemp("dags"))


def build_shelf(mlflow_uri: str, folder: Path) -> Shelf:
    """Train, judge and promote its models."""
    name = f"beats-{folder.name}"
    file = write_project(folder, name)
    project = load_project(file)
    with MlflowClient(MlflowSettings(mlflow_uri)) as client:
        historical = train_once(client, project, "2026-05-01", folder=folder, run_type="backfill")
        for as_of in ("2026-06-01", "2026-07-01"):
            train_once(client, project, as_of, folder=folder)
        strict = project.model_copy(update={"gate": {**project.gate, "at_least": {"roc_auc": 0.99}}})
        refused = train_once(client, strict, "2026-08-01", folder=folder, C=0.5)
    return Shelf(name, file, folder, historical.model_id, refused.model_id)


@pytest.fixture
def call(mlflow_uri: str) -> Callable[..., Reply]:
    """Run a command in this process against the server."""

    def run(*arguments: str, uri: str | None = mlflow_uri) -> Reply:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = main([*(["--tracking-uri", uri] if uri else []), *arguments])
            except SystemExit as exit:
                code = int(exit.code or 0)
        return Reply(code, out.getvalue(), err.getvalue())

    return run
