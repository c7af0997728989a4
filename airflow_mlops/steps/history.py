"""Weigh a snapshot against earlier ones of its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation.history import (
    FreshnessPolicy,
    Past,
    VolumePolicy,
    check_freshness,
    check_volume,
)
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, SnapshotError
from airflow_mlops.store.snapshots import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.core.validation import ExpectationOutcome

#: Manifests that are read at a time: each is a request to an object store.
READERS = 16


def weigh_against_history(
    store: UPath, snapshot: Snapshot, *, freshness: Any = None, volume: Any = None
) -> tuple[ExpectationOutcome, ...]:
    """Whether a snapshot is as fresh, and has as many rows, as those of earlier as-ofs; later ones are not looked at.

    :param freshness: arguments of :class:`~airflow_mlops.core.validation.history.FreshnessPolicy`, or True for its
        defaults; None for no such check
    :param volume: the same of :class:`~airflow_mlops.core.validation.history.VolumePolicy`
    """
    fresh, much = FreshnessPolicy.parse(freshness), VolumePolicy.parse(volume)
    if fresh is None and much is None:
        return ()
    facts, as_of = snapshot.manifest, instant(snapshot.manifest.as_of)
    event_time = facts.event_time
    if fresh and event_time is None:
        raise ConfigurationError(
            f"Snapshot {facts.name} names no event_time, so nobody knows how fresh it is: name it at ingestion."
        )
    before = [each for each in _snapshots(store, facts.name) if instant(each.manifest.as_of) < as_of]
    past = [Past(instant(each.manifest.as_of), _rows(each.manifest, facts)) for each in before]
    outcomes = [check_volume(facts.rows, past, as_of, much)] if much else []
    if fresh and event_time is not None:
        wanted = {each.as_of for each in fresh.comparable(past, as_of)}
        timed = [
            replace(told, lag=_lag(each, event_time))
            for told, each in zip(past, before, strict=True)
            if told.as_of in wanted
        ]
        newest = newest_event(snapshot, event_time)
        outcomes.append(check_freshness(newest, timed, as_of, fresh, column=event_time, rows=facts.rows))
    return tuple(outcomes)


def newest_event(snapshot: Snapshot, event_time: str) -> datetime | None:
    """The greatest value of a column, from the statistics of the files alone where it has files; None without any."""
    if snapshot.manifest.pinned:
        found = list(_greatest(snapshot.batches([event_time])))
    else:
        found = [value for file in snapshot.manifest.files for value in _maxima(snapshot.path / file.name, event_time)]
    return max(map(instant, found), default=None)


def _greatest(batches: Iterable[pa.RecordBatch]) -> Iterator[Any]:
    """The greatest value of each batch of one column."""
    import pyarrow.compute as pc

    for batch in batches:
        value = pc.max(batch.column(0)).as_py()
        if value is not None:
            yield value


def _maxima(path: UPath, column: str) -> Iterator[Any]:
    """The greatest value of each row group."""
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        parquet = pq.ParquetFile(file)
        number = parquet.schema_arrow.get_field_index(column)
        for group in range(parquet.num_row_groups if number >= 0 else 0):
            statistics = parquet.metadata.row_group(group).column(number).statistics
            if statistics is not None and statistics.has_min_max:
                yield statistics.max
            else:
                yield from _greatest(parquet.read_row_group(group, [column]).to_batches())


def _snapshots(store: UPath, name: str) -> Sequence[Snapshot]:
    """All snapshots of a name whose manifest can be read."""
    folder = store / "snapshots" / name
    store.fs.invalidate_cache()
    found = store.fs.glob(f"{folder.path}/*/manifest.json")
    folders = [folder / path.rsplit("/", 2)[-2] for path in found]
    with ThreadPoolExecutor(READERS) as pool:
        return [each for each in pool.map(_opened, folders) if each is not None]


def _opened(folder: UPath) -> Snapshot | None:
    """What was broken or taken away since says nothing of what is usual."""
    try:
        return Snapshot(folder, Manifest.from_json(json.loads((folder / "manifest.json").read_text())))
    except (SnapshotError, OSError, ValueError):
        return None


def _lag(snapshot: Snapshot, event_time: str) -> float | None:
    try:
        newest = newest_event(snapshot, snapshot.manifest.event_time or event_time)
    except (OSError, SnapshotError):
        return None
    return None if newest is None else (instant(snapshot.manifest.as_of) - newest) / timedelta(hours=1)


def _rows(past: Manifest, now: Manifest) -> float:
    """As many rows as a window as long as the one now would have held."""
    if past.bounds is None or now.bounds is None:
        return past.rows
    theirs, ours = (facts.whole.end - facts.whole.start for facts in (past.bounds, now.bounds))
    return past.rows * (ours / theirs)
