"""The way of one request: read, sent to the model that it belongs to, answered, counted and logged."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Final

from airflow_mlops.core.predictions import Mode
from airflow_mlops.serving.bodies import Refused, Rows
from airflow_mlops.serving.counts import Rollout
from airflow_mlops.serving.director import Director, Now, Side
from airflow_mlops.serving.lanes import Gone, Part
from airflow_mlops.serving.log import Entry, PredictionLog
from airflow_mlops.serving.metrics import Metrics
from airflow_mlops.serving.settings import Limits

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
#: How many versions one request may see off.
_TRIES: Final = 3
_LATER: Final = {"Retry_After": "1"}


@dataclass(frozen=True)
class Reply:
    """What a client gets."""

    body: bytes
    version: int
    id: str


@dataclass
class Scorer:
    """Answers requests by whoever serves now.

    :param log: where answers are noted, if anywhere
    """

    director: Director
    metrics: Metrics
    log: PredictionLog | None
    limits: Limits
    waiting: int = 0
    _copies: int = 0
    _explaining: bool = False
    _tasks: set[asyncio.Future[None]] = field(default_factory=set)

    async def answer(self, body: bytes, headers: Mapping[str, str], explained: bool = False) -> Reply:
        """The reply to a body.

        :raises Refused: with the status and the reason
        """
        id_ = headers.get("x-request-id", "")
        id_ = id_ if _ID.fullmatch(id_) else os.urandom(12).hex()
        kind = headers.get("content-type", "application/json")
        key = headers.get("x-request-key") or id_
        for _ in range(_TRIES):
            now = self.director.now
            try:
                return await self._answered(now, body, kind, id_, key, explained)
            except Refused as error:
                # Another version took its place while this one was about to be asked.
                if error.code != "model_gone" or now is self.director.now:
                    raise
        raise Refused(503, "model_gone", "Versions change too fast: send it again.", **_LATER)

    async def _answered(self, now: Now, body: bytes, kind: str, id_: str, key: str, explained: bool) -> Reply:
        if now.champion is None:
            raise Refused(503, "no_model", "No model serves yet.", **_LATER)
        if now.candidate and now.mode == "canary" and drawn(key, now.share):
            reply = await self._by_candidate(now, now.candidate, body, kind, id_, explained)
            if reply:
                return reply
        champion = now.champion
        rows = champion.reader.read(body, kind)
        asked: Awaitable[Part] = self._by(champion, rows, id_, "online", now.rollout, candidate=False)
        if now.candidate and now.mode == "shadow":
            asked = answer = asyncio.ensure_future(asked)
            self._copy(now, body, kind, id_, answer)
        part = await asked
        return await self._reply(champion, rows, part, id_, explained)

    async def _by_candidate(
        self, now: Now, candidate: Side, body: bytes, kind: str, id_: str, explained: bool
    ) -> Reply | None:
        """The candidate's answer; None if it owes one, and the champion is asked instead."""
        begin = time.perf_counter()
        try:
            rows = candidate.reader.read(body, kind)
            part = await self._by(candidate, rows, id_, "online", now.rollout, candidate=True)
        except Refused as error:
            if error.status < 500 and now.champion and candidate.package.columns == now.champion.package.columns:
                if error.code != "prediction":
                    raise
            elif error.status < 500 and error.code != "prediction":
                now.rollout.add(candidate=True, milliseconds=(time.perf_counter() - begin) * 1000, error=True)
            return None
        return await self._reply(candidate, rows, part, id_, explained)

    async def _by(self, side: Side, rows: Rows, id_: str, mode: Mode, rollout: Rollout, *, candidate: bool) -> Part:
        """One model's answer, counted and logged.

        :raises Refused: it has none
        """
        begin, moment = time.perf_counter(), time.time()
        version, role = str(side.version), mode if not candidate or mode == "shadow" else "canary"
        part, refused = None, None
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                part = await side.lane.ask(rows)
        except TimeoutError:
            side.lane.give_up(self.limits.answer_seconds / 2)
            refused = Refused(503, "timeout", "The model did not answer in time.", **_LATER)
        except Gone:
            refused = Refused(503, "model_gone", "The model's process ended: send it again.", **_LATER)
        milliseconds = (time.perf_counter() - begin) * 1000
        if part is not None and part.fault:
            refused = Refused(422, "prediction", "The model refused these rows, or has no finite answer for them.")
            if part.fault == "model":
                refused = Refused(500, "model", "The model cannot answer.")
        rollout.add(candidate=candidate, milliseconds=milliseconds, error=refused is not None)
        if refused is not None or part is None:
            self.metrics.errors.labels(version, role).inc()
            raise refused or AssertionError
        self.metrics.rows.labels(version, role).inc(rows.count)
        if self.log:
            self.log.offer(Entry(id_, moment, side.package, mode, rows, part.body, milliseconds))
        return part

    def _copy(self, now: Now, body: bytes, kind: str, id_: str, answer: asyncio.Future[Part]) -> None:
        """Let the shadow answer too, unless too many copies wait; nobody waits for it."""
        if self._copies >= self.limits.copies:
            now.rollout.dropped += 1
            return
        self._copies += 1
        task = asyncio.ensure_future(self._shadow(now, body, kind, id_, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shadow(self, now: Now, body: bytes, kind: str, id_: str, answer: asyncio.Future[Part]) -> None:
        side = now.candidate
        assert side is not None  # noqa: S101
        try:
            try:
                rows = side.reader.read(body, kind)
            except Refused:  # the champion took it
                now.rollout.add(candidate=True, milliseconds=0, error=True)
                raise
            mine = await self._by(side, rows, id_, "shadow", now.rollout, candidate=True)
            now.rollout.copied += 1
            now.rollout.differ += (await asyncio.shield(answer)).body != mine.body
        except Refused:
            pass
        finally:
            self._copies -= 1

    async def _reply(self, side: Side, rows: Rows, part: Part, id_: str, explained: bool) -> Reply:
        more = b""
        if explained:
            more = b',"explanations":' + await self._explained(side, rows)
        tail = f',"model":"{side.package.name}","version":"{side.version}","id":"{id_}"}}'
        return Reply(b"{" + part.body + more + tail.encode(), side.version, id_)

    async def _explained(self, side: Side, rows: Rows) -> bytes:
        """One at a time, and few rows: others wait for one batch more at the most."""
        if rows.count > self.limits.explained:
            raise Refused(422, "explain", f"At most {self.limits.explained} rows of a request are explained.")
        if not side.typical:
            raise Refused(422, "explain", "This version has no baseline to explain by.")
        if self._explaining:
            raise Refused(429, "explain", "Another explanation is being made.", **_LATER)
        self._explaining = True
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                part = await side.lane.ask(rows, "explain")
        except (TimeoutError, Gone):
            raise Refused(503, "explain", "There is no explanation now.", **_LATER) from None
        finally:
            self._explaining = False
        if part.fault:
            raise Refused(422, "explain", "The model gives no explanation of these rows.")
        return part.body


def drawn(key: str, share: float) -> bool:
    """Whether a key is among a share of all; the same key always is, or never, and stays when the share grows.

    >>> sum(drawn(str(key), 0.1) for key in range(10_000))
    1020
    """
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return place < share * 2**64
