"""Ask the models of the past about windows that they had not seen, and keep what they say as an MLflow run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.backtest import Backtest, BacktestSpec, conclude, plan
from airflow_mlops.core.evaluation.measures import METRICS
from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.exceptions import ConfigurationError, MlopsError
from airflow_mlops.reports.backtest import backtest_page
from airflow_mlops.steps.backtest.history import find_history
from airflow_mlops.steps.backtest.matrix import score
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.logged_models import close_left_open, upload_text
from airflow_mlops.steps.packages import load_model
from airflow_mlops.store.snapshots import Snapshot, open_snapshot

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow

__all__ = ["REPORT", "StoredBacktest", "backtest"]

#: Where the page lies among the run's artifacts.
REPORT = "backtest/backtest.html"
#: Of models that nobody evaluated.
_METRIC = {"classification": "roc_auc", "regression": "mae"}


@dataclass(frozen=True)
class StoredBacktest:
    """A backtest and the MLflow run that keeps it."""

    found: Backtest
    experiment_id: str
    run_id: str
    report: str = REPORT

    def to_json(self) -> dict[str, Any]:
        """Small enough for XCom; the matrix stays in MLflow."""
        whole = self.found.to_json()
        short = {name: whole[name] for name in ("model", "metric", "margin", "recommendation", "gains", "decay")}
        counts = {name: len(whole[name]) for name in ("models", "windows", "cells")}
        where = {"experiment_id": self.experiment_id, "run_id": self.run_id, "report": self.report}
        return {**short, **counts, **where}


def backtest(
    client: Mlflow,
    *,
    name: str,
    spec: BacktestSpec,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    like: str | None = None,
    trusted: Iterable[str] = (),
    read: Callable[[str], Snapshot] | None = None,
    budget: CpuBudget | None = None,
) -> StoredBacktest:
    """How often is it worth to train a model again? JSON and a page go to an MLflow run of their own.

    Every model is loaded once, and the rows of one window at a time are in memory.

    :param start: first as-of, and
    :param end: last as-of of the models to ask; None for all
    :param like: id of a model whose spec counts; None for the spec that was trained last
    :param trusted: classes of the project's own that the model files may hold
    :param read: from the URI of a snapshot to the snapshot
    :raises NotEnoughData: there is no model at all
    """
    budget, trusted = budget or CpuBudget(), list(trusted)
    with budget("io"):
        history = find_history(client, name, start=start, end=end, like=like)
    made = plan(history.past, spec.max_age)
    metric = _metric(spec, list(history.models.values()))
    matrix = score(
        made,
        history.models,
        metric,
        load=lambda model: load_model(client, model.artifact_uri, model.facts[tags.DIGEST], trusted),
        read=read or _open,
        budget=budget,
    )
    left_out = [*history.left_out, *matrix.left_out]
    found = conclude(name, metric, made, spec, matrix.cells, rows=matrix.rows, left_out=left_out)
    with budget("io"):
        return _store(client, history.experiment_id, found, digest([sorted(history.models), found.to_json()]))


def _metric(spec: BacktestSpec, models: Sequence[TrainedModel]) -> str:
    """The one that was asked for, else the one that the newest evaluated model was evaluated by."""
    recorded = [json.loads(model.facts[tags.EVALUATION]) for model in models if tags.EVALUATION in model.facts]
    task = models[0].spec.task
    metric = spec.metric or (str(recorded[-1]["metric"]) if recorded else _METRIC.get(task))
    if metric not in METRICS[task] or models[0].spec.target is None:
        raise ConfigurationError(
            f"Model {models[0].model}: a backtest needs labels and one of the metrics of a {task} "
            f"({', '.join(METRICS[task])}), not {metric}."
        )
    return metric


def _open(uri: str) -> Snapshot:
    return open_snapshot(UPath(uri))


def _store(client: Mlflow, experiment_id: str, found: Backtest, key: str) -> StoredBacktest:
    """A run that says what it is, so that nobody takes it for a training."""
    close_left_open(client, experiment_id, key)
    said = {"mlflow.note.content": found.recommendation.sentence, "mlflow.source.type": "JOB"}
    about = {tags.KIND: "backtest", tags.KEY: key}
    run_id, artifacts = client.tracking.create_run(experiment_id, f"backtest {found.model}", {**about, **said})
    try:
        params = {"metric": found.metric, "models": len(found.models), "windows": len(found.windows)}
        client.tracking.log(run_id, params=params)
        files = {"backtest/backtest.json": json.dumps(found.to_json(), indent=1), REPORT: backtest_page(found)}
        upload_text(client, artifacts, files)
    except BaseException as error:
        with contextlib.suppress(MlopsError):  # the cause counts, not whether the server still takes the news
            client.tracking.finish_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    client.tracking.finish_run(run_id)
    return StoredBacktest(found, experiment_id, run_id)
