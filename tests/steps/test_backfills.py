"""A plan counts the rows that the ingest would write, and writes nothing itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.projects import Project, SourceSection
from airflow_mlops.core.windows import Bounds, TrainingWindow, instant
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.steps.backfills import plan
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import CallableSource, Source

OCTOBER = Bounds(instant("2026-09-01"), instant("2026-10-01"))


def project(name: str) -> Project:
    return Project.parse(
        {
            "name": name,
            "schedule": "0 0 1 * *",
            "window": {"lookback": "10d", "test": "2d", "knowledge_time": "known_at"},
            "sources": {"rows": {"callable": "a.b", "event_time": "at", "key": ["id"], "min_rows": 4}},
            "prepare": {"function": "a.b"},
            "validation": {"suite": "a.suite.yaml"},
            "training": {"estimator": "a.c", "target": "y"},
            "evaluation": {"metric": "roc_auc"},
            "gate": {"metric": "roc_auc"},
        },
        f"{name}.yaml",
    )


def rows(**_: Any) -> pa.Table:
    """Corrections of rows, some known too late, and some of other times."""
    days = [(1, 25, 25), (1, 25, 26), (2, 26, 26), (2, 26, 30), (3, 27, 28), (4, 10, 10), (5, 28, 29)]
    late = [(6, 29, datetime(2026, 10, 1)), (5, 28, datetime(2026, 10, 2))]
    found = [(key, datetime(2026, 9, at), datetime(2026, 9, known)) for key, at, known in days]
    found += [(key, datetime(2026, 9, at), known) for key, at, known in late]
    ids, at, known_at = zip(*found, strict=True)
    return pa.table({"id": ids, "n": range(len(ids)), "at": at, "known_at": known_at})


def test_the_count_is_that_of_the_ingest(client: MlflowClient, store: UPath, model_name: str) -> None:
    asked, source = project(model_name), CallableSource(rows, ["n"])
    written = ingest(
        store,
        name="rows",
        source=source,
        as_of=OCTOBER.end,
        window=TrainingWindow.from_json(asked.window),
        event_time="at",
        key=["id"],
    )
    (run,) = plan(client, asked, [OCTOBER], source_of=lambda section: source).runs
    assert run.rows is not None
    assert [found.rows for found in run.rows] == [written.manifest.rows] == [4]
    assert client.tracking.find_experiment(model_name) is None
    assert model_name not in client.registry.names()


def test_a_source_that_cannot_be_read_is_unknown_and_quotes_no_value(client: MlflowClient, model_name: str) -> None:
    def away(section: SourceSection) -> Source:
        raise SnapshotError("No file matches.")

    def broken(**_: Any) -> pa.Table:
        raise KeyError("Alice")

    for source_of, why in (
        (away, "No file matches."),
        (lambda section: CallableSource(broken, ["n"]), "KeyError: '…'"),
    ):
        (run,) = plan(client, project(model_name), [OCTOBER], source_of=source_of).runs
        assert run.rows is not None
        assert [(found.rows, found.why) for found in run.rows] == [(None, why)]
        assert run.trains
