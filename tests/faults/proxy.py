"""A proxy in front of a server that does to requests what networks and load balancers do."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

#: Ids and names in paths, which differ from run to run.
_IDS = re.compile(r"/(m-[0-9a-f]{32}|mlflow-artifacts/artifacts/.*)")
#: What a proxy says itself.
_OWN = {"connection", "date", "server", "transfer-encoding", "content-length"}


class Fault(StrEnum):
    DROP = "commit, drop the reply"
    COMMIT_503 = "commit, answer 503"
    HANG = "commit, answer after the client gave up"
    REFUSE_503 = "answer 503"
    SLOW = "answer late"
    PAGE = "answer with a page"
    DENY = "answer 401"
    GO_AWAY = "answer no request from here on"


class Outage(StrEnum):
    DOWN = "nobody listens"
    HUNG = "nobody answers"


COMMITTED = {Fault.DROP, Fault.COMMIT_503, Fault.HANG, Fault.SLOW}


def name_of(method: str, path: str) -> str:
    """Which call a request to MLflow is: the method and the path, without the ids in it.

    >>> name_of("POST", "/api/2.0/mlflow/runs/create?x=1")
    'POST /runs/create'
    """
    path = urlsplit(path).path.removeprefix("/api/2.0").removeprefix("/mlflow/")
    path = "/" + path.lstrip("/")
    return f"{method} {_IDS.sub(lambda found: '/artifacts' if 'artifacts' in found[0] else '/ID', path)}"


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on; the one that ``plan`` names gets the fault instead.

    :param upstream: where the real server is
    :param patience: seconds after which the client gives up
    :param name: which call a request is, by method and path
    """

    daemon_threads = True

    def __init__(self, upstream: str, patience: float = 8.0, name: Callable[[str, str], str] = name_of) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.patience = patience
        self.name = name
        self.planned: tuple[str, Fault] | None = None
        self.writes: list[str] = []
        self._passed = 0
        self._up = threading.Event()
        self._up.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def plan(self, request: str, fault: Fault, nth: int = 1) -> None:
        self.planned = request, fault
        self._passed = 1 - nth

    def take(self, request: str) -> Fault | None:
        """The fault of this request, once."""
        if not request.startswith(("GET ", "HEAD ")):
            self.writes.append(request)
        if self.planned is None or self.planned[0] != request:
            return None
        self._passed += 1
        if self._passed < 1:
            return None
        (_, fault), self.planned = self.planned, None
        if fault is Fault.GO_AWAY:
            self._up.clear()
        return fault

    @contextmanager
    def away(self, outage: Outage) -> Iterator[None]:
        """No request is answered within the block."""
        self._up.clear()
        if outage is Outage.DOWN:
            self.shutdown()
            self.socket.close()
        try:
            yield
        finally:
            if outage is Outage.DOWN:
                self.socket = socket.socket(self.address_family, self.socket_type)
                self.server_bind()
                self.server_activate()
                self.serve()
            self.come_back()

    def come_back(self) -> None:
        self._up.set()

    def turned_away(self) -> bool:
        """Whether a request falls into an outage, told when that is over."""
        if self._up.is_set():
            return False
        self._up.wait()
        return True

    def serve(self) -> None:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        self.serve()
        return self

    def __exit__(self, *_: object) -> None:
        self.come_back()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultProxy

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.take(self.server.name(self.command, self.path))
        if self.server.turned_away():
            self.close_connection = True
            return
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
                self.reply(503, {"Content-Type": "text/plain"}, b"upstream connect error")
            case Fault.PAGE:
                self.reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Log in</title>")
            case Fault.DENY:
                self.reply(401, {"Content-Type": "text/plain"}, b"You are not authenticated.")

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request  # noqa: N815

    def forward(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        upstream = HTTPConnection(self.server.upstream, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "expect")}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            upstream.close()

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        of_head = {key.lower(): value for key, value in headers.items()}.get("content-length", "0")
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in _OWN:
                self.send_header(key, value)
        self.send_header("Content-Length", of_head if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
