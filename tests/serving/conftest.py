"""A real server on a loopback port, in a thread of the test's own process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_mlops.core.packages import ModelRef
from airflow_mlops.serving.server import port_of, server_of
from airflow_mlops.serving.settings import Limits, Settings
from tests.serving.models import Shelf

TOKEN = "let-me-in"


@dataclass
class Running:
    """A server that serves, and a client for it."""

    url: str
    app: Any
    http: httpx.Client

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ask(self, rows: Any, **headers: str) -> httpx.Response:
        """Send rows as records."""
        return self.http.post("/invocations", json={"dataframe_records": rows}, headers=headers)

    def deploy(self, version: int, **more: Any) -> httpx.Response:
        return self.http.post("/deploy", json={"version": version, **more}, headers=self.token, timeout=120)

    @property
    def token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}

    def ready(self, seconds: float = 180) -> bool:
        return eventually(lambda: self.http.get("/ready").status_code == 200, seconds)

    def version(self) -> int | None:
        champion = self.http.get("/version").json()["champion"]
        return champion and champion["version"]


def eventually(happens: Callable[[], Any], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.02)
    return False


@contextmanager
def running(shelf: Shelf, keep: Path, model: str = "models:/m@champion", **changes: Any) -> Iterator[Running]:
    """A server of a model of the shelf, from its start to its end."""
    changes = {"connect": shelf, "keep": keep, "token": TOKEN, **changes}
    changes.setdefault("trusted", ("tests.serving.models.Odd",))
    limits = Limits(**changes.pop("limits", {}))
    server = server_of(Settings(ModelRef.parse(model), limits=limits, **changes))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    url = f"http://127.0.0.1:{port_of(server)}"
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield Running(url, server.config.loaded_app, client)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def serve(shelf: Shelf, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a server of a model of the shelf; ``wait=False`` where nothing will serve."""
    with ExitStack() as stack:

        def start(*, wait: bool = True, **changes: Any) -> Running:
            found = stack.enter_context(running(shelf, tmp_path / "keep", **changes))
            assert not wait or found.ready(), found.http.get("/version").json()
            return found

        yield start
