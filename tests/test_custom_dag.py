"""The custom DAG of the docs, as a user would write it, run without a server of Airflow."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.testing.invariants import check_invariants

DAG_FILE = Path(__file__).parent.parent / "docs" / "examples" / "breast_cancer.py"


@pytest.fixture(scope="session")
def airflow_database() -> None:
    from airflow.utils import db

    db.initdb()


@pytest.fixture
def breast_cancer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_uri: str, airflow_database: None) -> Any:
    frame = load_breast_cancer(as_frame=True).frame
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "breast_cancer.parquet")
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": mlflow_uri}))
    spec = importlib.util.spec_from_file_location("breast_cancer", DAG_FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def test_it_is_at_most_twenty_lines_beside_imports() -> None:
    tree = ast.parse(DAG_FILE.read_text())
    skipped = {
        line
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [n for n, line in enumerate(DAG_FILE.read_text().splitlines(), 1) if line.strip() and n not in skipped]
    assert len(lines) <= 20


def test_it_trains_gates_registers_and_promotes(breast_cancer: Any, client: MlflowClient) -> None:
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    with create_session() as session:
        if not session.get(DagBundleModel, "testing"):
            session.add(DagBundleModel(name="testing"))
            session.flush()
        lazy = LazyDeserializedDAG.from_dag(breast_cancer)
        SerializedDAG.bulk_write_to_db("testing", None, [lazy], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name="testing", session=session)
    run = breast_cancer.test()
    assert run.state == "success"
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert set(states.values()) == {"success"}, states
    assert client.registry.alias("breast_cancer", "champion") == 1
    check_invariants(client, "breast_cancer")
