"""Do the shipped projects' evaluations tell a fair model from a leak and from noise?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.evaluation import Evaluation
from airflow_mlops.core.gate import GatePolicy, Verdict
from airflow_mlops.core.projects import Project
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.projects import load_project
from airflow_mlops.steps.snapshots import Snapshot, ingest, prepare
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from projects import arrival_delay, flight_delays

PROJECT, MINUTES = (
    load_project(Path(module.__file__ or "").with_suffix(".yaml")) for module in (flight_delays, arrival_delay)
)
AS_OF = instant("2026-11-01")


def permuted(flights: pa.Table, weather: pa.Table) -> pa.Table:
    """Labels that belong to other flights."""
    return shuffled(flight_delays.prepare(flights, weather), "late")


def permuted_minutes(flights: pa.Table, weather: pa.Table) -> pa.Table:
    return shuffled(arrival_delay.prepare(flights, weather), "arr_delay")


def shuffled(rows: pa.Table, label: str) -> pa.Table:
    mixed = rows[label].take(pa.array(np.random.default_rng(3).permutation(rows.num_rows)))
    return rows.set_column(rows.column_names.index(label), label, mixed)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> UPath:
    return UPath(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def sources(store: UPath) -> dict[str, Snapshot]:
    """Two months of training instead of eight and a half."""
    window = TrainingWindow.from_json({**PROJECT.window, "lookback": "60d"})
    return {
        name: ingest(
            store,
            name=name,
            source=CallableSource(source.callable or "", source.order_by),
            as_of=AS_OF,
            window=window,
            event_time=source.event_time,
        )
        for name, source in PROJECT.sources.items()
    }


def judged(
    client: MlflowClient,
    store: UPath,
    sources: dict[str, Snapshot],
    name: str,
    function: Any,
    *more: str,
    project: Project = PROJECT,
) -> tuple[Evaluation, Verdict]:
    """A shipped project on these rows, with more features."""
    table = prepare(store, name="flights", function=function, inputs=sources)
    section = project.training
    spec = TrainingSpec(
        model=name,
        estimator=section.estimator,
        params={**section.parameters, "max_iter": 40, "min_samples_leaf": 200},
        task=section.task,
        target=section.target,
        features=[*(section.features or []), *more],
    )
    model = train(client, snapshot=table, spec=spec)
    found = evaluate_model(client, model=model, snapshot=table, spec=EvaluationSpec(**project.evaluation.model_dump()))
    return found, judge_model(client, model=model, evaluation=found, policy=GatePolicy.from_json(project.gate))


def test_an_honest_model_stays_in_the_honest_range(
    client: MlflowClient, store: UPath, sources: dict[str, Snapshot], model_name: str
) -> None:
    found, verdict = judged(client, store, sources, model_name, PROJECT.prepare.function)
    assert 0.60 < found.candidate["roc_auc"] < 0.76
    thresholds = {check.name: check.status for check in verdict.checks if " at " in check.name}
    assert thresholds == {"roc_auc at least": "passed", "roc_auc at most": "passed"}


def test_permuted_labels_give_an_auc_of_one_half_and_a_refusal(
    client: MlflowClient, store: UPath, sources: dict[str, Snapshot], model_name: str
) -> None:
    found, verdict = judged(client, store, sources, model_name, permuted)
    low, high = found.intervals["roc_auc"]
    assert low < 0.5 < high
    assert high - low < 0.05
    assert (verdict.decision, verdict.reason_code) == ("reject", "not_good_enough")


def test_permuted_minutes_are_predicted_no_better_than_by_their_median(
    client: MlflowClient, store: UPath, sources: dict[str, Snapshot], model_name: str
) -> None:
    found, verdict = judged(client, store, sources, model_name, permuted_minutes, project=MINUTES)
    assert found.baseline is not None
    assert abs(found.candidate["mae"] - found.baseline["mae"]) < 0.1  # against means it would look better
    assert (verdict.decision, verdict.reason_code) == ("reject", "not_better_than_baseline")


def test_the_departure_delay_lets_the_auc_jump_and_the_gate_names_the_leak(
    client: MlflowClient, store: UPath, sources: dict[str, Snapshot], model_name: str
) -> None:
    found, verdict = judged(client, store, sources, model_name, flight_delays.prepare_leaky, "dep_delay")
    assert found.candidate["roc_auc"] > 0.87
    assert (verdict.decision, verdict.reason_code) == ("reject", "too_good")
    assert "look for a leak" in verdict.summary
