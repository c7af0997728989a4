"""The prediction log of a server: a bounded queue and one thread, which never make a request wait."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.packages import Package
from airflow_mlops.core.predictions import Mode
from airflow_mlops.serving.bodies import Rows
from airflow_mlops.serving.values import batch_of
from airflow_mlops.store.predictions import PredictionWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops.serving.settings import Settings

_log = logging.getLogger(__name__)
#: Rows that may wait, rows of a file, and the longest that a row waits for others.
_WAITING, _FILE, _SECONDS = 200_000, 50_000, 5.0
#: Requests that become one piece of a file: small pieces leave the interpreter to others in between.
_PIECE: Final = 200


@dataclass(frozen=True)
class Entry:
    """One answered request.

    :param answer: the inside of a JSON object, as the model's process gave it
    """

    id: str
    time: float
    package: Package
    mode: Mode
    rows: Rows
    answer: bytes
    milliseconds: float


class PredictionLog(threading.Thread):
    """Writes what it is offered; what it has no room for, or cannot write, is counted in :attr:`dropped`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="prediction log", daemon=True)
        self.dropped = 0
        self.written = 0
        self._settings = settings
        self._entries: deque[Entry] = deque()
        self._rows = 0
        self._ended = threading.Event()

    def offer(self, entry: Entry) -> None:
        """Keep an entry for the thread, or count it as dropped."""
        if self._rows + entry.rows.count > _WAITING or self._ended.is_set():
            self.dropped += entry.rows.count
        else:
            self._rows += entry.rows.count
            self._entries.append(entry)

    def close(self, seconds: float = 10) -> None:
        """Write what is left."""
        self._ended.set()
        if self.is_alive():
            self.join(seconds)

    def run(self) -> None:
        while not self._ended.is_set():
            end = time.monotonic() + _SECONDS
            while time.monotonic() < end and self._rows < _FILE and not self._ended.wait(0.1):
                pass
            self._flush()
        self._flush()

    def _flush(self) -> None:
        taken = [self._entries.popleft() for _ in range(len(self._entries))]
        versions: dict[int, list[Entry]] = {}
        for entry in taken:
            versions.setdefault(entry.package.version, []).append(entry)
        for entries in versions.values():
            rows = sum(entry.rows.count for entry in entries)
            try:
                self._write(entries)
                self.written += rows
            except Exception:  # a full disk, a store that is away: answers go on, and the count tells
                _log.warning("%d predictions could not be logged.", rows, exc_info=True)
                self.dropped += rows
        self._rows -= sum(entry.rows.count for entry in taken)

    def _write(self, entries: Sequence[Entry]) -> None:
        import pyarrow as pa
        from upath import UPath

        package, its = entries[0].package, self._settings
        known = [name for name in its.hashed if name in package.column_names]
        writer = PredictionWriter(UPath(its.log or ""), package, hashed=known, key=its.hash_key or b"")
        pieces = [entries[at : at + _PIECE] for at in range(0, len(entries), _PIECE)]
        writer.write(pa.Table.from_batches([_piece(writer, package, piece) for piece in pieces]))


def _piece(writer: PredictionWriter, package: Package, entries: Sequence[Entry]) -> pa.RecordBatch:
    import pyarrow as pa

    answers = [json.loads(b"{" + entry.answer + b"}") for entry in entries]
    scored = answers[0]["scores"] is not None

    def each(values: Sequence[Any]) -> list[Any]:
        return [value for value, entry in zip(values, entries, strict=True) for _ in range(entry.rows.count)]

    return writer.entries(
        batch_of(package.columns, [entry.rows.columns for entry in entries]),
        _chained([answer["predictions"] for answer in answers]),
        _chained([answer["scores"] for answer in answers]) if scored else None,
        ids=_chained([row_ids(entry.id, entry.rows.count) for entry in entries]),
        time=pa.array(each([datetime.fromtimestamp(entry.time, UTC) for entry in entries]), pa.timestamp("us", "UTC")),
        mode=pa.array(each([entry.mode for entry in entries]), pa.string()),
        latency_ms=each([entry.milliseconds for entry in entries]),
    )


def row_ids(id_: str, count: int) -> list[str]:
    """What the log calls the rows of a request, so that labels that come later find them.

    >>> row_ids("a", 1), row_ids("a", 2)
    (['a'], ['a-0', 'a-1'])
    """
    return [id_] if count == 1 else [f"{id_}-{row}" for row in range(count)]


def _chained(lists: Sequence[list[Any]]) -> Any:
    return [value for its in lists for value in its]
