"""The client for Databricks, on an open-source server: the same lifecycle, errors by their meaning, nothing global."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer
from upath import UPath

from airflow_mlops.clients.databricks import DatabricksClient, DatabricksSettings
from airflow_mlops.clients.databricks.calls import MlflowCalls
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.registry import register_once
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import (
    AccessDenied,
    ConfigurationError,
    MlopsError,
    NotFound,
    RegistryError,
    ServiceUnavailable,
)
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.promotion import promote
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from airflow_mlops.testing.invariants import check_invariants


@pytest.fixture
def databricks(mlflow_uri: str) -> Iterator[DatabricksClient]:
    with DatabricksClient(DatabricksSettings(mlflow_uri)) as client:
        yield client


@pytest.fixture
def name() -> str:
    """As Unity Catalog names models."""
    return f"main.ml.m_{uuid.uuid4().hex[:12]}"


def cancer(**_: Any) -> pa.Table:
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [column.replace(" ", "_") for column in frame.columns]
    frame["id"] = range(len(frame))
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.fixture
def snapshot(store: UPath) -> Snapshot:
    return ingest(store, name="cancer", source=CallableSource(cancer, ["id"], {}), as_of=instant("2026-10-01"))


def spec_of(name: str) -> TrainingSpec:
    estimator = "sklearn.ensemble.HistGradientBoostingClassifier"
    return TrainingSpec(model=name, estimator=estimator, params={"max_iter": 30}, target="target", exclude=["id"])


def test_a_model_is_trained_judged_registered_and_promoted(
    databricks: DatabricksClient, client: MlflowClient, snapshot: Snapshot, name: str
) -> None:
    model = train(databricks, snapshot=snapshot, spec=spec_of(name))
    found = evaluate_model(databricks, model=model, snapshot=snapshot, spec=EvaluationSpec("roc_auc"))
    policy = GatePolicy("roc_auc", min_rows=50, min_positives=30)
    verdict = judge_model(databricks, model=model, evaluation=found, policy=policy)
    version, created = register(databricks, model, run_url="http://airflow/run")
    promotion = promote(databricks.registry, name=name, version=version.version, reason=verdict.summary, actor="test")

    assert (verdict.promote, created, promotion.promoted) == (True, True, True)
    assert databricks.registry.alias(name, "champion") == 1
    assert databricks.registry.version(name, 1).model_id == model.model_id
    assert [entry.champion for entry in ledger.history(databricks.registry.model_tags(name))] == [1]
    check_invariants(databricks, name)

    again = train(databricks, snapshot=snapshot, spec=spec_of(name))
    assert (again.model_id, again.created) == (model.model_id, False)
    assert register(databricks, again)[1] is False
    # What Unity Catalog would refuse: some characters of a tag's name, long values, many tags.
    written = client.registry.version(name, 1).tags
    assert not [key for key in (*written, *client.registry.model_tags(name)) if set(key) & set(".,-=/:")]
    assert len(written) <= 50
    assert max(len(value) for value in written.values()) <= 1000


def test_neither_the_environment_nor_a_global_uri_is_touched(
    databricks: DatabricksClient, mlflow_uri: str, name: str
) -> None:
    import mlflow

    before = dict(os.environ)
    databricks.server_version()
    assert databricks.tracking.find_experiment(name) is None
    made = databricks.tracking.experiment_id(name)
    assert databricks.tracking.find_experiment(name) == made
    databricks.registry.ensure_model(name)
    assert dict(os.environ) == before
    assert mlflow_uri not in (mlflow.get_tracking_uri(), mlflow.get_registry_uri())


def test_files_come_back_as_they_went(databricks: DatabricksClient, tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / "below").mkdir(parents=True)
    (tmp_path / "out" / "below" / "a.txt").write_text("a")
    _, artifacts = databricks.tracking.create_run(databricks.tracking.experiment_id(name), "run", {})
    databricks.tracking.upload(artifacts, tmp_path / "out")
    (tmp_path / "in").mkdir()
    databricks.tracking.download(artifacts, tmp_path / "in")
    assert (tmp_path / "in" / "below" / "a.txt").read_text() == "a"


class LosesFirstReplies(ThreadingHTTPServer):
    """A proxy: the server does what it is asked, but the first reply to each create is a 503."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.creates: Counter[str] = Counter()
        self.uri = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: LosesFirstReplies

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
        reply = httpx.request(self.command, self.server.target + self.path, content=body, headers=kind, timeout=30)
        create = self.command == "POST" and self.path.endswith(("/create", "/logged-models"))
        if create:
            self.server.creates[self.path.split("/mlflow/")[-1]] += 1
        lost = create and self.server.creates[self.path.split("/mlflow/")[-1]] == 1
        content = b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "lost"}' if lost else reply.content
        self.send_response(503 if lost else reply.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def lossy(mlflow_uri: str) -> Iterator[LosesFirstReplies]:
    server = LosesFirstReplies(mlflow_uri)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("way", ["http", "databricks"])
def test_runs_and_models_are_created_once_whatever_happens(
    way: str, lossy: LosesFirstReplies, databricks: DatabricksClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", lossy.uri)
    monkeypatch.setenv("DATABRICKS_TOKEN", "token")
    experiment = databricks.tracking.experiment_id(name)
    run_id, _ = databricks.tracking.create_run(experiment, "run", {})
    tracking = DatabricksClient(DatabricksSettings(lossy.uri if way == "http" else "databricks")).tracking
    with pytest.raises(ServiceUnavailable, match="/runs/create"):
        tracking.create_run(experiment, "run", {})
    with pytest.raises(ServiceUnavailable, match="/logged-models"):
        tracking.create_model(experiment, name, run_id, {})
    assert lossy.creates == {"runs/create": 1, "logged-models": 1}


def test_a_version_that_mlflow_itself_creates_again_is_settled_by_its_key(
    lossy: LosesFirstReplies, client: MlflowClient, name: str
) -> None:
    registry = DatabricksClient(DatabricksSettings(lossy.uri)).registry
    client.registry.ensure_model(name)
    winner, _ = register_once(registry, name, source="s3://bucket/model", run_id=None, facts={tags.KEY: "a" * 64})
    assert lossy.creates == {"model-versions/create": 2}
    assert winner.version == 1
    assert [v.superseded for v in registry.versions(name)] == [False, True]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PERMISSION_DENIED", AccessDenied),
        ("UNAUTHENTICATED", AccessDenied),
        ("RESOURCE_DOES_NOT_EXIST", NotFound),
        ("CATALOG_DOES_NOT_EXIST", NotFound),
        ("TEMPORARILY_UNAVAILABLE", ServiceUnavailable),
        ("REQUEST_LIMIT_EXCEEDED", ServiceUnavailable),
        ("INTERNAL_ERROR", ServiceUnavailable),
        ("RESOURCE_ALREADY_EXISTS", RegistryError),
        ("INVALID_PARAMETER_VALUE", RegistryError),
        ("A_CODE_OF_TOMORROW", RegistryError),
    ],
)
def test_every_code_has_its_class_of_error(code: str, kind: type[MlopsError]) -> None:
    from mlflow.exceptions import RestException

    with pytest.raises(kind, match=f"databricks refused get_run: {code}: no") as caught:  # noqa: SIM117
        with MlflowCalls("databricks", "databricks-uc").errors("get_run"):
            raise RestException({"error_code": code, "message": "no"})
    assert type(caught.value) is kind
    assert getattr(caught.value, "code", code) == code


