"""A proxy in front of MLflow that does to one request what networks and load balancers do."""

from __future__ import annotations

import re
import threading
import time
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

#: Ids and names in paths, which differ from run to run.
_IDS = re.compile(r"/(m-[0-9a-f]{32}|mlflow-artifacts/artifacts/.*)")


class Fault(StrEnum):
    DROP = "commit, drop the reply"
    COMMIT_503 = "commit, answer 503"
    HANG = "commit, answer after the client gave up"
    REFUSE_503 = "answer 503"
    SLOW = "answer late"
    PAGE = "answer with a page"
    DENY = "answer 401"


COMMITTED = {Fault.DROP, Fault.COMMIT_503, Fault.HANG, Fault.SLOW}


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on; the first that ``plan`` names gets the fault instead.

    :param upstream: where the real server is
    :param patience: seconds after which the client gives up
    """

    daemon_threads = True

    def __init__(self, upstream: str, patience: float = 8.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.patience = patience
        self.planned: tuple[str, Fault] | None = None
        self.writes: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def plan(self, request: str, fault: Fault) -> None:
        self.planned = request, fault

    def take(self, request: str) -> Fault | None:
        """The fault of this request, once."""
        if not request.startswith("GET "):
            self.writes.append(request)
        if self.planned is None or self.planned[0] != request:
            return None
        (_, fault), self.planned = self.planned, None
        return fault

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultProxy

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.take(name_of(self.command, self.path))
        if fault is None or fault in COMMITTED:
            answer = self.forward(body)
        match fault:
            case None:
                self.reply(*answer)
            case Fault.SLOW:
                time.sleep(self.server.patience / 3)
                self.reply(*answer)
            case Fault.DROP:
                self.close_connection = True
            case Fault.HANG:
                time.sleep(self.server.patience * 1.2)
                self.close_connection = True
            case Fault.COMMIT_503 | Fault.REFUSE_503:
                self.reply(503, "text/plain", b"upstream connect error")
            case Fault.PAGE:
                self.reply(200, "text/html", b"<!doctype html><title>Log in</title>")
            case Fault.DENY:
                self.reply(401, "text/plain", b"You are not authenticated.")

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request  # noqa: N815

    def forward(self, body: bytes) -> tuple[int, str, bytes]:
        upstream = HTTPConnection(self.server.upstream, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        finally:
            upstream.close()

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def name_of(method: str, path: str) -> str:
    """Which call a request is: the method and the path, without the ids in it.

    >>> name_of("POST", "/api/2.0/mlflow/runs/create?x=1")
    'POST /runs/create'
    """
    path = urlsplit(path).path.removeprefix("/api/2.0").removeprefix("/mlflow/")
    path = "/" + path.lstrip("/")
    return f"{method} {_IDS.sub(lambda found: '/artifacts' if 'artifacts' in found[0] else '/ID', path)}"
