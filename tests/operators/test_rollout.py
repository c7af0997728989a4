"""Analysis of a canary as a task: against a server over HTTP, to a verdict in XCom and on the version."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.operators.rollout import CanaryAnalysisOperator


class Answers(BaseHTTPRequestHandler):
    """Tries version 1 of a model; every look finds ten more of its requests, of which four fail."""

    name, asked = "", list[tuple[str, str]]()

    def do_GET(self) -> None:
        looks = sum(path == "/rollout" for _, path in self._note())
        trial = {"mode": "canary", "share": 0.1, "package": {"name": self.name, "version": 1}}
        version = {"champion": None, "candidate": trial, "last_error": None}
        counts = {"champion": {"requests": 90 * looks}, "candidate": {"requests": 10 * looks, "errors": 4 * looks}}
        self._tell(counts if self.path == "/rollout" else version)

    def do_DELETE(self) -> None:
        self._note()
        self._tell({"candidate": None})

    def log_message(self, *_: Any) -> None:
        pass

    def _note(self) -> list[tuple[str, str]]:
        self.asked.append((self.command, self.path))
        return self.asked

    def _tell(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(model_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    asked: list[tuple[str, str]] = []
    handler = type("Handler", (Answers,), {"name": model_name, "asked": asked})
    found = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{found.server_port}"
    connection = {"conn_type": "mlops_serving", "host": address, "password": "token"}
    monkeypatch.setenv("AIRFLOW_CONN_SERVING_DEFAULT", json.dumps(connection))
    yield asked
    found.shutdown()
    found.server_close()


def test_a_canary_that_fails_is_taken_back_in_a_green_task(
    server: list[tuple[str, str]], execute: Callable[..., Any], client: MlflowClient, model_name: str
) -> None:
    client.registry.ensure_model(model_name)
    client.registry.create_version(model_name, "s3://bucket/model", None, {})
    found = execute(CanaryAnalysisOperator(task_id="watch", model=model_name, version="1", poll_interval="0.01"))
    assert (found["decision"], found["version"], found["deployed"]) == ("take_back", 1, False)
    assert server[-1] == ("DELETE", "/candidate")
    assert client.registry.version(model_name, 1).tags[tags.ROLLOUT] == found["reason"]
    assert found["reason"].startswith("Taken back: it failed 4 of 10 requests (40 %)")


def test_a_policy_that_cannot_be_fails_before_anything_is_asked(
    server: list[tuple[str, str]], execute: Callable[..., Any], model_name: str
) -> None:
    with pytest.raises(AirflowFailException, match="the policy has no request"):
        execute(CanaryAnalysisOperator(task_id="watch", model=model_name, policy={"request": 3}))
    assert server == []
