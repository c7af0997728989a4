"""A connection as people fill it in becomes a client, and its secrets go nowhere else."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import certifi
import pytest

from airflow_mlops.exceptions import AccessDenied, ConfigurationError, ServiceUnavailable
from airflow_mlops.hooks.mlflow import MlflowHook

SECRET = "p4ss w:ord/@é"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MlflowHook]:
    def make(**fields: Any) -> MlflowHook:
        monkeypatch.setenv("AIRFLOW_CONN_SOME_MLFLOW", json.dumps({"conn_type": "mlflow", **fields}))
        return MlflowHook("some_mlflow")

    return make


class Server(BaseHTTPRequestHandler):
    """Answers as MLflow does, to those who know the secret."""

    asked: list[str | None]
    accepted: str

    def do_GET(self) -> None:
        sent = self.headers["Authorization"]
        self.asked.append(sent)
        self.send_response(200 if sent == self.accepted else 401)
        body = b'{"registered_model": {}}' if self.path.startswith("/api") else b"3.17.0"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Callable[[str], tuple[int, list[str | None]]]]:
    """A server that accepts one Authorization header: its port, and the headers that it was sent."""
    started = []

    def start(accepted: str) -> tuple[int, list[str | None]]:
        handler = type("Handler", (Server,), {"asked": [], "accepted": accepted})
        http = HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        started.append((http, thread))
        return http.server_port, handler.asked

    yield start
    for http, thread in started:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"host": "http://mlflow:5000"}, "http://mlflow:5000"),
        ({"host": "https://mlflow.example.org"}, "https://mlflow.example.org"),
        ({"host": "mlflow"}, "http://mlflow"),
        ({"host": "mlflow:5000"}, "http://mlflow:5000"),
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "mlflow", "port": 443, "schema": "https"}, "https://mlflow"),
        ({"host": "http://mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "http://mlflow:5001", "port": 5000}, "http://mlflow:5001"),
        ({"host": "http://tp", "port": 5000}, "http://tp:5000"),
        ({"host": "http://tp:tp@tp/tp", "port": 5000}, "http://tp:5000/tp"),
        ({"host": "http://[::1]", "port": 5000}, "http://[::1]:5000"),
        ({"host": " https://example.org/ml/flow/ "}, "https://example.org/ml/flow"),
        ({"host": "https://example.org/ml/flow", "port": 8443}, "https://example.org:8443/ml/flow"),
    ],
)
def test_the_tracking_uri(fields: dict[str, Any], uri: str, hook: Callable[..., MlflowHook]) -> None:
    assert hook(**fields).settings().uri == uri


def test_a_connection_as_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOME_MLFLOW", "mlflow://ada:secret@mlflow:5000/https?timeout=3")
    settings = MlflowHook("some_mlflow").settings()
    assert (settings.uri, settings.auth, settings.timeout) == ("https://mlflow:5000", ("ada", "secret"), 3.0)


@pytest.mark.parametrize(
    ("fields", "token", "auth"),
    [
        ({}, None, None),
        ({"password": SECRET}, SECRET, None),
        ({"login": "ada", "password": SECRET}, None, ("ada", SECRET)),
        ({"login": "ada"}, None, ("ada", "")),
        ({"host": "http://ada:secret@mlflow"}, None, ("ada", "secret")),
        ({"host": "http://ada:secret@mlflow", "password": SECRET}, SECRET, None),
    ],
)
def test_the_credentials(fields: dict[str, Any], token: Any, auth: Any, hook: Callable[..., MlflowHook]) -> None:
    settings = hook(**{"host": "mlflow", **fields}).settings()
    assert (settings.token, settings.auth) == (token, auth)


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"password": "t0ken"}, "Bearer t0ken"),
        ({"login": "ada", "password": SECRET}, "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode()),
    ],
)
def test_the_credentials_are_sent_and_two_connections_never_mix(
    fields: dict[str, Any], header: str,
    hook: Callable[..., MlflowHook], server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    port, asked = server(header)
    good, bare = hook(host=f"http://127.0.0.1:{port}", **fields), MlflowHook("bare_mlflow")
    monkeypatch.setenv("AIRFLOW_CONN_BARE_MLFLOW", f"mlflow://127.0.0.1:{port}")
    before = dict(os.environ)
    assert good.test_connection() == (True, "MLflow 3.17.0 answers and accepts the credentials.")
    with pytest.raises(AccessDenied, match="Check the credentials of the connection"):
        bare.client.registry.model_tags("m")
    assert asked == [header, header, None]
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("extra", "verify", "timeout", "retries"),
    [
        ({}, True, 7.0, 2),
        ({"verify_tls": False}, False, 7.0, 2),
        ({"verify_tls": "false"}, False, 7.0, 2),
        ({"verify_tls": "No"}, False, 7.0, 2),
        ({"verify_tls": "true"}, True, 7.0, 2),
        ({"verify_tls": True, "ca_bundle": certifi.where()}, certifi.where(), 7.0, 2),
        ({"ca_bundle": "", "timeout": None, "retries": None}, True, 7.0, 2),
        ({"timeout": "2.5", "retries": "5"}, True, 2.5, 5),
        ({"timeout": 30, "retries": 0}, True, 30.0, 0),
    ],
)
def test_the_extra_fields(
    extra: Any, verify: Any, timeout: float, retries: int, hook: Callable[..., MlflowHook]
) -> None:
    settings = hook(host="https://mlflow", extra=extra).settings()
    assert (settings.verify, settings.timeout, settings.retries) == (verify, timeout, retries)


def test_where_people_open_mlflow(hook: Callable[..., MlflowHook]) -> None:
    client = hook(host="http://mlflow:5000", extra={"ui_url": "https://example.org/mlflow/"}).client
    assert client.run_url("1", "r") == "https://example.org/mlflow/#/experiments/1/runs/r"
    assert hook(host="http://mlflow:5000").client.version_url("m", 3) == "http://mlflow:5000/#/models/m/versions/3"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"host": ""}, "Host is empty: write the tracking URI"),
        ({"host": "ftp://mlflow"}, "scheme 'ftp'"),
        ({"host": f"http://ada:{SECRET}@mlflow:port"}, "Host is not a URL"),
        ({"host": "http://mlflow:notaport"}, "Host is not a URL"),
        ({"host": "mlflow", "extra": {"timeout": "soon"}}, "soon"),
        ({"host": "mlflow", "extra": {"retries": "often"}}, "often"),
        ({"host": "mlflow", "extra": {"ca_bundle": "/nowhere.pem"}}, "CA bundle /nowhere.pem is not a file"),
    ],
)
def test_a_connection_that_cannot_work_is_named_without_its_secrets(
    fields: dict[str, Any], complaint: str, hook: Callable[..., MlflowHook]
) -> None:
    bad = hook(**{"login": "ada", "password": SECRET, **fields})
    with pytest.raises(ConfigurationError, match=f"Connection some_mlflow: .*{complaint}") as caught:
        bad.settings()
    assert SECRET not in str(caught.value)
    worked, message = bad.test_connection()
    assert not worked
    assert complaint.split(":")[0] in message


def test_a_missing_connection_says_what_to_create() -> None:
    with pytest.raises(
        ConfigurationError, match="no Airflow connection not_there: create one of type mlflow"
    ) as caught:
        MlflowHook("not_there").settings()
    assert "AIRFLOW_CONN_NOT_THERE" in str(caught.value)
    assert MlflowHook("not_there").test_connection()[0] is False


def test_the_test_button_on_a_real_server(hook: Callable[..., MlflowHook], mlflow_uri: str) -> None:
    worked, message = hook(host=mlflow_uri).test_connection()
    assert worked, message
    assert message.startswith("MLflow 3.")


def test_the_test_button_on_a_dead_port(hook: Callable[..., MlflowHook]) -> None:
    worked, message = hook(host="http://127.0.0.1:9", extra={"retries": 0}).test_connection()
    assert not worked
    assert "http://127.0.0.1:9 did not answer" in message


def test_no_secret_is_told_by_an_error_or_a_repr(hook: Callable[..., MlflowHook], server: Callable[..., Any]) -> None:
    port, _ = server("Bearer something else")
    for fields in ({"password": "t0p5ecret"}, {"login": "ada", "password": "t0p5ecret"}):
        refused = hook(host=f"http://127.0.0.1:{port}", **fields)
        with pytest.raises(AccessDenied) as caught:
            refused.client.registry.model_tags("m")
        away = hook(host="http://127.0.0.1:9", extra={"retries": 0}, **fields)
        with pytest.raises(ServiceUnavailable) as gone:
            away.client.server_version()
        shown = [repr(refused.settings()), repr(refused), repr(refused.client), *refused.test_connection()[1:]]
        shown += ["".join(traceback.format_exception(error.value)) for error in (caught, gone)]
        assert "t0p5ecret" not in "".join(shown)
        assert base64.b64encode(b"ada:t0p5ecret").decode() not in "".join(shown)


def test_a_triggers_client_is_made_beside_its_event_loop(
    hook: Callable[..., MlflowHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads certificates, and Databricks' imports MLflow: every other trigger would wait for that."""
    made: list[int] = []
    real = MlflowHook._client_of

    def noting(self: MlflowHook, connection: Any) -> Any:
        made.append(threading.get_ident())
        return real(self, connection)

    monkeypatch.setattr(MlflowHook, "_client_of", noting)
    client = asyncio.run(hook(host="http://mlflow:5000").aclient())
    client.close()
    assert made
    assert made != [threading.get_ident()]
