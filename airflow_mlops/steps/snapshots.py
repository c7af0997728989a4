"""Ingest a source into a snapshot; prepare snapshots into another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.import_path import call_path, import_object
from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.snapshots import Manifest, canonical_json, digest
from airflow_mlops.core.windows import Interval, TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError, DataError, NotEnoughData
from airflow_mlops.steps.sources import DeltaSource, IcebergSource, Source, as_table, in_order
from airflow_mlops.store.snapshots import Snapshot, open_snapshot, pin_snapshot, write_snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

__all__ = ["Snapshot", "ingest", "open_snapshot", "prepare"]


def ingest(
    store: UPath,
    *,
    name: str,
    source: Source,
    as_of: datetime,
    window: TrainingWindow | Interval | None = None,
    event_time: str | None = None,
    key: Sequence[str] = (),
    min_rows: int = 1,
) -> Snapshot:
    """Copy what a run may see of a source into an immutable snapshot.

    The same rows and window give the same snapshot, and nothing is written again, whatever else changed in the code.

    :param key: of the rows that share these columns the one that became known last counts; needs ``knowledge_time``
    :raises NotEnoughData: fewer than ``min_rows`` rows
    :raises SnapshotError: the source is missing, broken, or lacks a column
    """
    if window and event_time is None:
        raise ConfigurationError(f"Snapshot {name}: a window needs the name of the event_time column.")
    knowledge_time = window.knowledge_time if window else None
    if key and knowledge_time is None:
        raise ConfigurationError(
            f"Snapshot {name}: of the rows of one key the last known counts: name knowledge_time in its window."
        )
    as_of = instant(as_of)
    windows = window.at(as_of) if window else None
    rows = Slice(as_of, windows.whole if windows else None, tuple(key))
    origin = {**source.describe(), **({"key": list(key)} if key else {})}
    try:
        canonical_json(origin)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"Snapshot {name}: its source cannot be told as JSON: {error}.") from error
    pinned = source.at(as_of) if isinstance(source, DeltaSource | IcebergSource) else None
    schema, batches = (pinned or source).read(rows)
    return (pin_snapshot if pinned else write_snapshot)(
        store,
        _at_least(min_rows, sliced(batches, rows, event_time, knowledge_time), f"{name} at {as_of.date()}"),
        schema,
        Manifest(
            name=name,
            data_version="",
            rows=0,
            schema=[],
            source=origin,
            as_of=as_of.isoformat(),
            windows=windows.to_json() if windows else None,
            event_time=event_time,
            knowledge_time=knowledge_time,
            pinned=pinned.pinned if pinned else None,
        ),
    )


def prepare(
    store: UPath,
    *,
    name: str,
    function: str | Callable[..., Any],
    inputs: Mapping[str, Snapshot],
    kwargs: Mapping[str, Any] | None = None,
    order_by: list[str] | None = None,
    code_version: str = "unknown",
) -> Snapshot:
    """Make a snapshot from snapshots: ``function(**tables, **kwargs)``, Arrow tables in, a table or DataFrame out.

    The manifest names its parents and the code version. For joins and cleaning, row by row; what is fitted belongs
    inside the model.

    :param inputs: the function's argument name for each snapshot
    :raises ConfigurationError: the inputs are about different as-ofs or windows
    """
    if not inputs:
        raise ConfigurationError(f"Snapshot {name}: name at least one snapshot to prepare.")
    work = import_object(function, "prepare") if isinstance(function, str) else function
    path = function if isinstance(function, str) else call_path(function)
    facts = [snapshot.manifest for snapshot in inputs.values()]
    windows = {digest(m.windows): m.windows for m in facts if m.windows}
    if len({manifest.as_of for manifest in facts}) > 1 or len(windows) > 1:
        raise ConfigurationError(
            f"Snapshot {name}: its inputs are about different as-ofs or windows: {_as_ofs(inputs)}."
        )
    table = as_table(work(**{key: s.table() for key, s in inputs.items()}, **(kwargs or {})), path)
    if table.num_rows == 0:
        raise DataError(f"{path} returned no rows for snapshot {name}.")
    if order_by:
        table = in_order(table, order_by)
    event_times = [m.event_time for m in facts if m.event_time]
    event_time = next((column for column in event_times if column in table.column_names), None)
    if event_times and event_time is None:
        raise ConfigurationError(
            f"{path} dropped the time of the rows: keep {' or '.join(dict.fromkeys(event_times))}."
        )
    as_of = instant(facts[0].as_of)
    return write_snapshot(
        store,
        sliced(table.to_batches(), Slice(as_of), event_time, None),
        table.schema,
        Manifest(
            name=name,
            data_version="",
            rows=0,
            schema=[],
            source={
                "prepare": path,
                "kwargs": dict(kwargs or {}),
                "inputs": list(inputs),
                "order_by": order_by,
            },
            as_of=facts[0].as_of,
            windows=next(iter(windows.values()), None),
            event_time=event_time,
            parents=[snapshot.uri for snapshot in inputs.values()],
            code_version=code_version,
        ),
    )


def _at_least(minimum: int, batches: Iterable[pa.RecordBatch], what: str) -> Iterator[pa.RecordBatch]:
    """Refuse a thin slice before it is published: raising here leaves nothing behind."""
    found = 0
    for batch in batches:
        found += batch.num_rows
        yield batch
    if found < minimum:
        raise NotEnoughData(
            f"Snapshot {what}: {found:,} rows, {minimum:,} are needed; this date has too little behind it."
        )


def _as_ofs(inputs: Mapping[str, Snapshot]) -> str:
    return ", ".join(f"{key} {snapshot.manifest.as_of}" for key, snapshot in inputs.items())
