"""Runs the application: uvicorn with our limits, one process for the connections."""

from __future__ import annotations

import gc
import socket
from typing import Final

import uvicorn

from airflow_mlops.serving.app import build
from airflow_mlops.serving.guard import guarded
from airflow_mlops.serving.settings import Settings

#: Seconds that requests have to end when the server is told to.
_GRACE: Final = 20


def run(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until a signal, in a process that does nothing else."""
    server = server_of(settings, host, port)
    gc.collect()
    gc.freeze()  # a walk over all that was imported would hold up each request that is there
    server.run()


def server_of(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server that was not started."""
    config = uvicorn.Config(
        build(settings),
        host=host,
        port=port,
        http=guarded(settings.limits),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.limits.idle_seconds),
        timeout_graceful_shutdown=_GRACE,
        backlog=2048,
    )
    return uvicorn.Server(config)


def port_of(server: uvicorn.Server) -> int:
    """The port that a started server listens on."""
    found: socket.socket = server.servers[0].sockets[0]
    return int(found.getsockname()[1])
