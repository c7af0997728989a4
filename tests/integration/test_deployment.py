"""The DAGs of deployment against a real server: the first champion, a canary under traffic, nothing to do, and back."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.clients.serving import ServingClient, ServingSettings, ServingTarget
from airflow_mlops.core import tags
from airflow_mlops.steps.promotion import promote
from airflow_mlops.testing.invariants import check_invariants
from airflow_mlops.testing.servers import ScoringServer
from tests.faults.lifecycle import lifecycle

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
ASKED = """
deployment:
  target: serving://serving_default
  canary: { share: 0.5, policy: { requests: 20, champion_requests: 10, slow: 0.9, errors: 0.5, warm_up: 0 } }
"""


@pytest.fixture
def dags(tmp_path: Path, model_name: str) -> dict[str, Any]:
    """The reference DAGs with one project."""
    folder = tmp_path / "dags"
    (folder / "projects").mkdir(parents=True)
    for name in ("continuous_deployment.py", "rollback.py", ".airflowignore"):
        shutil.copy(HERE.parent.parent / "dags" / name, folder)
    shutil.copy(HERE / "pulse" / "pulse.suite.yaml", folder / "projects")
    project = (HERE / "pulse" / "pulse.yaml").read_text().replace("name: pulse", f"name: {model_name}")
    (folder / "projects" / f"{model_name}.yaml").write_text(project + ASKED)
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def server(
    tmp_path: Path, mlflow_uri: str, model_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServingClient]:
    with ScoringServer(tmp_path / "serving", f"models:/{model_name}@champion", mlflow_uri, "--deployed-only") as server:
        connection = {"conn_type": "mlops_serving", "host": server.url, "password": server.token}
        monkeypatch.setenv("AIRFLOW_CONN_SERVING_DEFAULT", json.dumps(connection))
        with ServingClient(ServingSettings(server.url, server.token)) as client:
            yield client


@contextmanager
def traffic(server: ServingClient) -> Iterator[list[int]]:
    """Requests one after the other, and the statuses of their answers."""
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.01):
            statuses.append(server.invoke({"dataframe_records": [{"x": 0.5}]}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield statuses
    finally:
        over.set()
        asking.join()


def test_each_champion_comes_to_the_server_and_goes_back(
    dags: dict[str, Any], server: ServingClient, client: MlflowClient, store: UPath, model_name: str,
    run_dag: Callable[..., Any], states: Callable[..., Any], outputs: Callable[..., Any],
) -> None:  # fmt: skip
    dag, target = dags[f"continuous_deployment__{model_name}"], ServingTarget(server)
    lifecycle(client, store, model_name)
    tried = ("plan", "smoke_test", "canary", "analyse", "decide", "deploy")

    def done(*succeeded: str) -> dict[str, str]:
        return {task: "success" if task in succeeded else "skipped" for task in (*tried, "roll_back")}

    run = run_dag(dag)
    assert states(run) == done("plan", "smoke_test", "deploy")  # no champion yet that a canary could stand by
    assert outputs(run)["deploy"]["version"] == 1
    check_invariants(client, model_name, target=target)

    first = client.registry.version(model_name, 1)
    facts = {**first.tags, tags.KEY: "another", tags.AS_OF: "2026-11-01T00:00:00+00:00"}
    facts.pop(tags.APPROVED)
    client.registry.create_version(model_name, first.source, first.run_id, facts)
    promote(client.registry, name=model_name, version=2, reason="better", actor="test")
    with traffic(server) as statuses:
        run = run_dag(dag)
    assert states(run) == done(*tried)
    assert outputs(run)["analyse"]["decision"] == "accept"
    assert set(statuses) == {200}
    assert server.version()["champion"]["version"] == 2

    run = run_dag(dag)  # the same event once more
    assert states(run) == done()

    form = {"model": model_name, "to": "1", "reason": "it was wrong"}
    run = run_dag(dags["rollback"], run_conf=form)
    assert states(run) == {"roll_back": "success", "redeploy": "success"}
    assert outputs(run)["redeploy"]["previous"] == 2
    assert server.version()["champion"]["version"] == 1
