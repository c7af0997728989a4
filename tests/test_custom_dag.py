"""The custom DAG of the docs, as a user would write it, run without a server of Airflow."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.testing.invariants import check_invariants

DAG_FILE = Path(__file__).parent.parent / "docs" / "examples" / "breast_cancer.py"


@pytest.fixture
def breast_cancer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    frame = load_breast_cancer(as_frame=True).frame
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "breast_cancer.parquet")
    monkeypatch.setenv("DATA", str(tmp_path))
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


def test_it_trains_gates_registers_and_promotes(
    breast_cancer: Any, client: MlflowClient, run_dag: Callable[..., Any], states: Callable[..., dict[str, str]]
) -> None:
    run = run_dag(breast_cancer)
    assert run.state == "success"
    assert set(states(run).values()) == {"success"}
    assert client.registry.alias("breast_cancer", "champion") == 1
    check_invariants(client, "breast_cancer")
