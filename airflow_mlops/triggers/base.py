"""What the triggers share: look in a thread, again and again, until there is an answer or time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_mlops.core.polling import Poll
from airflow_mlops.exceptions import MlopsError, TransientError

#: Seconds after which Airflow has stored an event: it takes them over once a second.
STORED = 5.0


class PollingTrigger(BaseTrigger):
    """One event, a ``Poll`` as plain values: subclasses implement :meth:`look` and name their arguments.

    Connections are read here: what is serialised holds no credentials.

    :param poke_interval: seconds between two looks
    :param deadline: end of the wait, in seconds of the epoch: it outlives a restart of the triggerer
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, poke_interval: float, deadline: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.poke_interval = poke_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = (*self.arguments, "poke_interval", "deadline")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def open(self) -> None:
        """Get ready to look."""

    def look(self) -> Poll:
        """One look, in a thread: it waits for answers, and the loop is that of every other trigger."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            await self.open()
        except MlopsError as error:
            yield _event(Poll("failed", str(error)))
            return
        while True:
            poll = (await asyncio.to_thread(told, self.look)).by(self.deadline, time.time())
            self.log.info(poll.reason)
            if poll.state != "wait":
                yield _event(poll)
                return
            await asyncio.sleep(max(0.0, min(self.poke_interval, self.deadline - time.time())))


def told(look: Any) -> Poll:
    """What a look found; a server that is away is no answer about what is waited for."""
    try:
        found: Poll = look()
    except TransientError as error:
        return Poll("wait", str(error))
    except MlopsError as error:
        return Poll("failed", str(error))
    return found


def _event(poll: Poll) -> TriggerEvent:
    return TriggerEvent(poll.to_json())  # type: ignore[no-untyped-call]


class Memory:
    """A watermark in the state store of an asset; Airflow may be away, or have no such store."""

    def __init__(self, store: Any, key: str, log: Any) -> None:
        self.store = store
        self.key = key
        self.log = log
        self.watermark: Any = None
        self.kept: Any = None

    async def recalled(self) -> bool:
        """Whether it is known what was kept; if not, ask again later."""
        try:
            known = await self.store.aget(self.key) if self.store else None
        except ValueError as error:  # two assets share the trigger: there is a store for each
            self.log.warning("No watermark is kept: %s", error)
            self.store, known = None, None
        except AirflowRuntimeError as error:
            self.log.warning("The watermark cannot be read now: %s", error)
            return False
        self.watermark = self.kept = known["watermark"] if isinstance(known, Mapping) else None
        return True

    async def keep(self) -> None:
        """Write the watermark down if it is another one; where that fails, the next look tries again."""
        if self.store and self.watermark != self.kept:
            try:
                await self.store.aset(self.key, {"watermark": self.watermark})
                self.kept = self.watermark
            except AirflowRuntimeError as error:
                self.log.warning("The watermark cannot be written now: %s", error)