def test_a_server_that_is_away_is_no_error_of_the_data() -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9"):
        MlflowCalls("http://127.0.0.1:9", "http://127.0.0.1:9").post_once("/runs/create", {})


def test_a_workspace_without_credentials_is_refused_access(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [each for each in os.environ if each.startswith("DATABRICKS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    client = DatabricksClient(DatabricksSettings("databricks://nobody"))
    for ask in (client.server_version, lambda: client.registry.model_tags("main.ml.m")):
        with pytest.raises(AccessDenied, match="Check the Databricks profile"):
            ask()


class TestHook:
    def hook(self, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> MlflowHook:
        monkeypatch.setenv("AIRFLOW_CONN_BRICKS", json.dumps({"conn_type": "mlflow", **fields}))
        return MlflowHook("bricks")

    @pytest.mark.parametrize(
        ("host", "registry"), [("databricks", "databricks-uc"), ("databricks://prod", "databricks-uc://prod")]
    )
    def test_databricks_hosts_get_this_client(self, monkeypatch: pytest.MonkeyPatch, host: str, registry: str) -> None:
        client = self.hook(monkeypatch, host=host).client
        assert isinstance(client, DatabricksClient)
        assert (client.settings.uri, client.settings.registry_uri) == (host, registry)

    @pytest.mark.parametrize("host", ["http://databricks:5000", "https://databricks.example.com", "databricks.local"])
    def test_other_hosts_get_the_rest_client(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        assert isinstance(self.hook(monkeypatch, host=host).client, MlflowClient)

    @pytest.mark.parametrize(
        "host", ["file:///mlruns", "sqlite:///m.db", "postgresql://h/d", "databricks-uc://prod", "databricks://"]
    )
    def test_what_is_neither_is_refused(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        hook = self.hook(monkeypatch, host=host)
        with pytest.raises(ConfigurationError, match="write http://host:5000"):
            _ = hook.client

    def test_credentials_that_would_not_be_used_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hook = self.hook(monkeypatch, host="databricks", password="token")
        with pytest.raises(ConfigurationError, match="leave them empty"):
            _ = hook.client

    def test_pages_are_those_of_the_workspace_or_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = self.hook(monkeypatch, host="databricks", extra={"ui_url": "https://x.cloud.databricks.com/"}).client
        assert client.run_url("1", "r") == "https://x.cloud.databricks.com/ml/experiments/1/runs/r"
        assert client.version_url("a.b.c", 3) == "https://x.cloud.databricks.com/explore/data/models/a/b/c/version/3"
        unknown = self.hook(monkeypatch, host="databricks").client
        assert [unknown.run_url("1", "r"), unknown.version_url("a.b.c", 3)] == ["", ""]
