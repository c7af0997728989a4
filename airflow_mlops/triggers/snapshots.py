"""Wait for new data of a source: for a deferred task, or for ever, as the watcher of an asset."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_mlops.clients.arrivals import count_rows, list_files
from airflow_mlops.core.polling import AwaitedData, FileMark, Poll, Watched, given_mark, judge_files, judge_rows, watch
from airflow_mlops.hooks.store import object_path, sql_engine
from airflow_mlops.triggers.base import STORED, Memory, PollingTrigger, told


class NewDataLook:
    """Looks at a source, and remembers from one look to the next how the files were.

    :param awaited: what is waited for
    """

    def __init__(self, awaited: AwaitedData) -> None:
        self.awaited = awaited
        self.watched: Watched = {}

    def __call__(self) -> Poll:
        """One look; it waits for answers.

        :raises MlopsError: the source did not answer, or cannot be asked this way
        """
        return self._rows() if "sql" in self.awaited.source else self._files()

    def _files(self) -> Poll:
        files, now = self.awaited.files, time.time()
        listing = list_files(object_path(files.where), files.marker)
        self.watched = watch(listing, self.watched, now)
        return judge_files(listing, files, FileMark.parse(self.awaited.since), self.watched, now)

    def _rows(self) -> Poll:
        rows, mark = self.awaited.rows, given_mark(self.awaited.since)
        engine = sql_engine(rows.where)
        try:
            seen = count_rows(engine, str(self.awaited.source["sql"]), rows.column, mark, rows.where)
        finally:
            engine.dispose()
        return judge_rows(seen, rows, mark)


class NewDataTrigger(PollingTrigger):
    """Looks at a source until it has new data or time is up.

    :param awaited: arguments of :class:`~airflow_mlops.core.polling.AwaitedData`
    """

    arguments: ClassVar[tuple[str, ...]] = ("awaited",)

    def __init__(self, *, awaited: Mapping[str, Any], **wait: Any) -> None:
        super().__init__(**wait)
        self.awaited = awaited

    async def open(self) -> None:
        self._look = NewDataLook(AwaitedData(**self.awaited))

    def look(self) -> Poll:
        return self._look()


class NewDataEventTrigger(BaseEventTrigger):
    """Fires whenever a source has new data: for the ``AssetWatcher`` of an asset.

    The payload is what ``NewDataSensor`` returns. The watermark is kept in the asset's state store, so that a triggerer
    that starts again goes on from there; it is written some seconds after the event, so that none is lost. A triggerer
    that dies in between fires it again, with the same ``watermark``. Whatever goes wrong is logged, and it looks on.

    :param source: as for ``NewDataSensor``
    :param since: where to begin, the first time; None for everything that is there
    :param marker: as for ``NewDataSensor``, and so are ``settle`` and the ``min_…``
    :param poke_interval: seconds between two looks
    """

    def __init__(
        self,
        *,
        source: Mapping[str, Any],
        since: Any = None,
        marker: str | None = None,
        settle: float | None = None,
        min_files: int | None = None,
        min_partitions: int | None = None,
        min_rows: int | None = None,
        poke_interval: float = 60,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.source = source
        self.since = since
        self.marker = marker
        self.settle = settle
        self.min_files = min_files
        self.min_partitions = min_partitions
        self.min_rows = min_rows
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__name__}"
        return path, {**self.awaited.to_json(), "poke_interval": self.poke_interval}

    @property
    def awaited(self) -> AwaitedData:
        names = AwaitedData.__dataclass_fields__
        return AwaitedData(**{name: getattr(self, name) for name in names})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        begin = self.awaited
        memory = Memory(self.asset_state_store, f"new_data_{begin.digest}", self.log)
        while not await memory.recalled():
            await asyncio.sleep(self.poke_interval)
        look = NewDataLook(begin.after(memory.watermark) if memory.watermark is not None else begin)
        while True:
            poll = await asyncio.to_thread(told, look)
            (self.log.warning if poll.state == "failed" else self.log.info)(poll.reason)
            if poll.state == "done" and poll.found:
                yield TriggerEvent(dict(poll.found))  # type: ignore[no-untyped-call]
                memory.watermark = poll.found["watermark"]
                look.awaited = look.awaited.after(memory.watermark)
                await asyncio.sleep(STORED)
            await memory.keep()
            await asyncio.sleep(self.poke_interval)
