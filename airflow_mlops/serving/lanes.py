"""The server's end of a model's process: requests wait in a line, and all that wait go as one batch."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_mlops.exceptions import DeploymentError, MlopsError
from airflow_mlops.serving import process
from airflow_mlops.serving.bodies import Rows
from airflow_mlops.serving.frames import Messages
from airflow_mlops.serving.loading import Order
from airflow_mlops.serving.values import joined

_START: Final = "spawn" if sys.platform == "win32" else "forkserver"


class Gone(Exception):
    """The model's process ended before it answered."""


@dataclass(frozen=True)
class Part:
    """The answer to one request of a batch.

    :param body: the inside of a JSON object, empty after a fault
    :param fault: ``rows`` or ``model``, whichever is to blame
    """

    body: bytes
    fault: str | None = None


@dataclass
class _Waiting:
    rows: Rows
    answer: asyncio.Future[Part]
    task: str = "predict"


@dataclass
class Lane(Messages):
    """One process of one model, and the requests that wait for it.

    :param batch: rows that it is given at once
    :param sent: is told the rows of each batch
    """

    batch: int
    sent: Callable[[int], None] = lambda rows: None
    waiting: deque[_Waiting] = field(default_factory=deque)

    def __post_init__(self) -> None:
        super().__init__()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked: list[_Waiting] = []
        self._first: asyncio.Future[dict[str, Any]] | None = asyncio.get_running_loop().create_future()
        self._since = 0.0
        self._retired = self._closed = False
        self._process: Any = None

    async def start(self, order: Order, seconds: float) -> dict[str, Any]:
        """Bring a version up in a process of its own; what it says of itself.

        :raises MlopsError: it refused, died, or took longer
        """

        ours, theirs = socket.socketpair()
        loop, first = asyncio.get_running_loop(), self._first
        assert first is not None  # noqa: S101
        try:
            async with asyncio.timeout(seconds):
                await loop.create_unix_connection(lambda: self, sock=ours)
                self._process = await asyncio.to_thread(_started, theirs, order)
                told: dict[str, Any] = await first  # which a quick model has answered by now
        except TimeoutError:
            self.close()
            raise DeploymentError(f"Not ready after {seconds:.0f} s.") from None
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()
        if "ready" in told:
            return dict(told["ready"])
        self.close()
        raise refusal(told)

    def ask(self, rows: Rows, task: str = "predict") -> asyncio.Future[Part]:
        """The answer to rows, in turn."""
        one = _Waiting(rows, asyncio.get_running_loop().create_future(), task)
        if self._closed and self._retired:
            one.answer.set_exception(Gone())
            return one.answer
        self.waiting.append(one)
        if not self._asked:
            self._next()
        return one.answer

    def adopt(self, others: Iterable[_Waiting]) -> None:
        """Answer what waits for a process that is gone."""
        self.waiting.extend(others)
        if not self._asked:
            self._next()

    @property
    def depth(self) -> int:
        """How many requests it has not answered."""
        return len(self.waiting) + len(self._asked)

    def retire(self) -> None:
        """Answer what waits, then let the process go."""
        self._retired = True
        if not self.depth:
            self.close()

    def release(self) -> deque[_Waiting]:
        """What waits for a process that is gone, for another one to adopt."""
        waiting, self.waiting = self.waiting, deque()
        self.retire()
        return waiting

    def abandon(self) -> None:
        """Tell those who wait for a process that is gone that nobody takes its place."""
        for one in self.release():
            if not one.answer.done():
                one.answer.set_exception(Gone())

    def close(self) -> None:
        """End the process now."""
        self._closed = True
        if self._first is not None:
            self._first.cancel()
        with suppress(AttributeError):
            self.transport.abort()
        if self._process is not None and self._process.is_alive():
            self._process.kill()

    def give_up(self, seconds: float) -> None:
        """End a process that has been at one batch for so long: what waits behind it would wait for ever."""
        if self._asked and time.monotonic() - self._since >= seconds:
            self.close()

    def message(self, message: bytes) -> None:
        import orjson

        if self._first is not None:
            if not self._first.done():
                self._first.set_result(orjson.loads(message))
            self._first = None
            return
        head, _, bodies = message.partition(b"\n")
        told = orjson.loads(head)
        asked, self._asked, at = self._asked, [], 0
        for one, length, fault in zip(asked, told["lengths"], told["faults"], strict=True):
            if not one.answer.done():
                one.answer.set_result(Part(bodies[at : at + length], fault))
            at += length
        self._next()

    def lost(self) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_exception(DeploymentError("Its process died while it was loaded: is there enough memory?"))
        for one in self._asked:
            if not one.answer.done():
                one.answer.set_exception(Gone())
        self._asked = []
        if not self.ended.done():
            self.ended.set_result(None)

    def _next(self) -> None:
        """Send the next batch: one explanation, or as many requests as wait and fit."""
        if self._first is not None or self.ended.done():
            return
        while self.waiting and self.waiting[0].answer.done():  # the client has gone
            self.waiting.popleft()
        if not self.waiting:
            if self._retired:
                self.close()
            return
        batch = [self.waiting.popleft()]
        task, count = batch[0].task, batch[0].rows.count
        while task == "predict" and self.waiting and self.waiting[0].task == task:
            count += self.waiting[0].rows.count
            if count > self.batch:
                break
            batch.append(self.waiting.popleft())
        self._asked, self._since = batch, time.monotonic()
        counts = [one.rows.count for one in batch]
        self.sent(sum(counts))
        self.send(pickle.dumps((task, counts, joined([one.rows.columns for one in batch])), protocol=5))


def refusal(told: dict[str, Any]) -> MlopsError:
    """The error that a process told, of its own kind."""
    from airflow_mlops import exceptions

    kind = getattr(exceptions, str(told.get("refused")), DeploymentError)
    return kind(str(told.get("reason"))) if issubclass(kind, MlopsError) else DeploymentError(str(told))


def prepare() -> None:
    """Import what every model needs, once, in the process that those of the models are forked from."""
    if _START == "forkserver":
        one = _context().Process(target=os.getpid, daemon=True)
        one.start()
        one.join()


def _context() -> Any:
    context = multiprocessing.get_context(_START)
    if _START == "forkserver":
        context.set_forkserver_preload(list(process.PRELOADED))
    return context


def _started(connection: socket.socket, order: Order) -> Any:
    one = _context().Process(target=process.main, args=(connection, order), daemon=True, name=f"model {order.model}")
    one.start()
    return one
