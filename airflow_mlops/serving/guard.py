"""uvicorn's HTTP protocol with what it lacks: an end to heads that are sent slowly or never end, and to connections."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airflow_mlops.serving.settings import Limits

#: Bytes that a request's head may have.
_HEAD = 64 << 10


def guarded(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol class for these limits."""
    return type("Guarded", (_Guarded,), {"limits": limits})


class _Guarded(HttpToolsProtocol):
    """A connection waits for a whole head no longer than ``header_seconds``, from its opening or the first byte."""

    limits: Limits
    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _within = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        if not self._within:
            self._wait()
            self._head += len(data)
            if self._head > _HEAD + self.limits.body:
                self.transport.abort()
                return
        super().data_received(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if sum(len(key) + len(its) for key, its in self.headers[-1:]) > _HEAD or len(self.headers) > 200:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._stop()
        self._within, self._head = True, 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._within = False
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.header_seconds, self._close)

    def _close(self) -> None:
        self._timer = None
        if not self._within and self.transport is not None:
            self.transport.abort()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
