"""Wait for new data of a source."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.polling import AwaitedData, Poll
from airflow_mlops.sensors.base import PollingSensor
from airflow_mlops.triggers.snapshots import NewDataLook, NewDataTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class NewDataSensor(PollingSensor):
    """Wait until a source has data that an earlier run has not seen.

    Returns ``source``, ``count`` and ``watermark``, and of files ``bytes``, ``partitions`` and the first 50 ``names``.
    What is new is said by ``since`` alone: nothing is kept anywhere. A source that does not answer, or is not there
    yet, is waited for.

    :param source: ``{"files": path}`` (a folder or glob at any URI; names that begin with a dot or an underscore do not
        count), or ``{"sql": query, "conn_id": …, "column": …}`` with a column that grows with every new row
    :param since: the watermark, or the whole output, of an earlier run; an instant for files, a value of the column for
        a query; None for everything that is there
    :param marker: files count once their folder, or one above, has a file of this name, such as ``_SUCCESS``, that is
        not older than they are
    :param settle: without a marker a file counts once it was the same for so many seconds, 10 if None; 0 where files
        appear whole, as in S3
    :param min_files: so many new files, 1 if None
    :param min_partitions: so many folders with new files, 1 if None
    :param min_rows: so many new rows of a query, 1 if None
    """

    template_fields: Sequence[str] = ("source", "since", "marker")
    template_fields_renderers = {"source": "json", "since": "json"}

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.since = since
        self.marker = marker
        self.settle = settle
        self.min_files = min_files
        self.min_partitions = min_partitions
        self.min_rows = min_rows

    def look(self, context: Context) -> Poll:
        poll = self._look()
        if self.reschedule and poll.state == "wait" and self._look.watched and not self.marker:
            # The next look is another process, which knows nothing of this one: take the second look here.
            time.sleep(self.awaited.files.settle)
            poll = self._look()
        return poll

    def trigger(self, *, poke_interval: float, deadline: float) -> NewDataTrigger:
        return NewDataTrigger(awaited=self.awaited.to_json(), poke_interval=poke_interval, deadline=deadline)

    @cached_property
    def awaited(self) -> AwaitedData:
        names = AwaitedData.__dataclass_fields__
        return AwaitedData(**{name: getattr(self, name) for name in names})

    @cached_property
    def _look(self) -> NewDataLook:
        return NewDataLook(self.awaited)
