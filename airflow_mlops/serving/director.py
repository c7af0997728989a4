"""Who serves: brings versions up beside those that serve, and puts them in their place by one assignment."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.packages import Package
from airflow_mlops.exceptions import DeploymentError, MlopsError, TransientError
from airflow_mlops.serving.bodies import Reader
from airflow_mlops.serving.counts import Rollout
from airflow_mlops.serving.keeping import State, read_state, write_state
from airflow_mlops.serving.lanes import Lane, prepare
from airflow_mlops.serving.loading import Order
from airflow_mlops.serving.settings import Settings

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow

_log = logging.getLogger(__name__)
#: A model that answers within this is never too slow: below it the machine's noise decides.
_QUICK_MS: Final = 20.0
#: Between two looks at a registry that is away when nothing serves.
_AGAIN: Final = 5.0
MODES: Final = ("champion", "canary", "shadow")


@dataclass(frozen=True)
class Side:
    """A model that may answer."""

    package: Package
    folder: Path
    milliseconds: float
    typical: bool
    reader: Reader = field(repr=False)
    lane: Lane = field(repr=False, compare=False)

    @property
    def version(self) -> int:
        return self.package.version


@dataclass(frozen=True)
class Now:
    """Who answers at this moment; a request looks once, so that its reply is of one version.

    :param mode: of the candidate: ``canary`` (answers its share) or ``shadow`` (its answers are only counted)
    """

    champion: Side | None = None
    candidate: Side | None = None
    mode: str = "champion"
    share: float = 0.0
    rollout: Rollout = field(default_factory=Rollout, compare=False)


class Director:
    """The one writer of :attr:`now`.

    :param sent: is told the rows of each batch
    """

    def __init__(self, settings: Settings, sent: Callable[[int], None] = lambda rows: None) -> None:
        self.settings = settings
        self.now = Now()
        self.last_error: dict[str, Any] | None = None
        self.swaps = 0
        self._sent = sent
        self._changing = asyncio.Lock()
        self._seen: int | None = None
        self._client: Mlflow | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """What served last serves again; then the version that is asked for; then what its alias points at."""
        with suppress(OSError, EOFError):  # told to stop meanwhile; else the first load tells
            await asyncio.to_thread(prepare)
        await self._restore()
        if self.settings.deployed_only:
            return
        follow = self.settings.follow
        while True:
            done = await self._look()
            if done and not follow:
                return
            await asyncio.sleep(follow if done or self.now.champion else min(follow or _AGAIN, _AGAIN))

    async def deploy(self, version: int, mode: str = "champion", share: float = 0.0) -> None:
        """Let a version serve; what is live already stays as it is.

        :raises MlopsError: it was refused, and what served before serves on
        """
        async with self._changing:
            now = self.now
            share = share if mode == "canary" else 0.0
            if mode == "champion" and now.champion and now.champion.version == version:
                return
            same = now.candidate if now.candidate and now.candidate.version == version else None
            if same and mode == "champion":
                await self._put(Now(same), now.champion)
                return
            if mode != "champion" and now.champion is None:
                raise DeploymentError("There is no champion yet: deploy one before a candidate.")
            if mode != "champion" and now.champion and now.champion.version == version:
                raise DeploymentError(f"Version {version} is the champion: a candidate is another version.")
            if same:
                if (now.mode, now.share) != (mode, share):
                    await self._put(replace(now, mode=mode, share=share, rollout=Rollout()))
                return
            side = await self._bring(self._order(version))
            now = self.now  # a candidate may have died meanwhile
            if mode == "champion":
                await self._put(Now(side), now.champion, now.candidate)
            else:
                await self._put(Now(now.champion, side, mode, share), now.candidate)

    async def take_back(self) -> bool:
        """The candidate serves no more; whether there was one."""
        async with self._changing:
            if (gone := self.now.candidate) is None:
                return False
            await self._put(Now(self.now.champion), gone)
            return True

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for side in (self.now.champion, self.now.candidate):
            if side:
                side.lane.close()
        if self._client:
            self._client.close()

    def to_json(self) -> dict[str, Any]:
        now, candidate = self.now, None
        if now.candidate:
            candidate = {"mode": now.mode, "share": now.share, "package": now.candidate.package.to_json()}
        champion = now.champion.package.to_json() if now.champion else None
        return {"champion": champion, "candidate": candidate, "last_error": self.last_error}

    async def _restore(self) -> None:
        keep, name = self.settings.keep, self.settings.model.name
        state = await asyncio.to_thread(read_state, keep, name)
        if state is None:
            return
        async with self._changing:
            try:
                champion = await self._bring(self._order(None, keep / os.path.basename(state.champion)))
                await self._put(Now(champion))
                if state.candidate:
                    candidate = await self._bring(self._order(None, keep / os.path.basename(state.candidate)))
                    await self._put(Now(champion, candidate, state.mode or "shadow", state.share))
            except MlopsError:
                _log.warning("What served last cannot serve again: %s", self.last_error)

    async def _look(self) -> bool:
        """Whether the version that is asked for was found, and served or refused for good."""
        try:
            number = await asyncio.to_thread(self._wanted)
            if number is None or number == self._seen:
                return number is not None
            await self.deploy(number)
        except TransientError as error:
            self._failed(None, error)
            return False
        except MlopsError as error:
            if number is None:
                self._failed(None, error)
                return False
        self._seen = number
        return True

    def _wanted(self) -> int | None:
        ref = self.settings.model
        if ref.version is not None:
            return ref.version
        if self._client is None:
            self._client = self.settings.connect()
        return self._client.registry.alias(ref.name, ref.alias or "")

    def _order(self, version: int | None, folder: Path | None = None) -> Order:
        its = self.settings
        return Order(its.model.name, version, folder, its.keep, its.connect, its.trusted, its.threads)

    async def _bring(self, order: Order, before: Side | None = None) -> Side:
        lane = Lane(self.settings.limits.batch, self._sent)
        try:
            told = await lane.start(order, self.settings.load_seconds)
            package = Package.from_json(told["package"])
            if before is None:
                self._check_speed(package, told["milliseconds"])
            reader = Reader(package.columns, self.settings.limits.rows, self.settings.extra)
        except MlopsError as error:
            lane.close()
            self._failed(order.version, error)
            raise
        side = Side(package, Path(told["folder"]), told["milliseconds"], bool(told["typical"]), reader, lane)
        lane.ended.add_done_callback(lambda _: self._spawn(self._died(side)))
        return side

    def _check_speed(self, package: Package, milliseconds: float) -> None:
        champion = self.now.champion
        if champion is None:
            return
        most = max(self.settings.slowdown * champion.milliseconds, _QUICK_MS)
        if milliseconds > most:
            raise DeploymentError(
                f"Version {package.version} takes {milliseconds:.0f} ms for a row, version {champion.version} takes "
                f"{champion.milliseconds:.0f} ms: at most {most:.0f} ms are allowed."
            )

    async def _put(self, now: Now, *gone: Side | None) -> None:
        self.now = now
        self.swaps += 1
        self.last_error = None
        if now.champion:
            candidate = now.candidate.folder.name if now.candidate else None
            mode = now.mode if now.candidate else None
            state = State(self.settings.model.name, now.champion.folder.name, candidate, mode, now.share)
            try:
                await asyncio.to_thread(write_state, self.settings.keep, state)
            except OSError as error:  # it serves all the same
                self._failed(now.champion.version, DeploymentError(f"The state was not kept: {error.strerror}."))
        for side in gone:
            if side:
                side.lane.retire()

    async def _died(self, side: Side) -> None:
        """A process that ended by itself: a candidate is taken back, the champion brought up again."""
        ended = DeploymentError(f"The process of version {side.version} ended.")
        while True:
            async with self._changing:
                if side is self.now.candidate:
                    await self._put(Now(self.now.champion))
                    self._failed(side.version, ended)
                if side is not self.now.champion:
                    side.lane.abandon()
                    return
                with suppress(MlopsError):
                    again = await self._bring(self._order(None, side.folder), side)
                    again.lane.adopt(side.lane.release())
                    self.now = replace(self.now, champion=again)
                    self._failed(side.version, ended)
                    return
            await asyncio.sleep(_AGAIN)

    def _failed(self, version: int | None, error: MlopsError) -> None:
        first = (str(error).splitlines() or [""])[0][:300]
        self.last_error = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": str(version) if version else None,
            "code": type(error).__name__,
            "reason": first,
        }
        _log.warning("%s: %s", type(error).__name__, first)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
