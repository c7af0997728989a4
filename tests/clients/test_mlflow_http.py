"""What the client makes of a server that is away, slow, wrong, or no MLflow at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.exceptions import (
    AccessDenied,
    ConfigurationError,
    MlopsError,
    NotFound,
    RegistryError,
    ServiceUnavailable,
)

Answer = tuple[int, str, bytes]


class Scripted(ThreadingHTTPServer):
    """Answers each request with the next line of its script, the last one for ever."""

    daemon_threads = True

    def __init__(self, script: list[Answer | float]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.seen: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def answer(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        if isinstance(line, float):
            time.sleep(line)
            self.close_connection = True
            return
        status, kind, body = line
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def start(*script: Answer | float) -> Scripted:
        server = Scripted(list(script))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ok(**body: object) -> Answer:
    return 200, "application/json", json.dumps(body).encode()


def error(status: int, code: str, message: str = "no") -> Answer:
    return status, "application/json", json.dumps({"error_code": code, "message": message}).encode()


MODEL = ok(registered_model={"tags": [{"key": "a", "value": "1"}]})
HTML: Answer = (200, "text/html", b"<html>please log in</html>")


def test_a_read_is_repeated_until_the_server_is_back(scripted: Callable[..., Scripted]) -> None:
    server = scripted(error(503, "TEMPORARILY_UNAVAILABLE"), error(500, "INTERNAL_ERROR"), MODEL)
    with MlflowClient(MlflowSettings(server.url)) as client:
        assert client.registry.model_tags("m") == {"a": "1"}
    assert len(server.seen) == 3


def test_after_a_request_that_was_given_up_the_next_one_is_tried_once(scripted: Callable[..., Scripted]) -> None:
    away = error(503, "X")
    server = scripted(away, away, away, away, MODEL, away, MODEL)
    with MlflowClient(MlflowSettings(server.url)) as client:
        for seen in (3, 4):
            with pytest.raises(ServiceUnavailable, match="A retry goes on from here"):
                client.registry.model_tags("m")
            assert len(server.seen) == seen
        client.registry.model_tags("m")  # it is back: the next fault is repeated again
        client.registry.model_tags("m")
    assert len(server.seen) == 7


def test_a_task_gives_up_within_half_a_minute() -> None:
    """All tries of a request, the pauses between them, and one more request: to close a run, or to look again."""
    settings = MlflowSettings("http://mlflow")
    pauses = sum(2.0**number / 2 for number in range(settings.retries))
    assert (settings.retries + 2) * settings.timeout + pauses <= 30


def test_a_model_whose_creation_lost_its_reply_is_looked_for(scripted: Callable[..., Scripted]) -> None:
    missing = error(404, "RESOURCE_DOES_NOT_EXIST")
    there, gone = scripted(missing, missing, 0.0, MODEL), scripted(missing, missing, 0.0, missing)
    with MlflowClient(MlflowSettings(there.url)) as client:
        client.registry.ensure_model("m")
    with MlflowClient(MlflowSettings(gone.url)) as client, pytest.raises(ServiceUnavailable):
        client.registry.ensure_model("m")
    for server in (there, gone):
        assert [method for method, *_ in server.seen] == ["GET", "GET", "POST", "GET"]


@pytest.mark.parametrize("fault", [error(503, "X"), error(429, "X"), 0.0], ids=["503", "429", "dropped"])
def test_a_create_is_sent_once_whatever_happens(scripted: Callable[..., Scripted], fault: Answer | float) -> None:
    server = scripted(fault)
    with MlflowClient(MlflowSettings(server.url)) as client, pytest.raises(ServiceUnavailable):
        client.registry.create_version("m", "s3://b/x", None, {})
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, "UNAUTHENTICATED"), AccessDenied, "credentials"),
        (error(403, "PERMISSION_DENIED"), AccessDenied, "credentials"),
        (error(404, "RESOURCE_DOES_NOT_EXIST"), NotFound, "404"),
        (error(400, "INVALID_PARAMETER_VALUE", "bad name"), RegistryError, "bad name"),
        (error(400, "BAD_REQUEST", "QueuePool limit of size 5 overflow 10 reached"), ServiceUnavailable, "QueuePool"),
        (error(500, "INTERNAL_ERROR"), ServiceUnavailable, "500"),
        (HTML, ConfigurationError, "login page"),
        ((302, "text/html", b""), ConfigurationError, "redirect"),
        ((502, "text/html", b"<html>bad gateway</html>"), ServiceUnavailable, "502"),
        ((200, "application/json", b'{"registered'), ConfigurationError, "JSON"),
    ],
)
def test_every_answer_has_its_class_of_error(
    scripted: Callable[..., Scripted], answer: Answer, kind: type[MlopsError], words: str
) -> None:
    server = scripted(answer)
    with MlflowClient(MlflowSettings(server.url, retries=0)) as client, pytest.raises(kind, match=words) as caught:
        client.registry.version("m", 1)
    assert type(caught.value) is kind
    assert "127.0.0.1" in str(caught.value)


def test_a_server_that_hangs_is_given_up_in_time(scripted: Callable[..., Scripted]) -> None:
    server = scripted(30.0)
    begin = time.monotonic()
    with MlflowClient(MlflowSettings(server.url, timeout=0.5)) as client, pytest.raises(ServiceUnavailable):
        client.registry.model_tags("m")
    assert time.monotonic() - begin < 15  # 3 tries of half a second and their pauses, with slack


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    settings = MlflowSettings("http://127.0.0.1:9", retries=0)
    with MlflowClient(settings) as client, pytest.raises(ServiceUnavailable, match="did not answer GET"):
        client.registry.model_tags("m")


class TestCredentials:
    def test_a_password_in_the_uri_is_used_and_never_shown(self, scripted: Callable[..., Scripted]) -> None:
        server = scripted(error(401, "UNAUTHENTICATED"))
        settings = MlflowSettings(server.url.replace("://", "://user:s3cret-word@"))
        assert "s3cret-word" not in repr(settings)
        with MlflowClient(settings) as client, pytest.raises(AccessDenied) as caught:
            client.registry.model_tags("m")
        assert "s3cret-word" not in str(caught.value)
        assert server.seen[0][2] == "Basic dXNlcjpzM2NyZXQtd29yZA=="

    def test_two_connections_do_not_mix(self, scripted: Callable[..., Scripted]) -> None:
        server = scripted(MODEL)
        one, two = (MlflowClient(MlflowSettings(server.url, token=token)) for token in ("one", "two"))
        for client in (one, two, one):
            client.registry.model_tags("m")
        assert [seen[2] for seen in server.seen] == ["Bearer one", "Bearer two", "Bearer one"]

    @pytest.mark.parametrize("uri", ["", "mlflow:5000", "ftp://x", "http://", "databricks", "file:///mlruns"])
    def test_what_is_no_server_is_refused_before_any_request(self, uri: str) -> None:
        with pytest.raises(ConfigurationError, match="http://host:5000"):
            MlflowSettings(uri)
